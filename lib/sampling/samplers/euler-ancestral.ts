import { builtInSampler } from './sampler.js'

/**
 * Euler's method to a level below the next one, then fresh noise up to it: `down² + up² = to²`.
 * k-diffusion `sample_euler_ancestral` and `get_ancestral_step`. One call per step.
 *
 * `eta` is the share of the noise that is renewed (0: none, the same as euler), `sNoise` scales the fresh noise.
 */
export const eulerAncestral = builtInSampler('euler_a', { eta: 1, sNoise: 1 }, (plan, { eta, sNoise }) => {
  for (const { index, from, to } of plan.intervals) {
    const up = Math.min(to, eta * Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2))
    const down = Math.sqrt(to ** 2 - up ** 2)
    plan.call(index, from).write('x', [down / from, 'x'], [1 - down / from, 'denoised'], plan.noise(sNoise * up))
  }
})
