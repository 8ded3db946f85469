import { invalid } from '../../check.js'
import { defineSchedule } from './schedule.js'

/**
 * Noise levels evenly spaced in the training timestep, both ends included: k-diffusion's `DiscreteSchedule.get_sigmas`, called "normal"
 * or "uniform" in user interfaces. The range must lie within the table, because there is no timestep outside it.
 *
 * @param steps number of levels above zero, ≥ 1; one step is `[sigmaMax, 0]`
 * @returns     `steps + 1` descending levels, the last 0
 */
export const normal = defineSchedule('normal', (steps, { sigmaMin, sigmaMax, table }) => {
  if (sigmaMin < table.sigmaMin) throw invalid('sigmaMin', `at least ${table.sigmaMin} with the scheduler "normal"`, sigmaMin)
  if (sigmaMax > table.sigmaMax) throw invalid('sigmaMax', `at most ${table.sigmaMax} with the scheduler "normal"`, sigmaMax)
  const first = table.sigmaToTimestep(sigmaMax)
  const last = table.sigmaToTimestep(sigmaMin)
  const level = (i: number) => table.timestepToSigma(first + (i / Math.max(steps - 1, 1)) * (last - first))
  return [...Array.from({ length: steps }, (_, i) => level(i)), 0]
})
