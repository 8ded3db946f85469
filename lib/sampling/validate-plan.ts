import { checkKeys, invalid } from '../check.js'
import { SdxlError } from '../errors.js'
import { lastTimestep } from './noise-table.js'
import { drawIndex, type SamplingPlan } from './plan.js'

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
  checkNumber('plan.initial', initial, 'a positive finite number', (value) => value > 0)
  const known = new Known()
  let index = 0
  let called = 0
  for (const [i, step] of list('plan.steps', steps, 1).entries()) {
    const field = `plan.steps[${i}]`
    checkKeys(field, step, ['index', 'call', 'writes'])
    const { index: at, call, writes } = step as Record<string, unknown>
    checkNumber(`${field}.index`, at, `an integer of at least ${index}`, (value) => Number.isInteger(value) && value >= index)
    index = at
    if (call !== undefined) {
      checkCall(`${field}.call`, call, known)
      ++called
    }
    for (const [k, write] of list(`${field}.writes`, writes).entries()) checkWrite(`${field}.writes[${k}]`, write, known)
  }
  if (calls !== called) throw invalid('plan.calls', `the number of steps with a call, ${called},`, calls)
}

/** The registers that hold something at this point of the plan. */
class Known {
  readonly #written = new Set(['x'])
  #draws = 0

  write(register: string): void {
    this.#written.add(register)
  }

  check(field: string, register: unknown): void {
    if (typeof register !== 'string') throw invalid(field, 'the name of a register', register)
    const draw = drawIndex(register)
    if (draw === this.#draws) ++this.#draws
    else if (draw !== undefined && draw > this.#draws) throw invalid(field, `"noise:${this.#draws}", the next unused draw,`, register)
    else if (draw === undefined && !this.#written.has(register)) {
      throw new SdxlError(
        'ERR_INVALID_ARGUMENT',
        `${field} reads the register ${JSON.stringify(register)} before anything was written to it; it may read ${[...this.#written].join(', ')} or noise:${this.#draws}`,
        { field, register, written: [...this.#written] },
      )
    }
  }
}

function checkCall(field: string, call: unknown, known: Known): void {
  checkKeys(field, call, ['sigma', 'timestep', 'input'])
  const { sigma, timestep, input } = call as Record<string, unknown>
  checkNumber(`${field}.sigma`, sigma, 'a positive finite number', (value) => value > 0)
  checkNumber(`${field}.timestep`, timestep, `a number from 0 to ${lastTimestep}`, (value) => value >= 0 && value <= lastTimestep)
  checkTerms(`${field}.input`, list(`${field}.input`, input, 1), known)
  known.write('denoised')
}

function checkWrite(field: string, write: unknown, known: Known): void {
  checkKeys(field, write, ['register', 'terms'])
  const { register, terms } = write as Record<string, unknown>
  if (typeof register !== 'string' || !registerPattern.test(register) || register === 'denoised') {
    throw invalid(`${field}.register`, 'a name of letters, digits and _, starting with a letter, other than "denoised",', register)
  }
  checkTerms(`${field}.terms`, list(`${field}.terms`, terms), known)
  known.write(register)
}

function checkTerms(field: string, terms: readonly unknown[], known: Known): void {
  for (const [i, term] of terms.entries()) {
    const at = `${field}[${i}]`
    if (!Array.isArray(term) || term.length !== 2) throw invalid(at, 'a pair [coefficient, register]', term)
    // The engine keeps coefficients in single precision.
    checkNumber(`${at}[0]`, term[0], 'a coefficient that is finite in single precision', (value) => Number.isFinite(Math.fround(value)))
    known.check(`${at}[1]`, term[1])
  }
}

function list(field: string, value: unknown, atLeast = 0): readonly unknown[] {
  if (!Array.isArray(value) || value.length < atLeast) throw invalid(field, `an array of at least ${atLeast} entries`, value)
  return value
}

function checkNumber(field: string, value: unknown, wanted: string, passes: (value: number) => boolean): asserts value is number {
  if (typeof value !== 'number' || !Number.isFinite(value) || !passes(value)) throw invalid(field, wanted, value)
}
