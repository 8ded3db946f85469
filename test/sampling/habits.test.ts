import { describe, expect, it } from 'vitest'
import { fewStepDefaults, fewStepKind, resolveSampler, samplerHabits, samplingFor, samplingPlan, sigmas } from '../../lib/sampling/index.js'

describe('samplingFor', () => {
  it('takes A1111’s "Automatic" by the sampler', () => {
    const scheduler = (sampler: string, given?: string) => samplingFor({ sampler, steps: 5, scheduler: given }).scheduler
    expect(scheduler('Euler a')).toBe('normal')
    expect(scheduler('DPM++ 2M')).toBe('karras')
    expect(scheduler('DPM++ 2M', 'Automatic')).toBe('karras')
    expect(scheduler('DPM++ 3M SDE')).toBe('exponential')
    expect(scheduler('DPM++ 3M SDE Karras')).toBe('karras')
    expect(scheduler('DPM++ 3M SDE Karras', 'SGM Uniform')).toBe('sgm_uniform')
    expect(scheduler('er_sde')).toBe('normal')
  })

  it('leaves out the last level above 0 where A1111 or ComfyUI do', () => {
    const all = sigmas('karras', 21)
    const dropped = [...all.slice(0, 20), 0]
    for (const sampler of ['DPM2', 'DPM2 a', 'DPM++ 3M SDE']) {
      expect(samplingFor({ sampler, scheduler: 'Karras', steps: 20 }).sigmas).toEqual(dropped)
      expect(samplingFor({ sampler, scheduler: 'Karras', steps: 20, style: 'plain' }).sigmas).toEqual(sigmas('karras', 20))
    }
    const comfy = (sampler: string) => samplingFor({ sampler, scheduler: 'karras', steps: 20, style: 'comfy' }).sigmas
    expect(comfy('uni_pc')).toEqual(dropped)
    expect(comfy('dpm_2')).toEqual(dropped)
    expect(comfy('dpmpp_3m_sde')).toEqual(sigmas('karras', 20))
    expect(samplingFor({ sampler: 'dpm2', steps: 1 }).sigmas).toHaveLength(2)
  })

  it('marks the samplers whose prompt schedules A1111 counts in calls', () => {
    const second = ['heun', 'dpm2', 'dpm2_a', 'dpmpp_sde', 'dpmpp_2s_a', 'restart']
    for (const sampler of second) expect([sampler, samplingFor({ sampler, steps: 4 }).secondOrder]).toEqual([sampler, true])
    for (const sampler of ['euler', 'dpmpp_2m', 'lms', 'uni_pc']) expect(samplingFor({ sampler, steps: 4 }).secondOrder).toBe(false)
    expect(samplingFor({ sampler: 'heun', steps: 4, style: 'comfy' }).secondOrder).toBe(false)
    // A second-order sampler calls twice per step, but for the last.
    for (const sampler of second) expect(samplingPlan(sampler, sigmas('normal', 8)).calls).toBe(15)
  })

  it('hands options of the name and of the range on', () => {
    const made = samplingFor({ sampler: 'UniPCMultistepScheduler', steps: 6, style: 'diffusers' })
    expect(made).toMatchObject({ sampler: 'uni_pc', scheduler: 'ddim_uniform', options: { order: 2, variant: 'bh2' } })
    expect(() => samplingPlan(made.sampler, made.sigmas, made.options)).not.toThrow()
    expect(samplingFor({ sampler: 'euler', scheduler: 'karras', steps: 4, rho: 5, sigmaMax: 10 }).sigmas).toEqual(
      sigmas('karras', 4, { rho: 5, sigmaMax: 10 }),
    )
    const nothing = { sigmaMin: undefined, rho: undefined, zeroTerminalSnr: undefined }
    expect(samplingFor({ sampler: 'euler', scheduler: 'simple', steps: 4, ...nothing }).sigmas).toEqual(sigmas('simple', 4))
    expect(samplingFor({ sampler: 'euler', steps: 4, zeroTerminalSnr: true }).sigmas).toEqual(
      sigmas('normal', 4, { zeroTerminalSnr: true }),
    )
  })

  it.each([
    [{ sampler: 'eular', steps: 4 }, /Close to it: euler/],
    [{ sampler: 'euler', scheduler: 'karas', steps: 4 }, /Close to it: karras/],
    [{ sampler: 'euler', steps: 0 }, /for steps, received 0/],
    [{ sampler: 'dpm2', steps: 0 }, /for steps, received 0/],
    [{ sampler: 'dpm2', steps: 'x' }, /for steps, received "x"/],
    [{ sampler: 'euler', steps: 4, style: 'forge' }, /one of "a1111", "comfy", "diffusers", "plain" for style/],
    [{ sampler: 'euler', steps: 4, eta: 1 }, /Unknown option eta/],
    [{ sampler: 'euler', scheduler: 'turbo', steps: 11 }, /at most 10 for steps with the scheduler "turbo"/],
  ])('rejects %j', (choice, message) => {
    expect(() => samplingFor(choice as never)).toThrow(message)
  })

  it('knows whose noise has a seed of its own', () => {
    expect(samplerHabits('euler_a').usesSeedDelta).toBe(true)
    expect(samplerHabits('dpmpp_2m').usesSeedDelta).toBe(false)
    expect(samplerHabits('constructor').automatic).toBe('normal')
  })
})

describe('few steps', () => {
  it.each([
    ['sd_xl_turbo_1.0_fp16.safetensors', { kind: 'turbo' }],
    ['sdxl_lightning_4step.safetensors', { kind: 'lightning', steps: 4 }],
    ['sdxl_lightning_8step_lora.safetensors', { kind: 'lightning', steps: 8 }],
    ['Hyper-SDXL-2steps-lora.safetensors', { kind: 'hyper', steps: 2 }],
    ['pytorch_lcm_sdxl.safetensors', { kind: 'lcm' }],
    ['lcm-lora-sdxl.safetensors', { kind: 'lcm' }],
    ['dmd2_sdxl_4step_unet_fp16.bin', { kind: 'dmd2', steps: 4 }],
    ['TCD-SDXL-LoRA.safetensors', { kind: 'tcd' }],
    ['juggernautXL_hyper_4step_sfw.safetensors', { kind: 'hyper', steps: 4 }],
    ['juggernautXL_v9.safetensors', undefined],
    ['hyperrealistic.safetensors', undefined],
    ['welcmix.safetensors', undefined],
  ])('%s', (name, wanted) => {
    expect(fewStepKind(name)).toEqual(wanted)
  })

  it('has defaults that can be sampled with', () => {
    for (const kind of ['turbo', 'lightning', 'lcm', 'hyper', 'dmd2', 'tcd'] as const) {
      const { sampler, scheduler, steps, guidance, options } = fewStepDefaults(kind)
      expect(samplingPlan(sampler, sigmas(scheduler, steps), options).calls).toBe(steps)
      expect(guidance).toBe(1)
    }
    expect(fewStepDefaults('lightning', 8).steps).toBe(8)
    expect(resolveSampler('TCDScheduler').options).toEqual(fewStepDefaults('tcd').options)
  })
})
