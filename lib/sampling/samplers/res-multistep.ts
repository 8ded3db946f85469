import type { Term } from '../plan.js'
import type { PlanBuilder } from '../plan-builder.js'
import { builtInSampler } from './sampler.js'
import { ancestral } from './steps.js'

interface Options {
  readonly eta: number
  readonly sNoise: number
  /** With CFG++ the noise is that of the unconditional estimate, and x moves by the guidance. */
  readonly cfgPp: boolean
}

function resSteps(plan: PlanBuilder, { eta, sNoise, cfgPp }: Options): void {
  const estimate = cfgPp ? 'uncond' : 'denoised'
  let lastDown = 0
  for (const { index, from, to } of plan.intervals) {
    const { down, up } = ancestral(from, to, eta)
    const ratio = down / from
    const secondOrder = index > 0 && down > 0
    let share = 0
    if (secondOrder) {
      const h = Math.log(from / down)
      const phi1 = (1 - ratio) / h
      // From where the last step began to where it stopped before its noise, in units of this step.
      const c2 = Math.log(lastDown / plan.intervals[index - 1]!.from) / h
      share = (1 - phi1) / c2
    }
    const guided = cfgPp ? (secondOrder ? ratio : 1) : 1 - ratio - share
    const terms: Term[] = [
      [ratio, 'x'],
      [guided, 'denoised'],
      [cfgPp ? 1 - ratio - share - guided : 0, 'uncond'],
      [share, 'previous'],
    ]
    plan.call(index, from).write('x', ...terms, plan.noise(sNoise * up))
    if (plan.intervals[index + 1]?.to) plan.write('previous', [1, estimate])
    lastDown = down
  }
}

/**
 * The refined exponential solver with two estimates, of this call and of the one before. Zhang et al. 2023, "Improved Order Analysis and
 * Design of Exponential Integrator for Diffusion Models Sampling"; ComfyUI `sample_res_multistep`. One call per step; the first, and the
 * one to σ = 0, are of first order.
 */
export const resMultistep = builtInSampler('res_multistep', {}, (plan) => resSteps(plan, { eta: 0, sNoise: 1, cfgPp: false }))

/** The same to a level below the next one, then fresh noise up to it. The options are those of euler_a. */
export const resMultistepAncestral = builtInSampler('res_multistep_a', { eta: 1, sNoise: 1 }, (plan, options) =>
  resSteps(plan, { ...options, cfgPp: false }),
)

/** res_multistep with CFG++, as in euler_cfg_pp. */
export const resMultistepCfgPp = builtInSampler('res_multistep_cfg_pp', {}, (plan) => resSteps(plan, { eta: 0, sNoise: 1, cfgPp: true }))

/** res_multistep_a with CFG++, as in euler_a_cfg_pp. */
export const resMultistepAncestralCfgPp = builtInSampler('res_multistep_a_cfg_pp', { eta: 1, sNoise: 1 }, (plan, options) =>
  resSteps(plan, { ...options, cfgPp: true }),
)
