import { builtInSampler } from './sampler.js'
import type { PlanBuilder } from '../plan-builder.js'

/** Shares of the estimate before this step's, 1 / 2r of the paper; 0 for the first step and for the one to σ = 0 (λ = ∞). */
function slopes(plan: PlanBuilder): number[] {
  const widths = plan.intervals.map(({ from, to }) => Math.log(from / to))
  return widths.map((width, i) => (i > 0 && plan.intervals[i]!.to > 0 ? width / (2 * widths[i - 1]!) : 0))
}

/**
 * DPM-Solver++(2M): the denoised estimate is extrapolated in λ = −log σ from this call and the one before.
 * Lu et al. 2022, "DPM-Solver++", algorithm 2; k-diffusion `sample_dpmpp_2m`. The first step, and the one to σ = 0 (λ = ∞),
 * are of first order. One call per step.
 */
export const dpmpp2m = builtInSampler('dpmpp_2m', {}, (plan) => {
  const slope = slopes(plan)
  for (const { index, from, to } of plan.intervals) {
    const gain = 1 - to / from // 1 − e^(−h)
    const extrapolation = gain * slope[index]!
    plan.call(index, from).write('x', [to / from, 'x'], [gain + extrapolation, 'denoised'], [-extrapolation, 'previous'])
    if (slope[index + 1]) plan.write('previous', [1, 'denoised'])
  }
})

/**
 * dpmpp_2m with CFG++: the noise is that of the unconditional estimate, which also is what the next step extrapolates from. Chung et al.
 * 2024, "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion Models"; ComfyUI `sample_dpmpp_2m_cfg_pp`.
 */
export const dpmpp2mCfgPp = builtInSampler('dpmpp_2m_cfg_pp', {}, (plan) => {
  const slope = slopes(plan)
  for (const { index, from, to } of plan.intervals) {
    const extrapolation = (1 - to / from) * slope[index]!
    plan.call(index, from)
    plan.write('x', [to / from, 'x'], [1 + extrapolation, 'denoised'], [-to / from, 'uncond'], [-extrapolation, 'previous'])
    if (slope[index + 1]) plan.write('previous', [1, 'uncond'])
  }
})
