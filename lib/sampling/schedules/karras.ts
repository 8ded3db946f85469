import { defineSchedule } from './schedule.js'

/**
 * Noise levels evenly spaced in σ^(1/ρ): many small steps near the end, where detail is decided.
 * Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", eq. 5.
 *
 * @param steps number of levels above zero, ≥ 1; one step is `[sigmaMax, 0]`
 * @param rho   bend of the curve, 7 in the paper; 1 is linear in σ
 * @returns     `steps + 1` descending levels, the last 0
 */
export const karras = defineSchedule(
  'karras',
  (steps, { sigmaMin, sigmaMax, rho = 7 }) => {
    const top = sigmaMax ** (1 / rho)
    const bottom = sigmaMin ** (1 / rho)
    const level = (i: number) => (top + (i / Math.max(steps - 1, 1)) * (bottom - top)) ** rho
    return [...Array.from({ length: steps }, (_, i) => level(i)), 0]
  },
  ['rho'],
)
