import { checkKeys, invalid } from '../check.js'
import { SdxlError } from '../errors.js'
import { lastTimestep } from './noise-table.js'
import { drawIndex, givenRegisters, type SamplingPlan } from './plan.js'

const registerPattern = /^[A-Za-z][A-Za-z0-9_]*$/

/**
 * Checks that a plan is plain data the engine can execute: known fields only, finite numbers, every register written before it is read,
 * and draws numbered in the order of their first use (generators that cannot jump must meet them so).
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT naming the field, as in `plan.steps[3].writes[0].terms[1]`
 */
export function validatePlan(plan: unknown): asserts plan is SamplingPlan {
  checkKeys('plan', plan, ['sampler', 'calls', 'steps', 'initial'])
  const { sampler, calls, steps, initial } = plan as Record<string, unknown>
  if (typeof sampler !== 'string' || sampler === '') throw invalid('plan.sampler', 'a non-empty string', sampler)
  if (!isFinite(initial) || initial <= 0) throw invalid('plan.initial', 'a positive finite number', initial)
  const called = new StepsCheck().run(steps)
  if (calls !== called) throw invalid('plan.calls', `the number of steps with a call, ${called},`, calls)
}

const isFinite = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/** A walk over the steps. It knows where it is, so that a field is put into words only when something is wrong with it. */
class StepsCheck {
  /** Registers that hold something at this point of the plan. */
  readonly #written = new Set(['x', 'init', 'start'])
  #draws = 0
  #step = 0
  #list = 'terms'
  #write = 0
  #term = 0

  /** @returns how many steps call the model */
  run(steps: unknown): number {
    if (!isList(steps, 1)) throw invalid('plan.steps', 'an array of at least 1 entries', steps)
    let index = 0
    let called = 0
    for (this.#step = 0; this.#step < steps.length; ++this.#step) {
      const step = steps[this.#step]
      checkKeys(this.#stepName, step, stepKeys)
      const { index: at, call, writes } = step as Record<string, unknown>
      if (!Number.isInteger(at) || (at as number) < index) throw invalid(`${this.#stepName()}.index`, `an integer of at least ${index}`, at)
      index = at as number
      if (call !== undefined) {
        this.#checkCall(call)
        ++called
      }
      if (!isList(writes)) throw invalid(`${this.#stepName()}.writes`, 'an array', writes)
      this.#list = 'terms'
      for (this.#write = 0; this.#write < writes.length; ++this.#write) this.#checkWrite(writes[this.#write])
    }
    return called
  }

  readonly #stepName = () => `plan.steps[${this.#step}]`
  /** The call or the write. */
  readonly #partName = () => `${this.#stepName()}.${this.#list === 'input' ? 'call' : `writes[${this.#write}]`}`
  readonly #termName = () => `${this.#partName()}.${this.#list}[${this.#term}]`

  #checkCall(call: unknown): void {
    this.#list = 'input'
    checkKeys(this.#partName, call, callKeys)
    const { sigma, timestep, input } = call as Record<string, unknown>
    if (!isFinite(sigma) || sigma <= 0) throw invalid(`${this.#partName()}.sigma`, 'a positive finite number', sigma)
    if (!isFinite(timestep) || timestep < 0 || timestep > lastTimestep) {
      throw invalid(`${this.#partName()}.timestep`, `a number from 0 to ${lastTimestep}`, timestep)
    }
    if (!isList(input, 1)) throw invalid(`${this.#partName()}.input`, 'an array of at least 1 entries', input)
    this.#checkTerms(input)
    this.#written.add('denoised').add('uncond')
  }

  #checkWrite(write: unknown): void {
    checkKeys(this.#partName, write, writeKeys)
    const { register, terms, outside } = write as Record<string, unknown>
    if (typeof register !== 'string' || !registerPattern.test(register) || givenRegisters.includes(register)) {
      const given = givenRegisters.map((name) => JSON.stringify(name)).join(', ')
      const wanted = `a name of letters, digits and _, starting with a letter, other than ${given},`
      throw invalid(`${this.#partName()}.register`, wanted, register)
    }
    if (!isList(terms)) throw invalid(`${this.#partName()}.terms`, 'an array', terms)
    this.#checkTerms(terms)
    if (outside !== undefined) {
      if (!isList(outside)) throw invalid(`${this.#partName()}.outside`, 'an array', outside)
      this.#list = 'outside'
      this.#checkTerms(outside)
      this.#list = 'terms'
    }
    this.#written.add(register)
  }

  #checkTerms(terms: readonly unknown[]): void {
    for (this.#term = 0; this.#term < terms.length; ++this.#term) {
      const term = terms[this.#term]
      if (!Array.isArray(term) || term.length !== 2) throw invalid(this.#termName(), 'a pair [coefficient, register]', term)
      const coefficient: unknown = term[0]
      // The engine keeps coefficients in single precision.
      if (typeof coefficient !== 'number' || !Number.isFinite(Math.fround(coefficient))) {
        throw invalid(`${this.#termName()}[0]`, 'a coefficient that is finite in single precision', coefficient)
      }
      this.#checkRead(term[1])
    }
  }

  #checkRead(register: unknown): void {
    if (this.#written.has(register as string)) return
    const field = `${this.#termName()}[1]`
    if (typeof register !== 'string') throw invalid(field, 'the name of a register', register)
    const draw = drawIndex(register)
    if (draw === undefined) {
      throw new SdxlError(
        'ERR_INVALID_ARGUMENT',
        `${field} reads the register ${JSON.stringify(register)} before anything was written to it; it may read ${[...this.#written].join(', ')} or noise:${this.#draws}`,
        { field, register, written: [...this.#written] },
      )
    }
    if (draw > this.#draws) throw invalid(field, `"noise:${this.#draws}", the next unused draw,`, register)
    if (draw === this.#draws) ++this.#draws
  }
}

const stepKeys = ['index', 'call', 'writes']
const callKeys = ['sigma', 'timestep', 'input']
const writeKeys = ['register', 'terms', 'outside']

function isList(value: unknown, atLeast = 0): value is readonly unknown[] {
  return Array.isArray(value) && value.length >= atLeast
}
