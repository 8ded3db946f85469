import type { Term } from '../plan.js'
import type { PlanBuilder } from '../plan-builder.js'
import { builtInSampler } from './sampler.js'
import { ancestral, churned, churnOptions, scaled } from './steps.js'

/** From `start` at the level `from` down to `to` with the slope at their geometric mean, then `noise`. */
function midpointStep(plan: PlanBuilder, index: number, from: number, to: number, start: readonly Term[], noise: Term): void {
  plan.call(index, from, ...start)
  if (to === 0) {
    plan.write('x', [1, 'denoised'], noise)
    return
  }
  const middle = Math.sqrt(from * to)
  const ratio = middle / from
  plan.write('first', [1, 'denoised'])
  plan.call(index, middle, ...scaled(ratio, start), [1 - ratio, 'first'])
  const second = (from - to) / middle
  plan.write('x', ...scaled(to / from, start), [1 - to / from - second, 'first'], [second, 'denoised'], noise)
}

/**
 * The midpoint method in log σ. Lu et al. 2022, "DPM-Solver", and Karras et al. 2022, algorithm 2; k-diffusion `sample_dpm_2`.
 * Two calls per step, one for the step to σ = 0. The options are those of euler.
 */
export const dpm2 = builtInSampler('dpm2', churnOptions, (plan, options) => {
  for (const { index, from, to } of plan.intervals) {
    const { hat, start } = churned(plan, from, options)
    midpointStep(plan, index, hat, to, start, plan.noise(0))
  }
})

/** dpm2 to a level below the next one, then fresh noise up to it. k-diffusion `sample_dpm_2_ancestral`. The options are those of euler_a. */
export const dpm2Ancestral = builtInSampler('dpm2_a', { eta: 1, sNoise: 1 }, (plan, { eta, sNoise }) => {
  for (const { index, from, to } of plan.intervals) {
    const { down, up } = ancestral(from, to, eta)
    midpointStep(plan, index, from, down, [[1, 'x']], plan.noise(sNoise * up))
  }
})
