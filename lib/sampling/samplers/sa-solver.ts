import { lastTimestep } from '../noise-table.js'
import type { Term } from '../plan.js'
import type { Interval, PlanBuilder } from '../plan-builder.js'
import { integer } from '../sampler-options.js'
import { solve } from './linear-system.js'
import { builtInSampler } from './sampler.js'

/** Only between these shares of the training's timesteps noise is renewed. */
const [noisyFrom, noisyTo] = [0.2, 0.8]

interface Options {
  readonly eta: number
  readonly sNoise: number
  readonly predictorOrder: number
  readonly correctorOrder: number
}

/** @param again evaluates the corrected point too, before predicting from it (PECE) */
function saSteps(plan: PlanBuilder, { eta, sNoise, predictorOrder, correctorOrder }: Options, again: boolean): void {
  const { intervals, table } = plan
  const most = Math.max(predictorOrder, correctorOrder)
  const place = (i: number) => `estimate${i % most}`
  const sigmaAt = (share: number) => table.timestepToSigma(share * lastTimestep)
  const noisy = (sigma: number) => sigma >= sigmaAt(noisyFrom) && sigma <= sigmaAt(noisyTo)
  const left = (i: number) => (intervals.at(-1)!.to === 0 ? intervals.length - i : Infinity)

  /** From the level of `step` to its end with the estimates of the calls `newest`, `newest` − 1, …: all terms but the noise. */
  const advance = ({ from, to }: Interval, newest: number, order: number): Term[] => {
    const strength = 1 + (noisy(to) ? eta : 0) ** 2
    const times = Array.from({ length: order }, (_, j) => Math.log(from / intervals[newest - j]!.from))
    const kept = (to / from) ** strength
    return [[kept, 'x'], ...adamsWeights(Math.log(from / to), strength, times).map((weight, j): Term => [weight, place(newest - j)])]
  }

  let noise: Term = [0, 'x']
  for (const step of intervals) {
    const { index, from, to } = step
    if (index === 0) plan.call(0, from)
    else plan.call(index, from, [1, 'predicted'])
    if (to > 0 || again) {
      plan.write(place(index), [1, 'denoised'])
      // Of lower order near the end, where a step is long.
      const order = Math.min(correctorOrder, index + 1, left(index))
      if (index > 0) plan.write('x', ...advance(intervals[index - 1]!, index, order), noise)
      if (again && index > 0) {
        plan.call(index, from)
        if (to > 0) plan.write(place(index), [1, 'denoised'])
      }
    }
    if (to === 0) {
      plan.write('x', [1, 'denoised'])
      return
    }
    const tau = noisy(to) ? eta : 0
    noise = plan.noise(sNoise * to * Math.sqrt(1 - (to / from) ** (2 * tau ** 2)))
    const order = Math.min(predictorOrder, index + 1, left(index) - 1)
    plan.write(index === intervals.length - 1 ? 'x' : 'predicted', ...advance(step, index, order), noise)
  }
}

/**
 * ∫ strength · e^(strength (t − h)) · Lⱼ(t) dt from 0 to h, Lⱼ being the Lagrange polynomials of the nodes `times`: found from the integrals
 * of the powers of t.
 */
function adamsWeights(h: number, strength: number, times: readonly number[]): number[] {
  const moments: number[] = []
  times.forEach((_, power) => {
    if (power === 0) moments.push(-Math.expm1(-strength * h))
    else moments.push(h ** power - (power / strength) * moments[power - 1]!)
  })
  return solve(
    times.map((_, power) => times.map((time) => time ** power)),
    moments,
  )
}

const options = { eta: 1, sNoise: 1, predictorOrder: integer(3, 1, 4), correctorOrder: integer(4, 1, 4) } as const

/**
 * Stochastic Adams solver: a multistep predictor and corrector in λ = −log σ that renew noise in the middle of the run. Xue et al. 2023,
 * "SA-Solver: Stochastic Adams Solver for Fast Sampling of Diffusion Models", eq. 14 and 17; ComfyUI `sample_sa_solver`.
 * One call per step; a corrected step uses its noise twice.
 *
 * `eta` is the paper's τ, the rate at which noise is renewed; the orders are the most estimates that predictor and corrector use.
 */
export const saSolver = builtInSampler('sa_solver', options, (plan, values) => saSteps(plan, values, false))

/** The same with a second call at each corrected point. ComfyUI `sample_sa_solver_pece`. Two calls per step, one for the first. */
export const saSolverPece = builtInSampler('sa_solver_pece', options, (plan, values) => saSteps(plan, values, true))
