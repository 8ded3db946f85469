import { SdxlError } from '../errors.js'
import { type NoiseTable, noiseTable } from './noise-table.js'
import type { MakePlan, ModelCall, PlanStep, SamplingPlan, Term, Write } from './plan.js'
import { type OptionSpec, type OptionValues, readOptions } from './sampler-options.js'

/** One of the user's steps: from one noise level to the next. */
export interface Interval {
  readonly index: number
  readonly from: number
  readonly to: number
}

interface OpenStep extends PlanStep {
  readonly call: ModelCall
  readonly writes: Write[]
}

/** Writes a plan down in the order in which it runs. Terms with the coefficient 0 are left out. */
export class PlanBuilder {
  /** The user's steps, to loop over. */
  readonly intervals: readonly Interval[]
  /** Timesteps and levels of the training. */
  readonly table: NoiseTable
  readonly #sampler: string
  readonly #steps: OpenStep[] = []
  #draws = 0

  constructor(sampler: string, sigmas: readonly number[], table: NoiseTable) {
    this.#sampler = sampler
    this.table = table
    this.intervals = sigmas.slice(1).map((to, index) => ({ index, from: sigmas[index]!, to }))
  }

  /** denoised ← model(Σ input) at the noise level `sigma`; by default the input is x. */
  call(index: number, sigma: number, ...input: Term[]): this {
    const terms: Term[] = input.length > 0 ? nonZero(input) : [[1, 'x']]
    this.#steps.push({ index, call: { sigma, timestep: this.table.sigmaToTimestep(sigma), input: terms }, writes: [] })
    return this
  }

  /** register ← Σ terms */
  write(register: string, ...terms: Term[]): this {
    const step = this.#steps.at(-1)
    if (!step)
      throw new SdxlError('ERR_INVALID_ARGUMENT', `The sampler "${this.#sampler}" writes ${register} before its first call`, { register })
    step.writes.push({ register, terms: nonZero(terms) })
    return this
  }

  /** A term of fresh unit-normal noise. The coefficient 0 uses up no draw. */
  noise(coefficient: number): Term {
    return [coefficient, `noise:${coefficient === 0 ? this.#draws : this.#draws++}`]
  }

  build(): SamplingPlan {
    return { sampler: this.#sampler, calls: this.#steps.length, steps: this.#steps, initial: this.intervals[0]!.from }
  }
}

const nonZero = (terms: readonly Term[]): Term[] => terms.filter((term) => term[0] !== 0)

/**
 * A sampler from the description of its steps. `options` names what it takes: a number is the default of an option that takes numbers of at
 * least 0, a list of texts are the values of one that takes one of them, the first by default, and `integer` makes one of whole numbers.
 * Besides, every sampler takes `zeroTerminalSnr`, which picks the table that timesteps come from; any other option is an error.
 */
export function planner<const Options extends Readonly<Record<string, OptionSpec>>>(
  name: string,
  options: Options,
  describe: (plan: PlanBuilder, options: OptionValues<Options>) => void,
): MakePlan {
  return (sigmas, given) => {
    const { values, zeroTerminalSnr } = readOptions(options, given)
    const plan = new PlanBuilder(name, sigmas, noiseTable(zeroTerminalSnr))
    describe(plan, values)
    return plan.build()
  }
}
