import { invalid } from '../../check.js'
import { SdxlError } from '../../errors.js'
import type { MakePlan } from '../plan.js'
import { type PlanBuilder, planner } from '../plan-builder.js'
import type { OptionSpec, OptionValues } from '../sampler-options.js'

const builtIns = new Map<string, { make: MakePlan; options: Readonly<Record<string, OptionSpec>> }>()
const defined = new Map<string, MakePlan>()
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$/

/** Registers a sampler of this library; the parameters are planner's. */
export function builtInSampler<const Options extends Readonly<Record<string, OptionSpec>>>(
  name: string,
  options: Options,
  describe: (plan: PlanBuilder, options: OptionValues<Options>) => void,
): MakePlan {
  const make = planner(name, options, describe)
  builtIns.set(name, { make, options })
  return make
}

/**
 * Adds a sampler under a name of one's own, for `samplingPlan` and `generate`. Defining that name again replaces it.
 *
 * @param name 1 to 64 letters, digits and `_ . + -`, starting with a letter or digit; not that of a built-in sampler
 * @param make a pure function of the noise levels and the options; its plan is checked whenever it is made
 */
export function defineSampler(name: string, make: MakePlan): void {
  if (typeof name !== 'string' || !namePattern.test(name)) {
    throw invalid('name', 'up to 64 letters, digits and _ . + -, starting with a letter or digit,', name)
  }
  if (typeof make !== 'function') throw invalid('make', 'a function', make)
  if (builtIns.has(name)) {
    throw new SdxlError('ERR_INVALID_ARGUMENT', `The sampler "${name}" is built in and cannot be redefined; choose another name`, {
      field: 'name',
      name,
    })
  }
  defined.set(name, make)
}

export const findSampler = (name: string): MakePlan | undefined => builtIns.get(name)?.make ?? defined.get(name)
export const samplerNames = (): string[] => [...builtIns.keys(), ...defined.keys()]

/** What a built-in sampler takes besides `zeroTerminalSnr`, with its defaults; undefined for one of `defineSampler`. */
export const samplerOptions = (name: string): Readonly<Record<string, OptionSpec>> | undefined => builtIns.get(name)?.options
