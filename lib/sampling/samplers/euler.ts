import { builtInSampler } from './sampler.js'

/**
 * Euler's method on dx/dσ = (x − D(x; σ)) / σ, without churn. Karras et al. 2022, algorithm 1 (first order) and 2;
 * k-diffusion `sample_euler`. One call per step.
 */
export const euler = builtInSampler('euler', {}, (plan) => {
  for (const { index, from, to } of plan.intervals) {
    // x + (x − D) / σ · (σ′ − σ), sorted by register
    plan.call(index, from).write('x', [to / from, 'x'], [1 - to / from, 'denoised'])
  }
})
