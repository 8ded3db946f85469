import { builtInSampler } from './sampler.js'
import { churned, churnOptions, scaled } from './steps.js'

/**
 * Euler's method on dx/dσ = (x − D(x; σ)) / σ. Karras et al. 2022, algorithm 2 (first order); k-diffusion `sample_euler`.
 * One call per step.
 *
 * `sChurn` raises the noise before each step whose level lies in `sTmin` … `sTmax`, with noise scaled by `sNoise`.
 */
export const euler = builtInSampler('euler', churnOptions, (plan, options) => {
  for (const { index, from, to } of plan.intervals) {
    const { hat, start } = churned(plan, from, options)
    // x + (x − D) / σ · (σ′ − σ), sorted by register
    plan.call(index, hat, ...start).write('x', ...scaled(to / hat, start), [1 - to / hat, 'denoised'])
  }
})
