import type { Interval } from '../plan-builder.js'
import { integer } from '../sampler-options.js'
import { slopeSteps } from './multistep.js'
import { builtInSampler } from './sampler.js'

/** Adams–Bashforth weights for evenly spaced levels, the newest slope first. */
const adamsBashforth: readonly (readonly number[])[] = [
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
]

const evenWeights = ({ from, to }: Interval, count: number) => adamsBashforth[count - 1]!.map((weight) => weight * (to - from))

/**
 * The multistep weights of evenly spaced levels on any levels. Zhang and Chen 2022, "Fast Sampling of Diffusion Models with Exponential
 * Integrator" (iPNDM); ComfyUI `sample_ipndm`. One call per step.
 */
export const ipndm = builtInSampler('ipndm', { order: integer(4, 1, 4) }, (plan, { order }) => {
  slopeSteps(plan, order, (i, count) => evenWeights(plan.intervals[i]!, count))
})

/**
 * The same for the levels as they are. ComfyUI `sample_ipndm_v`, whose weights from the third slope on differ a little from the exact ones
 * of lms, and with the fourth do not add up to 1 where the levels are uneven. One call per step.
 */
export const ipndmV = builtInSampler('ipndm_v', { order: integer(4, 1, 4) }, (plan, { order }) => {
  slopeSteps(plan, order, (i, count) => {
    // Widths of this step and of those before it.
    const [h, h1, h2, h3] = [0, 1, 2, 3].map((j) => (j < count ? plan.intervals[i - j]!.to - plan.intervals[i - j]!.from : 1)) as Widths
    const weights = [1, 0, 0, 0]
    const add = (share: number, ...parts: number[]) => parts.forEach((part, j) => (weights[j]! += share * part))
    if (count > 1) add(h / h1 / 2, 1, -1)
    if (count > 2) add((1 - h ** 2 / (3 * h1 * (h1 + h2))) / 2, 1, -1 - h1 / h2, h1 / h2)
    if (count > 3) {
      const r = (h1 * (h1 + h2)) / (h2 * (h2 + h3))
      const share = (1 - h / (3 * (h + h1))) / 2 + ((1 - h / (2 * (h + h1))) * h) / (6 * (h + h1 + h2))
      const scale = (h * (h + h1) * (h + h1 + h2)) / (h1 * (h1 + h2) * (h1 + h2 + h3))
      add(share * scale, 1, -1 - h1 / h2 - r, h1 / h2 + r * (1 + h2 / h3), (-r * h1) / h2)
    }
    return weights.slice(0, count).map((weight) => weight * h)
  })
})

type Widths = [number, number, number, number]

/**
 * ipndm whose first step is Heun's. Liu et al. 2022, "Pseudo Numerical Methods for Diffusion Models on Manifolds" (PLMS); A1111 `plms`.
 * One call per step and a further one for the first.
 */
export const plms = builtInSampler('plms', {}, (plan) => {
  const heunStart = true
  slopeSteps(plan, 4, (i, count) => evenWeights(plan.intervals[i]!, count), heunStart)
})
