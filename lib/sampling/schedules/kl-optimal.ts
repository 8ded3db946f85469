import { defineSchedule, range, spaced } from './schedule.js'

/**
 * Noise levels evenly spaced in atan σ, both ends included. Sabour et al. 2024, "Align Your Steps", section 3.1; ComfyUI's form, where A1111
 * ends at sigmaMin and not at 0.
 */
export const klOptimal = defineSchedule('kl_optimal', range, (steps, { sigmaMin, sigmaMax }) =>
  Array.from({ length: steps }, (_, i) => (i === 0 ? sigmaMax : Math.tan(spaced(Math.atan(sigmaMax), Math.atan(sigmaMin), steps, i)))),
)
