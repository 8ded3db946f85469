import { invalid } from '../check.js'
import type { SamplingPlan } from './plan.js'
import { findSampler, samplerNames } from './samplers/index.js'
import { checkSigmas } from './sigmas.js'
import { validatePlan } from './validate-plan.js'

export interface SamplingOptions {
  /** Share of the noise that is renewed, for samplers that add noise. */
  eta?: number
  /** Scale of the noise that is added. */
  sNoise?: number
  /** As given to `sigmas`: timesteps come from the same table. */
  zeroTerminalSnr?: boolean
  [key: string]: unknown
}

/**
 * Turns a sampler, noise levels and options into a plan.
 *
 * @param sigmas at least 2 strictly descending levels; only the last may be 0, and it need not be
 * @throws       SdxlError ERR_INVALID_ARGUMENT for an unknown sampler or option, a bad list, or a plan that is not valid
 */
export function samplingPlan(sampler: string, sigmas: number[], options: SamplingOptions = {}): SamplingPlan {
  const make = findSampler(sampler)
  if (!make) throw invalid('sampler', `one of ${samplerNames().join(', ')}`, sampler)
  checkSigmas(sigmas)
  if (typeof options !== 'object' || options === null) throw invalid('options', 'an object', options)
  // A copy, so that a sampler that sorts or pops its list changes nobody else's.
  const plan = make([...sigmas], options)
  validatePlan(plan)
  // A sampler that builds on another one still goes by its own name.
  return { ...plan, sampler }
}
