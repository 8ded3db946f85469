import { defineSchedule } from './schedule.js'

/** What the linear half of the steps removes, as a share of sigmaMax. */
const threshold = 0.025

/**
 * The first half of the steps (steps div 2) goes down linearly by 2.5 % in all, the rest along a parabola that meets it with the same
 * slope and ends at 0. Genmo's Mochi 1; ComfyUI's "linear_quadratic".
 */
export const linearQuadratic = defineSchedule('linear_quadratic', ['sigmaMax'], (steps, { sigmaMax }) => {
  const linear = Math.floor(steps / 2)
  const quadratic = steps - linear
  const slope = threshold / linear
  const bend = (linear - threshold * steps) / (linear * quadratic ** 2)
  const removed = (i: number) => (i <= linear ? slope * i : threshold + (i - linear) * slope + bend * (i - linear) ** 2)
  return Array.from({ length: steps }, (_, i) => (i === 0 ? sigmaMax : sigmaMax * (1 - removed(i))))
})
