import { integer } from '../sampler-options.js'
import { integrate, lagrange } from './lagrange.js'
import { slopeSteps } from './multistep.js'
import { builtInSampler } from './sampler.js'

/** σ of the variance-preserving process that polynomials are fitted in the time of: its ends and the time of the lower one. */
const [sigmaMin, sigmaMax, timeMin] = [0.002, 80, 1e-3]
const betaSlope = (2 * (Math.log(sigmaMin ** 2 + 1) / timeMin - Math.log(sigmaMax ** 2 + 1))) / (timeMin - 1)
const betaStart = Math.log(sigmaMax ** 2 + 1) - betaSlope / 2

/** log(1 + σ²) = betaSlope · t² / 2 + betaStart · t */
const time = (sigma: number): number => (Math.sqrt(betaStart ** 2 + 2 * betaSlope * Math.log1p(sigma ** 2)) - betaStart) / betaSlope

/** dσ/dt */
const speed = (sigma: number): number => ((betaSlope * time(sigma) + betaStart) * (sigma ** 2 + 1)) / (2 * sigma)

/** Points of ComfyUI's sum. */
const points = 10_000
/** The integrand is smooth on pieces this many to an interval, even one over the whole range. */
const pieces = 6

/**
 * Like lms, with polynomials in the time t of a variance-preserving process instead of σ. Zhang and Chen 2022, "Fast Sampling of Diffusion
 * Models with Exponential Integrator" (tAB-DEIS); ComfyUI `sample_deis`. One call per step.
 *
 * ComfyUI sums 10000 values of the integrand, both ends among them, each worth 1 / 10000 of the interval. That is the trapezoidal rule but
 * for the weight of the ends, 5e-5 of the result, which is repeated here for the same pictures.
 */
export const deis = builtInSampler('deis', { order: integer(3, 1, 4) }, (plan, { order }) => {
  slopeSteps(plan, order, (i, count) => {
    const { from, to } = plan.intervals[i]!
    if (count === 1) return [to - from]
    const nodes = Array.from({ length: count }, (_, j) => time(plan.intervals[i - j]!.from))
    return nodes.map((_, j) => {
      const value = (sigma: number) => lagrange(nodes, j, time(sigma))
      let exact = 0
      for (let k = 0; k < pieces; ++k) exact += integrate(value, piece(from, to, k), piece(from, to, k + 1))
      const ends = ((value(from) * speed(from) + value(to) * speed(to)) / 2) * (time(to) - time(from))
      return (exact * (points - 1) + ends) / points
    })
  })
})

const piece = (from: number, to: number, k: number) => from * (to / from) ** (k / pieces)
