import type { SamplingPlan } from '../sampling/index.js'

/**
 * The scale of guidance in each model call. Outside of the interval it is 1, which is one prediction less.
 *
 * @param guidance one number, or one per step of the run
 * @param interval shares of the run's steps; step i of n, from 0, is inside where start ≤ i / n < end
 */
export function guidancePerCall(
  plan: SamplingPlan,
  guidance: number | readonly number[],
  [start, end]: readonly [number, number],
): number[] {
  const steps = plan.steps.reduce((most, { index }) => Math.max(most, index + 1), 0)
  const inside = (step: number) => step / steps >= start && (step / steps < end || end === 1)
  return plan.steps
    .filter(({ call }) => call)
    .map(({ index }) => (inside(index) ? (typeof guidance === 'number' ? guidance : guidance[index]!) : 1))
}
