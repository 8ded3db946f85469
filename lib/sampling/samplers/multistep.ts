import type { Term } from '../plan.js'
import type { PlanBuilder } from '../plan-builder.js'

/**
 * Explicit multistep methods on the slopes d = (x − D) / σ: x ← x + Σ coefficientⱼ · dᵢ₋ⱼ, j = 0 being this step's. The step to σ = 0
 * returns the denoised estimate. One call per step.
 *
 * @param order        how many slopes are kept; the first steps have fewer
 * @param coefficients for the i-th step, of at most `order` and at most i + 1 slopes, in units of σ
 * @param heunStart    takes the mean of the slopes at both ends for the first step, with a second call
 */
export function slopeSteps(
  plan: PlanBuilder,
  order: number,
  coefficients: (i: number, count: number) => readonly number[],
  heunStart = false,
): void {
  // Slopes stay where they are; the oldest gives its place to the newest.
  const place = (i: number) => `slope${i % order}`
  for (const { index, from, to } of plan.intervals) {
    plan.call(index, from)
    if (to === 0) {
      plan.write('x', [1, 'denoised'])
      continue
    }
    plan.write(place(index), [1 / from, 'x'], [-1 / from, 'denoised'])
    if (heunStart && index === 0) {
      const half = (to - from) / 2
      plan.write('ahead', [1, 'x'], [2 * half, place(0)])
      plan.call(index, to, [1, 'ahead'])
      plan.write('x', [1, 'x'], [half, place(0)], [half / to, 'ahead'], [-half / to, 'denoised'])
      continue
    }
    const slopes = coefficients(index, Math.min(index + 1, order)).map((coefficient, j): Term => [coefficient, place(index - j)])
    plan.write('x', [1, 'x'], ...slopes)
  }
}
