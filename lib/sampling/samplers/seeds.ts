import { builtInSampler } from './sampler.js'
import type { PlanBuilder } from '../plan-builder.js'
import type { Term } from '../plan.js'

/** e^(−z) − 1 and its remainder, (e^(−z) − 1 + z) / −z: the weights of a constant and of a linear estimate. */
const phi1 = (z: number) => Math.expm1(-z)
const phi2 = (z: number) => (Math.expm1(-z) + z) / -z

/** Noise along one path over λ = −log σ: what a stage has, brought to the next stage's time, and a fresh draw for the time between. */
function path(plan: PlanBuilder, rate: number, sNoise: number) {
  let terms: Term[] = []
  let at = 0
  return {
    /** @param to time since the step began; @param sigma level there */
    to(time: number, sigma: number): Term[] {
      const passed = (time - at) * rate
      const kept = Math.exp(-passed)
      const fresh = plan.noise(sNoise > 0 ? Math.sqrt(-Math.expm1(-2 * passed)) : 0)
      terms = [...terms.map(([coefficient, register]): Term => [coefficient * kept, register]), fresh]
      at = time
      return terms.map(([coefficient, register]) => [coefficient * sigma * sNoise, register])
    },
  }
}

/**
 * Stochastic explicit exponential solver of two stages. Gonzalez et al. 2023, "SEEDS: Exponential SDE Solvers for Fast High-Quality Sampling
 * from Diffusion Models"; ComfyUI `sample_seeds_2`. Two calls per step, one for the step to σ = 0.
 *
 * `eta` and `sNoise` are those of dpmpp_2m_sde. The k-th stage's noise is drawn in the order of the stages.
 */
export const seeds2 = builtInSampler('seeds_2', { eta: 1, sNoise: 1 }, (plan, { eta, sNoise }) => {
  for (const { index, from, to } of plan.intervals) {
    plan.call(index, from)
    if (to === 0) {
      plan.write('x', [1, 'denoised'])
      continue
    }
    const h = Math.log(from / to)
    const middle = Math.sqrt(from * to)
    const noise = path(plan, eta, sNoise)
    const kept = (sigma: number) => (sigma / from) ** (1 + eta)
    plan.call(index, middle, [kept(middle), 'x'], [1 - kept(middle), 'denoised'], ...noise.to(h / 2, middle))
    plan.write('x', [kept(to), 'x'], [1 - kept(to), 'denoised'], ...noise.to(h, to))
  }
})

/** The same with three stages, at a third and two thirds of the step. ComfyUI `sample_seeds_3`. Three calls per step, one for the step to σ = 0. */
export const seeds3 = builtInSampler('seeds_3', { eta: 1, sNoise: 1 }, (plan, { eta, sNoise }) => {
  for (const { index, from, to } of plan.intervals) {
    plan.call(index, from)
    if (to === 0) {
      plan.write('x', [1, 'denoised'])
      continue
    }
    const h = Math.log(from / to)
    const length = h * (1 + eta)
    const sigma = (share: number) => from * (to / from) ** share
    const noise = path(plan, eta, sNoise)
    const kept = (share: number) => (sigma(share) / from) ** (1 + eta)
    plan.write('first', [1, 'denoised'])
    const third = sigma(1 / 3)
    plan.call(index, third, [kept(1 / 3), 'x'], [1 - kept(1 / 3), 'first'], ...noise.to(h / 3, third))

    const second = sigma(2 / 3)
    const along = -2 * phi2((2 / 3) * length)
    const constant = -phi1((2 / 3) * length) - along
    plan.call(index, second, [kept(2 / 3), 'x'], [constant, 'first'], [along, 'denoised'], ...noise.to((2 * h) / 3, second))

    const last = -phi2(length) / (2 / 3)
    plan.write('x', [kept(1), 'x'], [-phi1(length) - last, 'first'], [last, 'denoised'], ...noise.to(h, to))
  }
})
