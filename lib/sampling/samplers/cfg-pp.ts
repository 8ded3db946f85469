import { builtInSampler } from './sampler.js'
import { ancestral } from './steps.js'

/**
 * Euler's method with CFG++: the picture is the guided estimate, the noise that of the unconditional one, so that guidance below 2 is
 * usual. Chung et al. 2024, "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion Models"; ComfyUI `sample_euler_cfg_pp`.
 * One call per step.
 */
export const eulerCfgPp = builtInSampler('euler_cfg_pp', {}, (plan) => {
  for (const { index, from, to } of plan.intervals) {
    plan.call(index, from).write('x', [1, 'denoised'], [to / from, 'x'], [-to / from, 'uncond'])
  }
})

/** The same to a level below the next one, then fresh noise up to it. ComfyUI `sample_euler_ancestral_cfg_pp`. The options are those of euler_a. */
export const eulerAncestralCfgPp = builtInSampler('euler_a_cfg_pp', { eta: 1, sNoise: 1 }, (plan, { eta, sNoise }) => {
  for (const { index, from, to } of plan.intervals) {
    const { down, up } = ancestral(from, to, eta)
    plan.call(index, from).write('x', [1, 'denoised'], [down / from, 'x'], [-down / from, 'uncond'], plan.noise(sNoise * up))
  }
})
