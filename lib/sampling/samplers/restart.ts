import { karras } from '../schedules/karras.js'
import type { PlanBuilder } from '../plan-builder.js'
import { heunStep } from './heun.js'
import { builtInSampler } from './sampler.js'

/** Levels between which a run goes up again and down once more: the nearest of the list to these. */
const [restartFrom, restartTo] = [0.1, 2]

/**
 * Heun's method that goes back from σ ≈ 0.1 to σ ≈ 2 with fresh noise, and down again. Xu et al. 2023, "Restart Sampling for Improving
 * Generative Processes". Two calls per step, one for a step to σ = 0.
 *
 * The choices are A1111's: below 20 steps nothing is repeated; from 20 on 9 of the steps are spent on one repetition, from 36 on a quarter
 * of them on each of two. Then the list of levels is not used but for its ends: the remaining steps follow the Karras schedule between
 * them. `sNoise` scales the noise.
 */
export const restart = builtInSampler('restart', { sNoise: 1 }, (plan, { sNoise }) => {
  const steps = path(plan)
  steps.forEach(([from, to], index) => {
    const next = steps[index + 1]?.[0] ?? to
    const up = next > to ? Math.sqrt(next ** 2 - to ** 2) : 0
    heunStep(plan, index, from, to, [[1, 'x']], plan.noise(sNoise * up))
  })
})

/** The steps in the order in which they are done, repetitions included. */
function path(plan: PlanBuilder): [from: number, to: number][] {
  const { intervals, table } = plan
  const count = intervals.length
  const first = intervals[0]!.from
  const last = intervals.at(-1)!
  if (count < 20) return intervals.map(({ from, to }) => [from, to])

  const [times, width] = count < 36 ? [1, 9] : [2, Math.floor(count / 4)]
  const left = count - times * width
  // A list that stops above 0 keeps its end.
  const levels =
    last.to === 0
      ? [...karras(left, { sigmaMin: last.from, sigmaMax: first, table }), 0]
      : karras(left + 1, { sigmaMin: last.to, sigmaMax: first, table })
  const down = nearest(levels, restartFrom)
  const up = nearest(levels, restartTo)
  const steps = pairs(levels)
  if (up >= down) return steps
  const again = pairs(karras(width + 1, { sigmaMin: levels[down]!, sigmaMax: levels[up]!, table }))
  return [...steps.slice(0, down), ...Array.from({ length: times }, () => again).flat(), ...steps.slice(down)]
}

const pairs = (levels: readonly number[]) => levels.slice(1).map((to, i): [number, number] => [levels[i]!, to])

/** Index of the level nearest to `wanted`, the first of equals. */
function nearest(levels: readonly number[], wanted: number): number {
  const distances = levels.map((level) => Math.abs(level - wanted))
  return distances.indexOf(Math.min(...distances))
}
