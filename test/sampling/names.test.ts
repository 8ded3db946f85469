import { describe, expect, it } from 'vitest'
import {
  defineSampler,
  planner,
  resolveSampler,
  resolveScheduler,
  samplerAliases,
  samplerLabel,
  samplerNames,
  samplerOptions,
  samplingPlan,
  scheduleNames,
  schedulerAliases,
  schedulerLabel,
  sigmas,
} from '../../lib/sampling/index.js'

describe('resolveSampler', () => {
  it.each([
    // A1111's and Forge's labels
    ['Euler', { sampler: 'euler' }],
    ['Euler a', { sampler: 'euler_a' }],
    ['DPM++ 2M Karras', { sampler: 'dpmpp_2m', scheduler: 'karras' }],
    ['DPM++ 2M SDE Exponential', { sampler: 'dpmpp_2m_sde', scheduler: 'exponential' }],
    ['DPM++ 2M SDE Heun Karras', { sampler: 'dpmpp_2m_sde_heun', scheduler: 'karras' }],
    ['DPM++ 2S a Karras', { sampler: 'dpmpp_2s_a', scheduler: 'karras' }],
    ['DPM++ 3M SDE', { sampler: 'dpmpp_3m_sde' }],
    ['dpm++ sde sgm uniform', { sampler: 'dpmpp_sde', scheduler: 'sgm_uniform' }],
    ['DPM2 a Karras', { sampler: 'dpm2_a', scheduler: 'karras' }],
    ['LMS Karras', { sampler: 'lms', scheduler: 'karras' }],
    ['DPM fast', { sampler: 'dpm_fast' }],
    ['UniPC', { sampler: 'uni_pc' }],
    ['PLMS', { sampler: 'plms' }],
    ['Euler a CFG++', { sampler: 'euler_a_cfg_pp' }],
    ['LCM', { sampler: 'lcm' }],
    ['Euler Align Your Steps GITS', { sampler: 'euler', scheduler: 'gits' }],
    // A1111's aliases
    ['k_euler_a', { sampler: 'euler_a' }],
    ['k_euler_ancestral', { sampler: 'euler_a' }],
    ['k_dpm_2_a', { sampler: 'dpm2_a' }],
    ['k_dpm_2_a_ka', { sampler: 'dpm2_a', scheduler: 'karras' }],
    ['k_dpmpp_2m', { sampler: 'dpmpp_2m' }],
    ['k_dpmpp_2m_sde_exp', { sampler: 'dpmpp_2m_sde', scheduler: 'exponential' }],
    ['k_dpmpp_2s_a', { sampler: 'dpmpp_2s_a' }],
    ['unipc', { sampler: 'uni_pc' }],
    // ComfyUI's names
    ['dpm_2_ancestral', { sampler: 'dpm2_a' }],
    ['dpmpp_2m_sde_heun_gpu', { sampler: 'dpmpp_2m_sde_heun' }],
    ['dpmpp_sde_gpu', { sampler: 'dpmpp_sde' }],
    ['euler_ancestral_cfg_pp', { sampler: 'euler_a_cfg_pp' }],
    ['uni_pc_bh2', { sampler: 'uni_pc_bh2' }],
    ['res_multistep_ancestral', { sampler: 'res_multistep_a' }],
    // k-diffusion's functions
    ['sample_euler_ancestral', { sampler: 'euler_a' }],
    ['sample_dpmpp_2m_sde', { sampler: 'dpmpp_2m_sde' }],
    ['sample_dpm_2', { sampler: 'dpm2' }],
    // Diffusers' classes
    ['EulerDiscreteScheduler', { sampler: 'euler', scheduler: 'ddim_uniform' }],
    ['UniPCMultistepScheduler', { sampler: 'uni_pc', scheduler: 'ddim_uniform', options: { order: 2, variant: 'bh2' } }],
    ['TCDScheduler', { sampler: 'tcd', scheduler: 'lcm', options: { eta: 0.3 } }],
  ])('%s', (name, wanted) => {
    expect(resolveSampler(name)).toEqual(wanted)
  })

  it('reads the flags of a Diffusers configuration', () => {
    const multistep = (config: Record<string, unknown>) => resolveSampler('DPMSolverMultistepScheduler', config)
    expect(multistep({ use_karras_sigmas: true, timestep_spacing: 'leading' })).toEqual({ sampler: 'dpmpp_2m', scheduler: 'karras' })
    expect(multistep({ algorithm_type: 'sde-dpmsolver++', use_exponential_sigmas: true })).toEqual({
      sampler: 'dpmpp_2m_sde',
      scheduler: 'exponential',
    })
    expect(multistep({ algorithm_type: 'sde-dpmsolver++', solver_type: 'heun' }).options).toEqual({ solverType: 'heun' })
    expect(multistep({ timestep_spacing: 'linspace', use_beta_sigmas: false }).scheduler).toBe('normal')
    expect(resolveSampler('EulerDiscreteScheduler', { timestep_spacing: 'trailing' }).scheduler).toBe('trailing')
    expect(resolveSampler('UniPCMultistepScheduler', { solver_order: 3, solver_type: 'bh1' }).options).toEqual({ order: 3, variant: 'bh1' })
  })

  it('knows every built-in sampler by its name and its label', () => {
    for (const name of samplerNames()) {
      expect(resolveSampler(name)).toEqual({ sampler: name })
      expect(resolveSampler(samplerLabel(name))).toEqual({ sampler: name })
    }
    for (const name of scheduleNames()) {
      expect(resolveScheduler(name)).toBe(name)
      expect(resolveScheduler(schedulerLabel(name))).toBe(name)
    }
  })

  it('has no alias that hides a name or leads nowhere, and whose options do not fit', () => {
    for (const [alias, { sampler, scheduler, options }] of Object.entries(samplerAliases)) {
      expect(samplerNames()).not.toContain(alias)
      expect(() => samplingPlan(sampler, sigmas(scheduler ?? 'normal', 4), options)).not.toThrow()
    }
    for (const [alias, scheduler] of Object.entries(schedulerAliases)) {
      expect(scheduleNames()).not.toContain(alias)
      expect(scheduleNames()).toContain(scheduler)
    }
  })

  it('prefers a sampler of one’s own', () => {
    defineSampler(
      'DPM-2',
      planner('DPM-2', {}, (plan) => plan.call(0, 1)),
    )
    expect(resolveSampler('DPM-2')).toEqual({ sampler: 'DPM-2' })
  })

  it('lists names close to an unknown one', () => {
    expect(() => resolveSampler('eular')).toThrow(/There is no sampler named "eular". Close to it: euler/)
    expect(() => resolveSampler('DPM+ 2M')).toThrow(/dpmpp_2m|DPM\+\+ 2M/)
    expect(() => resolveScheduler('Karas')).toThrow(/no scheduler named "Karas". Close to it: karras/)
    expect(() => resolveSampler('qqqqqqqqqqqqqq')).toThrow(/Known are .*euler/)
    expect(() => resolveSampler('DPM adaptive')).toThrow(/chooses its steps while it runs/)
    for (const bad of ['', 7, undefined, 'constructor', '__proto__']) {
      expect(() => resolveSampler(bad as string)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
      expect(() => resolveScheduler(bad as string)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
    }
  })
})

describe('options of samplers', () => {
  it('are known with their defaults', () => {
    expect(samplerOptions('euler_a')).toEqual({ eta: 1, sNoise: 1 })
    expect(samplerOptions('ddim')).toEqual({ eta: 0, sNoise: 1 })
    expect(samplerOptions('uni_pc')).toEqual({ order: { default: 3, from: 1, to: 3 }, variant: ['bh1', 'bh2'] })
    expect(samplerOptions('nothing')).toBeUndefined()
  })

  it.each([
    ['uni_pc', { order: 4 }, /an integer from 1 to 3 for order, received 4/],
    ['uni_pc', { order: 1.5 }, /an integer from 1 to 3 for order/],
    ['uni_pc', { variant: 'bh3' }, /one of "bh1", "bh2" for variant, received "bh3"/],
    ['uni_pc_bh2', { variant: 'bh2' }, /Unknown option variant; allowed are order/],
    ['dpmpp_2m_sde', { solverType: 'mid' }, /one of "midpoint", "heun" for solverType/],
    ['dpmpp_sde', { r: 0 }, /between 0 and 1 for r/],
    ['dpmpp_sde', { r: 1 }, /between 0 and 1 for r/],
    ['heun', { sChurn: -1 }, /at least 0 for sChurn/],
  ])('%s %j are checked', (sampler, options, message) => {
    expect(() => samplingPlan(sampler, [4, 2, 1, 0], options)).toThrow(message)
  })

  it('defaults are what is left out', () => {
    const levels = sigmas('karras', 6)
    for (const name of samplerNames()) {
      const defaults = Object.entries(samplerOptions(name) ?? {}).map(([option, spec]) => {
        if (typeof spec === 'number') return [option, Number.isFinite(spec) ? spec : undefined]
        return [option, 'from' in spec ? spec.default : spec[0]]
      })
      if (name === 'DPM-2') continue
      expect(samplingPlan(name, levels, Object.fromEntries(defaults) as Record<string, unknown>)).toEqual(samplingPlan(name, levels))
    }
  })
})
