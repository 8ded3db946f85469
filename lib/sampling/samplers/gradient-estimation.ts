import type { PlanBuilder } from '../plan-builder.js'
import { builtInSampler } from './sampler.js'

function gradientSteps(plan: PlanBuilder, gamma: number, cfgPp: boolean): void {
  const estimate = cfgPp ? 'uncond' : 'denoised'
  for (const { index, from, to } of plan.intervals) {
    plan.call(index, from)
    if (to === 0) {
      plan.write('x', [1, 'denoised'])
      continue
    }
    // Slopes in turn in two places: this step's and the last one's.
    const [slope, last] = index % 2 === 0 ? ['even', 'odd'] : ['odd', 'even']
    plan.write(slope!, [1 / from, 'x'], [-1 / from, estimate])
    const correction = index > 0 ? (gamma - 1) * (to - from) : 0
    if (cfgPp) plan.write('x', [1, 'denoised'], [to + correction, slope!], [-correction, last!])
    else plan.write('x', [1, 'x'], [to - from + correction, slope!], [-correction, last!])
  }
}

/**
 * Euler's method with the slope corrected by what it changed since the last step. Permenter and Yuan 2023, "Interpreting and Improving
 * Diffusion Models from an Optimization Perspective"; ComfyUI `sample_gradient_estimation`. One call per step.
 *
 * `gamma` is the weight of the new slope against the old one; 1 is euler.
 */
export const gradientEstimation = builtInSampler('gradient_estimation', { gamma: 2 }, (plan, { gamma }) =>
  gradientSteps(plan, gamma, false),
)

/** The same with CFG++, as in euler_cfg_pp. */
export const gradientEstimationCfgPp = builtInSampler('gradient_estimation_cfg_pp', { gamma: 2 }, (plan, { gamma }) =>
  gradientSteps(plan, gamma, true),
)
