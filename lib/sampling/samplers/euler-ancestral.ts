import type { PlanBuilder } from '../plan-builder.js'
import { builtInSampler } from './sampler.js'
import { ancestral } from './steps.js'

function ancestralSteps(plan: PlanBuilder, { eta, sNoise }: { eta: number; sNoise: number }): void {
  for (const { index, from, to } of plan.intervals) {
    const { down, up } = ancestral(from, to, eta)
    plan.call(index, from).write('x', [down / from, 'x'], [1 - down / from, 'denoised'], plan.noise(sNoise * up))
  }
}

/**
 * Euler's method to a level below the next one, then fresh noise up to it: `down² + up² = to²`.
 * k-diffusion `sample_euler_ancestral` and `get_ancestral_step`. One call per step.
 *
 * `eta` is the share of the noise that is renewed (0: none, the same as euler), `sNoise` scales the fresh noise.
 */
export const eulerAncestral = builtInSampler('euler_a', { eta: 1, sNoise: 1 }, ancestralSteps)

/**
 * Song et al. 2020, "Denoising Diffusion Implicit Models", eq. 12 and 16. Divided by √ᾱ it is Euler's method, and its noise is that of the
 * ancestral step, so only the default of `eta` differs.
 */
export const ddim = builtInSampler('ddim', { eta: 0, sNoise: 1 }, ancestralSteps)

/**
 * Ho et al. 2020, "Denoising Diffusion Probabilistic Models", algorithm 2 with the posterior's variance, between any two levels. The same
 * as DDIM with eta 1.
 */
export const ddpm = builtInSampler('ddpm', { eta: 1, sNoise: 1 }, ancestralSteps)
