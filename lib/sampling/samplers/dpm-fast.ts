import type { Term } from '../plan.js'
import type { PlanBuilder } from '../plan-builder.js'
import { builtInSampler } from './sampler.js'
import { ancestral } from './steps.js'

/**
 * DPM-Solver with as many calls as there are steps: steps of third order, evenly spaced in log σ, and one or two of lower order at the end.
 * Of the list of levels only the first, the lowest above 0 and the length count, and the result is that of the lowest level.
 * Lu et al. 2022, "DPM-Solver", section 3.4; k-diffusion `sample_dpm_fast`.
 *
 * `eta` and `sNoise` are those of euler_a; by default no noise is renewed.
 */
export const dpmFast = builtInSampler('dpm_fast', { eta: 0, sNoise: 1 }, (plan, { eta, sNoise }) => {
  const { intervals } = plan
  const count = intervals.length
  const { from: first } = intervals[0]!
  const last = intervals.at(-1)!.to || intervals.at(-1)!.from
  // One step to 0: there is no range.
  if (first === last) {
    plan.call(0, first).write('x', [1, 'denoised'])
    return
  }
  const groups = Math.floor(count / 3) + 1
  const orders = Array.from({ length: groups }, () => 3)
  if (count % 3 === 0) orders.splice(-2, 2, 2, 1)
  else orders[groups - 1] = count % 3

  let index = 0
  orders.forEach((order, group) => {
    const level = (k: number) => first * (last / first) ** (k / groups)
    const [from, to] = [level(group), level(group + 1)]
    const down = Math.max(ancestral(from, to, eta).down, last)
    solverStep(plan, index, order, from, down)
    const up = down < to ? Math.sqrt(to ** 2 - down ** 2) : 0
    plan.write('x', [1, 'next'], plan.noise(sNoise * up))
    index += order
  })
})

/** next ← x taken from one level to another, by the solver of the order 1, 2 or 3: that many calls. */
function solverStep(plan: PlanBuilder, index: number, order: number, from: number, to: number): void {
  const h = Math.log(from / to)
  const between = (share: number) => from * (to / from) ** share
  const slope = (sigma: number, input: string): Term[] => [
    [1 / sigma, input],
    [-1 / sigma, 'denoised'],
  ]
  plan.call(index, from).write('slope', ...slope(from, 'x'))
  if (order === 1) {
    plan.write('next', [1, 'x'], [to - from, 'slope'])
    return
  }
  const r1 = order === 2 ? 1 / 2 : 1 / 3
  const first = between(r1)
  plan.write('next', [1, 'x'], [first - from, 'slope'])
  plan.call(index + 1, first, [1, 'next']).write('slope1', ...slope(first, 'next'))
  if (order === 2) {
    plan.write('next', [1, 'x'], [to - from, 'slope1'])
    return
  }
  const second = between(2 / 3)
  // σ (e^z − 1) / z − σ: what a slope that grows linearly adds.
  const bend = (sigma: number, z: number) => sigma * (Math.expm1(z) / z - 1)
  const more = 2 * bend(second, (2 / 3) * h)
  plan.write('next', [1, 'x'], [second - from + more, 'slope'], [-more, 'slope1'])
  plan.call(index + 2, second, [1, 'next']).write('slope2', ...slope(second, 'next'))
  const last = (3 / 2) * bend(to, h)
  plan.write('next', [1, 'x'], [to - from + last, 'slope'], [-last, 'slope2'])
}
