import { builtInSampler } from './sampler.js'

/**
 * DPM-Solver++(2M): the denoised estimate is extrapolated in λ = −log σ from this call and the one before.
 * Lu et al. 2022, "DPM-Solver++", algorithm 2; k-diffusion `sample_dpmpp_2m`. The first step, and the one to σ = 0 (λ = ∞),
 * are of first order. One call per step.
 */
export const dpmpp2m = builtInSampler('dpmpp_2m', {}, (plan) => {
  const steps = plan.intervals
  const width = (i: number) => Math.log(steps[i]!.from / steps[i]!.to)
  const secondOrder = (i: number) => i > 0 && i < steps.length && steps[i]!.to > 0
  for (const { index, from, to } of steps) {
    plan.call(index, from)
    const gain = 1 - to / from // 1 − e^(−h)
    if (secondOrder(index)) {
      const slope = width(index) / (2 * width(index - 1)) // 1 / 2r
      plan.write('x', [to / from, 'x'], [gain * (1 + slope), 'denoised'], [-gain * slope, 'previous'])
    } else {
      plan.write('x', [to / from, 'x'], [gain, 'denoised'])
    }
    if (secondOrder(index + 1)) plan.write('previous', [1, 'denoised'])
  }
})
