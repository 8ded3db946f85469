import type { Term } from '../plan.js'
import type { PlanBuilder } from '../plan-builder.js'
import { builtInSampler } from './sampler.js'
import { churned, churnOptions, scaled } from './steps.js'

/** From `start` at the level `from` to `to` with the mean of the slopes at both, then `noise`. */
export function heunStep(plan: PlanBuilder, index: number, from: number, to: number, start: readonly Term[], noise: Term): void {
  plan.call(index, from, ...start)
  if (to === 0) {
    plan.write('x', [1, 'denoised'], noise)
    return
  }
  const ratio = to / from
  plan.write('first', [1, 'denoised'])
  plan.call(index, to, ...scaled(ratio, start), [1 - ratio, 'first'])
  const second = (1 - ratio) / (2 * ratio)
  plan.write('x', ...scaled(ratio, start), [1 - ratio - second, 'first'], [second, 'denoised'], noise)
}

/**
 * Heun's method: the mean of the slopes at both ends of a step. Karras et al. 2022, algorithm 2; k-diffusion `sample_heun`.
 * Two calls per step, one for the step to σ = 0. The options are those of euler.
 */
export const heun = builtInSampler('heun', churnOptions, (plan, options) => {
  for (const { index, from, to } of plan.intervals) {
    const { hat, start } = churned(plan, from, options)
    heunStep(plan, index, hat, to, start, plan.noise(0))
  }
})

/**
 * Heun's method with up to three slopes, of this level and the next two, weighted by their levels. Carzit's "Heun++", ComfyUI `heunpp2`.
 * Three calls per step, two for the last but one, one for the last.
 */
export const heunpp2 = builtInSampler('heunpp2', {}, (plan) => {
  const first = plan.intervals[0]!.from
  for (const { index, from, to } of plan.intervals) {
    plan.call(index, from)
    const next = plan.intervals[index + 1]?.to
    if (next === undefined) {
      plan.write('x', [to / from, 'x'], [1 - to / from, 'denoised'])
      continue
    }
    plan.write('slope', [1 / from, 'x'], [-1 / from, 'denoised'])
    plan.write('ahead', [1, 'x'], [to - from, 'slope'])
    plan.call(index, to, [1, 'ahead']).write('slope2', [1 / to, 'ahead'], [-1 / to, 'denoised'])
    if (index + 2 === plan.intervals.length) {
      const share = to / (2 * first)
      plan.write('x', [1, 'x'], [(to - from) * (1 - share), 'slope'], [(to - from) * share, 'slope2'])
      continue
    }
    plan.write('ahead', [1, 'ahead'], [next - to, 'slope2'])
    plan.call(index, next, [1, 'ahead']).write('slope3', [1 / next, 'ahead'], [-1 / next, 'denoised'])
    const [second, third] = [to / (3 * first), next / (3 * first)]
    const step = to - from
    plan.write('x', [1, 'x'], [step * (1 - second - third), 'slope'], [step * second, 'slope2'], [step * third, 'slope3'])
  }
})
