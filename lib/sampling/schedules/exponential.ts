import { defineSchedule, range, spaced } from './schedule.js'

/** Noise levels evenly spaced in log σ. k-diffusion `get_sigmas_exponential`. */
export const exponential = defineSchedule('exponential', range, (steps, { sigmaMin, sigmaMax }) =>
  Array.from({ length: steps }, (_, i) => Math.exp(spaced(Math.log(sigmaMax), Math.log(sigmaMin), steps, i))),
)

/**
 * log σ falls with the ρ-th power of what is left of the run; ρ = 1 is "exponential". k-diffusion `get_sigmas_polyexponential`.
 *
 * @param rho bend of the curve, 1 by default
 */
export const polyexponential = defineSchedule('polyexponential', [...range, 'rho'], (steps, { sigmaMin, sigmaMax, rho = 1 }) => {
  const bottom = Math.log(sigmaMin)
  const height = Math.log(sigmaMax) - bottom
  return Array.from({ length: steps }, (_, i) => Math.exp(spaced(1, 0, steps, i) ** rho * height + bottom))
})
