import { logLinear } from './log-linear.js'
import { defineSchedule } from './schedule.js'

const published = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0.029]

/**
 * The 11 noise levels optimised for SDXL, for other numbers of steps interpolated between their logarithms. Sabour et al. 2024, "Align Your
 * Steps: Optimizing Sampling Schedules in Diffusion Models". As in A1111 the levels are `steps` many and 0 follows; ComfyUI interpolates
 * to one more and puts 0 in the place of the last.
 */
export const ays = defineSchedule('ays', [], (steps) => logLinear(published, steps))
