import { builtInSampler } from './sampler.js'
import { ancestral } from './steps.js'

/**
 * DPM-Solver++(2S): the denoised estimate at the geometric mean of a step's ends serves for the whole step, which goes below the next level;
 * then fresh noise up to it. Lu et al. 2022, "DPM-Solver++", algorithm 1; k-diffusion `sample_dpmpp_2s_ancestral`.
 * Two calls per step, one for the step to σ = 0.
 */
export const dpmpp2sAncestral = builtInSampler('dpmpp_2s_a', { eta: 1, sNoise: 1 }, (plan, { eta, sNoise }) => {
  for (const { index, from, to } of plan.intervals) {
    const { down, up } = ancestral(from, to, eta)
    plan.call(index, from)
    if (down > 0) {
      const ratio = Math.sqrt(down / from)
      plan.call(index, ratio * from, [ratio, 'x'], [1 - ratio, 'denoised'])
    }
    plan.write('x', [down / from, 'x'], [1 - down / from, 'denoised'], plan.noise(sNoise * up))
  }
})

/**
 * dpmpp_2s_a with CFG++: the noise is that of the unconditional estimate. Chung et al. 2024, "CFG++: Manifold-constrained Classifier Free
 * Guidance for Diffusion Models"; ComfyUI `sample_dpmpp_2s_ancestral_cfg_pp`, which moves x by the guidance, and the second time takes the
 * first call's guided estimate with the second's unconditional one.
 */
export const dpmpp2sAncestralCfgPp = builtInSampler('dpmpp_2s_a_cfg_pp', { eta: 1, sNoise: 1 }, (plan, { eta, sNoise }) => {
  for (const { index, from, to } of plan.intervals) {
    const { down, up } = ancestral(from, to, eta)
    plan.call(index, from)
    if (down > 0) {
      const ratio = Math.sqrt(down / from)
      plan.write('x', [1, 'x'], [1, 'denoised'])
      plan.call(index, ratio * from, [ratio, 'x'], [-ratio, 'uncond'], [1 - ratio, 'denoised'])
    }
    const kept = down / from
    plan.write('x', [kept, 'x'], [-kept, 'uncond'], [1 - kept, 'denoised'], plan.noise(sNoise * up))
  }
})
