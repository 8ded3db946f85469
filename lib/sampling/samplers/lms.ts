import { integer } from '../sampler-options.js'
import { integrate, lagrange } from './lagrange.js'
import { slopeSteps } from './multistep.js'
import { builtInSampler } from './sampler.js'

/**
 * Linear multistep (Adams–Bashforth) on uneven levels: the polynomial in σ through the last `order` slopes, integrated exactly.
 * k-diffusion `sample_lms` and `linear_multistep_coeff`.
 */
export const lms = builtInSampler('lms', { order: integer(4, 1, 8) }, (plan, { order }) => {
  slopeSteps(plan, order, (i, count) => {
    const nodes = Array.from({ length: count }, (_, j) => plan.intervals[i - j]!.from)
    const { from, to } = plan.intervals[i]!
    return nodes.map((_, j) => integrate((sigma) => lagrange(nodes, j, sigma), from, to))
  })
})
