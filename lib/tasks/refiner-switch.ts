import type { SamplingPlan } from '../sampling/index.js'
import type { RefineOptions } from './types.js'

/**
 * The first model call that is the refiner's; the number of calls where none is. By timesteps: the first whose whole timestep lies
 * 1000 · `switchAt` or more below 999, as A1111 and Diffusers (`denoising_end`) have it.
 */
export function refinerFrom(plan: SamplingPlan, { switchAt, by }: Required<Pick<RefineOptions, 'switchAt' | 'by'>>): number {
  const calls = plan.steps.filter(({ call }) => call)
  const steps = plan.steps.reduce((most, { index }) => Math.max(most, index + 1), 0)
  const found = calls.findIndex(({ index, call }) => {
    if (by === 'steps') return index >= Math.trunc(switchAt * steps)
    return (999 - Math.round(call!.timestep)) / 1000 >= switchAt
  })
  return found < 0 ? calls.length : found
}
