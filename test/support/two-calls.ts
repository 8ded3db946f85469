import { defineSampler, planner } from '../../lib/index.js'

/** Defines Heun's method (docs/sampling.md) under a name: two calls per step, the last step has one, and registers of its own. */
export function defineHeun(name: string): void {
  const make = planner(name, {}, (plan) => {
    for (const { index, from, to } of plan.intervals) {
      plan.call(index, from)
      if (to === 0) {
        plan.write('x', [1, 'denoised'])
        continue
      }
      plan.write('slope', [1 / from, 'x'], [-1 / from, 'denoised'])
      plan.write('ahead', [1, 'x'], [to - from, 'slope'])
      plan.call(index, to, [1, 'ahead'])
      plan.write('slope', [0.5, 'slope'], [0.5 / to, 'ahead'], [-0.5 / to, 'denoised'])
      plan.write('x', [1, 'x'], [to - from, 'slope'])
    }
  })
  defineSampler(name, make)
}
