import type { Term } from '../plan.js'
import type { PlanBuilder } from '../plan-builder.js'
import { integer } from '../sampler-options.js'
import { solve } from './linear-system.js'
import { builtInSampler } from './sampler.js'

/** What stands for σ = 0, which is infinitely far away in λ = −log σ. */
const end = 0.001

type Variant = 'bh1' | 'bh2'

function uniPcSteps(plan: PlanBuilder, most: number, variant: Variant): void {
  const levels = [...plan.intervals.map(({ from }) => from), plan.intervals.at(-1)!.to]
  const steps = plan.intervals.length
  if (levels[steps] === 0 && levels[steps - 1]! > end) levels[steps] = end
  const order = Math.max(Math.min(most, steps - 1), 1)
  const place = (i: number) => `estimate${i % order}`

  plan.call(0, levels[0]!)
  for (let i = 1; i <= steps; ++i) {
    const used = Math.min(i, order, steps + 1 - i)
    const weights = stepWeights(levels, i, used, variant)
    const history = (shares: readonly number[]) => shares.map((share, j): Term => [share, place(i - 1 - j)])
    plan.write(place(i - 1), [1, 'denoised'])
    if (i === steps) {
      plan.write('x', [weights.ratio, 'x'], ...history(weights.predictor))
      return
    }
    plan.call(i, levels[i]!, [weights.ratio, 'x'], ...history(weights.predictor))
    plan.write('x', [weights.ratio, 'x'], ...history(weights.corrector), [weights.newest, 'denoised'])
  }
}

/**
 * Weights of the step to the i-th level with the `order` last estimates, the newest first: of the predictor, and of the corrector, which also
 * has the estimate at the predicted point (`newest`). Zhao et al. 2023, eq. 3 and 9 with the data prediction of appendix A.4.
 */
function stepWeights(levels: readonly number[], i: number, order: number, variant: Variant) {
  const lambda = (j: number) => -Math.log(levels[j]!)
  const ratio = levels[i]! / levels[i - 1]!
  if (ratio === 0) return { ratio, predictor: [1], corrector: [1], newest: 0 }
  const h = lambda(i) - lambda(i - 1)
  const scale = variant === 'bh1' ? -h : Math.expm1(-h) // B(h)
  const nodes = Array.from({ length: order - 1 }, (_, j) => (lambda(i - 2 - j) - lambda(i - 1)) / h)
  const moments: number[] = []
  let phi = Math.expm1(-h) / -h - 1
  for (let k = 1, factorial = 1; k <= order; ++k) {
    moments.push((phi * factorial) / scale)
    factorial *= k + 1
    phi = phi / -h - 1 / factorial
  }
  const fit = (at: readonly number[]) =>
    solve(
      at.map((_, power) => at.map((node) => node ** power)),
      moments.slice(0, at.length),
    )
  // The shortcuts of the authors' code: exact only to first order in h.
  const predicted = order === 2 ? [0.5] : fit(nodes)
  const corrected = order === 1 ? [0.5] : fit([...nodes, 1])

  const weights = (shares: readonly number[], newest: number) => {
    const older = nodes.map((node, j) => (-scale * shares[j]!) / node)
    return [1 - ratio - older.reduce((sum, share) => sum + share, newest), ...older]
  }
  const newest = -scale * corrected.at(-1)!
  return { ratio, predictor: weights(predicted, 0), corrector: weights(corrected, newest), newest }
}

/**
 * UniPC, a predictor and a corrector of the same order that share their calls: the estimate that corrects a step serves for predicting the
 * next. Zhao et al. 2023, "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models"; ComfyUI
 * `sample_unipc`. One call per step; the last step is not corrected.
 *
 * A final σ of 0 is taken as 0.001. `order` is the most estimates used, fewer in the first and last steps and where there are few steps;
 * `variant` is the paper's B(h).
 */
export const uniPc = builtInSampler('uni_pc', { order: integer(3, 1, 3), variant: ['bh1', 'bh2'] }, (plan, { order, variant }) =>
  uniPcSteps(plan, order, variant),
)

/** uni_pc with B₂(h) = e^h − 1. */
export const uniPcBh2 = builtInSampler('uni_pc_bh2', { order: integer(3, 1, 3) }, (plan, { order }) => uniPcSteps(plan, order, 'bh2'))
