import { defineSchedule, range, spaced } from './schedule.js'

/**
 * Noise levels evenly spaced in σ^(1/ρ): many small steps near the end, where detail is decided.
 * Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", eq. 5.
 *
 * @param steps number of levels, ≥ 1; a single one is sigmaMax
 * @param rho   bend of the curve, 7 in the paper; 1 is linear in σ
 */
export const karras = defineSchedule('karras', [...range, 'rho'], (steps, { sigmaMin, sigmaMax, rho = 7 }) => {
  const top = sigmaMax ** (1 / rho)
  const bottom = sigmaMin ** (1 / rho)
  return Array.from({ length: steps }, (_, i) => spaced(top, bottom, steps, i) ** rho)
})
