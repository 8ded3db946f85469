import { invalid } from '../../check.js'
import { lastTimestep } from '../noise-table.js'
import { atMost, defineSchedule, range, type ScheduleRange, spaced } from './schedule.js'

/** The timesteps of the range's ends. There is none outside the table. */
function ends(scheduler: string, { sigmaMin, sigmaMax, table }: ScheduleRange): [first: number, last: number] {
  if (sigmaMin < table.sigmaMin) throw invalid('sigmaMin', `at least ${table.sigmaMin} with the scheduler "${scheduler}"`, sigmaMin)
  if (sigmaMax > table.sigmaMax) throw invalid('sigmaMax', `at most ${table.sigmaMax} with the scheduler "${scheduler}"`, sigmaMax)
  return [table.sigmaToTimestep(sigmaMax), table.sigmaToTimestep(sigmaMin)]
}

/**
 * Noise levels evenly spaced in the training timestep, both ends included: k-diffusion's `DiscreteSchedule.get_sigmas`, called "normal"
 * or "uniform" in user interfaces.
 */
export const normal = defineSchedule('normal', range, (steps, levels) => {
  const [first, last] = ends('normal', levels)
  return Array.from({ length: steps }, (_, i) => levels.table.timestepToSigma(spaced(first, last, steps, i)))
})

/** Like "normal" with one more step and without its last level, so that the last step to 0 is as long as the others. */
export const sgmUniform = defineSchedule('sgm_uniform', range, (steps, levels) => {
  const [first, last] = ends('sgm_uniform', levels)
  return Array.from({ length: steps }, (_, i) => levels.table.timestepToSigma(spaced(first, last, steps + 1, i)))
})

const count = lastTimestep + 1

/** Every (1000 / steps)-th entry of the table from its top, rounded down. ComfyUI's and A1111's "simple". */
export const simple = defineSchedule('simple', [], (steps, { table }) => {
  atMost(count, 'simple', steps)
  return Array.from({ length: steps }, (_, i) => table.timestepToSigma(lastTimestep - Math.floor((i * count) / steps)))
})

/**
 * Timesteps 1, 1 + s, 1 + 2s, … with s = 1000 div steps, the highest first; the top of the table is not reached. "Leading" spacing with an
 * offset of 1 in Diffusers, "ddim_uniform" in ComfyUI, which takes a further level where one fits below 1000.
 */
export const ddimUniform = defineSchedule('ddim_uniform', [], (steps, { table }) => {
  atMost(lastTimestep, 'ddim_uniform', steps)
  const stride = Math.floor(count / steps)
  return Array.from({ length: steps }, (_, i) => table.timestepToSigma(1 + (steps - 1 - i) * stride))
})

/** Timesteps 999, 899, 799, …: those that SDXL-Turbo was distilled at. Sauer et al. 2023; ComfyUI's node for it. */
export const turbo = defineSchedule('turbo', [], (steps, { table }) => {
  atMost(10, 'turbo', steps)
  return Array.from({ length: steps }, (_, i) => table.timestepToSigma(lastTimestep - 100 * i))
})

/**
 * Evenly spaced timesteps that begin at the top: round(1000 − i · 1000 / steps) − 1, halves to the even number as NumPy does. Lin et al.
 * 2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed", table 2; Diffusers' `timestep_spacing="trailing"`.
 */
export const trailing = defineSchedule('trailing', [], (steps, { table }) => {
  atMost(count, 'trailing', steps)
  return Array.from({ length: steps }, (_, i) => table.timestepToSigma(roundHalfToEven(count - (i * count) / steps) - 1))
})

function roundHalfToEven(value: number): number {
  const rounded = Math.round(value)
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}

/** Timesteps that a latent consistency model is distilled at: 999, 979, … 19. */
const consistencySteps = 50

/**
 * Evenly spaced choices from the 50 timesteps of latent consistency models. Luo et al. 2023; Diffusers' `LCMScheduler` and `TCDScheduler`
 * with `original_inference_steps=50`.
 */
export const lcm = defineSchedule('lcm', [], (steps, { table }) => {
  atMost(consistencySteps, 'lcm', steps)
  const stride = count / consistencySteps
  const choice = (i: number) => Math.floor((i * consistencySteps) / steps)
  return Array.from({ length: steps }, (_, i) => table.timestepToSigma(lastTimestep - stride * choice(i)))
})
