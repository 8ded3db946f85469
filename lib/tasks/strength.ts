import { invalid } from '../check.js'
import type { SamplingStyle } from '../sampling/index.js'
import type { StepArithmetic } from './types.js'

/** Which part of which schedule a run from a picture is. */
export interface PartialRun {
  /** Of the schedule. */
  readonly steps: number
  /** Of them the last, which run. */
  readonly run: number
}

/** A1111's limit, so that a strength of 1 starts at the first level and not before it. */
const most = 0.999

/** Samplers that A1111 runs by timesteps; of a strength it takes a step less for them. */
const byTimesteps: readonly string[] = ['ddim', 'plms', 'uni_pc']

/** In a second pass A1111 does as many steps as it says, from ⌊steps / strength⌋, but for the samplers that it runs by timesteps. */
export function secondPassRun(steps: number, strength: number, sampler: string, style: SamplingStyle, mostSteps: number): PartialRun {
  const all = partialRun(steps, strength, 'comfy', sampler, 'hires.strength', mostSteps)
  return style === 'a1111' && byTimesteps.includes(sampler) ? { steps: all.steps, run: Math.max(steps - 1, 1) } : all
}

/**
 * @param strength 0 … 1
 * @throws         SdxlError ERR_INVALID_ARGUMENT where no step is left, or where there would be more than `mostSteps`
 */
export function partialRun(
  steps: number,
  strength: number,
  arithmetic: StepArithmetic,
  sampler: string,
  field: string,
  mostSteps: number,
): PartialRun {
  switch (arithmetic) {
    case 'a1111':
      return { steps, run: Math.max(Math.trunc(Math.min(strength, most) * steps) + (byTimesteps.includes(sampler) ? 0 : 1), 1) }
    case 'diffusers': {
      const run = Math.min(Math.trunc(steps * strength), steps)
      if (run === 0) throw invalid(field, `at least 1 / ${steps}, for one of ${steps} steps,`, strength)
      return { steps, run }
    }
    case 'comfy': {
      const all = Math.trunc(steps / Math.min(strength, most))
      if (all > mostSteps) throw invalid(field, `at least ${steps} / ${mostSteps}, for a schedule of at most ${mostSteps} steps,`, strength)
      return { steps: all, run: steps }
    }
  }
}
