import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type GenerateRequest, type Infotext, parseInfotext } from '../../lib/index.js'
import { samplerNames, scheduleNames } from '../../lib/sampling/index.js'

const { texts } = JSON.parse(readFileSync(new URL('../golden/infotext.json', import.meta.url), 'utf8')) as {
  texts: { text: string; prompt: string; negative: string; fields: Record<string, string> }[]
}

/** Without remarks on samplers that this version may or may not have. */
const warned = ({ warnings }: Infotext) =>
  warnings.filter(({ code }) => code !== 'W_INFOTEXT_NAME').map(({ code, message }) => [code, message])
const settings = (line: string) => parseInfotext(`a cat\nSteps: 20, Seed: 5, CFG scale: 7, ${line}`)
const usual = { prompt: 'a cat', negativePrompt: '', steps: 20, seed: 5, guidance: 7 }

describe('parseInfotext', () => {
  it('cuts texts as A1111 does', () => {
    expect(texts.length).toBeGreaterThan(250)
    for (const { text, prompt, negative, fields } of texts) {
      const found = parseInfotext(text)
      expect({ prompt: found.prompt, negative: found.negativePrompt, fields: found.fields }, JSON.stringify(text)).toEqual({
        prompt,
        negative,
        fields,
      })
    }
  })

  const whole: [string, string, GenerateRequest, string[]][] = [
    [
      'A1111 1.5, sampler and schedule in one label',
      `masterpiece, (best quality:1.2), a lighthouse at dusk,
waves <lora:seascape-xl:0.8>
Negative prompt: (worst quality:1.4), blurry,
text
Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 3918472650, Size: 1024x1024, Model hash: 31e35c80fc, Model: sd_xl_base_1.0, Clip skip: 2, Lora hashes: "seascape-xl: 0a1b2c3d4e5f", Version: v1.5.2`,
      {
        prompt: 'masterpiece, (best quality:1.2), a lighthouse at dusk,\nwaves <lora:seascape-xl:0.8>',
        negativePrompt: '(worst quality:1.4), blurry,\ntext',
        steps: 28,
        sampler: 'dpmpp_2m',
        scheduler: 'karras',
        guidance: 6.5,
        seed: 3918472650,
        width: 1024,
        height: 1024,
        prompting: { clipSkip: 1 },
      },
      [],
    ],
    [
      'A1111 1.6 with a hires pass, a variation seed and a refiner',
      `a castle
Negative prompt: fog
Steps: 30, Sampler: Euler a, CFG scale: 7, Seed: 12, Size: 896x1152, Model hash: 1f69731261, Model: x, Denoising strength: 0.35, Variation seed: 99, Variation seed strength: 0.1, RNG: CPU, Hires upscale: 1.5, Hires steps: 10, Hires upscaler: 4x-UltraSharp, Refiner: y [7440042bbd], Refiner switch at: 0.8, Version: v1.6.0`,
      {
        prompt: 'a castle',
        negativePrompt: 'fog',
        steps: 30,
        sampler: 'euler_a',
        guidance: 7,
        seed: 12,
        width: 896,
        height: 1152,
        rng: 'torch-cpu',
        variation: { seed: 99, strength: 0.1 },
        hires: { scale: 1.5, steps: 10, upscaler: '4x-ultrasharp' as 'latent', strength: 0.35 },
        refine: { switchAt: 0.8 },
      },
      [],
    ],
    [
      'A1111 1.9, schedule on its own, hires prompt quoted',
      `a castle
Steps: 25, Sampler: DPM++ 2M, Schedule type: SGM Uniform, CFG scale: 5, Seed: 7, Size: 832x1216, Model hash: 67ab2fd8ec, Model: pony, VAE hash: 235745af8d, VAE: sdxl_vae.safetensors, Clip skip: 3, RNG: NV, Hires prompt: "a castle, \\"sharp\\"\\nNegative prompt: no", Emphasis: No norm, TI hashes: "bad: aa, worse: bb", Version: v1.9.3`,
      {
        prompt: 'a castle',
        negativePrompt: '',
        steps: 25,
        sampler: 'dpmpp_2m',
        scheduler: 'sgm_uniform',
        guidance: 5,
        seed: 7,
        width: 832,
        height: 1216,
        rng: 'philox',
        prompting: { clipSkip: 2, emphasis: 'no-norm' },
      },
      ['Hires prompt'],
    ],
    [
      'A1111 1.10, Automatic',
      'a castle\nSteps: 20, Sampler: DPM++ 2M SDE, Schedule type: Automatic, CFG scale: 7.0, Seed: 1, Size: 1024x1024, Emphasis: None, ENSD: 31337, Version: v1.10.1',
      {
        prompt: 'a castle',
        negativePrompt: '',
        steps: 20,
        sampler: 'dpmpp_2m_sde',
        scheduler: 'exponential',
        guidance: 7,
        seed: 1,
        width: 1024,
        height: 1024,
        prompting: { syntax: 'plain' },
      },
      ['ENSD'],
    ],
    [
      'Forge',
      'a castle\nSteps: 20, Sampler: Euler a CFG++, Schedule type: Align Your Steps GITS, CFG scale: 1.2, Seed: 1, Size: 1024x1024, Model: z, Version: f2.0.1v1.10.1-previous-635-gf5330788, Diffusion in Low Bits: Automatic',
      {
        prompt: 'a castle',
        negativePrompt: '',
        steps: 20,
        sampler: 'euler_a_cfg_pp',
        scheduler: 'gits',
        guidance: 1.2,
        seed: 1,
        width: 1024,
        height: 1024,
      },
      ['Diffusion in Low Bits'],
    ],
    [
      "a model site's generator",
      'a castle\r\nNegative prompt: fog\r\nSteps: 25, CFG scale: 7, Sampler: Euler a, Seed: 1, Size: 832x1216, Created Date: 2024-08-01T00:08:10.1Z, Civitai resources: [{"type":"checkpoint","modelVersionId":1},{"modelVersionId":2}], Civitai metadata: {}\r\n',
      {
        prompt: 'a castle',
        negativePrompt: 'fog',
        steps: 25,
        sampler: 'euler_a',
        guidance: 7,
        seed: 1,
        width: 832,
        height: 1216,
      },
      [],
    ],
    [
      'the oldest form',
      'a castle\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: 7460a6fa',
      { prompt: 'a castle', negativePrompt: '', steps: 20, sampler: 'euler', guidance: 7, seed: 1, width: 512, height: 512 },
      [],
    ],
    ['a prompt alone', 'a cat, Steps: 3, ok', { prompt: 'a cat, Steps: 3, ok', negativePrompt: '' }, []],
    ['nothing', '', { prompt: '', negativePrompt: '' }, []],
  ]
  it.each(whole)('reads %s', (_, text, request, left) => {
    const found = parseInfotext(text)
    expect(found.request).toEqual(request)
    expect(warned(found).map(([code, message]) => [code, message!.split(':')[0]])).toEqual(
      left.map((key) => (key.startsWith('W_') ? [key.slice(0, 15), key.slice(16)] : ['W_INFOTEXT_FIELD', key])),
    )
  })

  it('knows every sampler of this version by a label or by its name', () => {
    for (const name of samplerNames()) expect(settings(`Sampler: ${name}, Schedule type: Karras`).request.sampler).toBe(name)
    for (const name of scheduleNames()) expect(settings(`Sampler: Euler, Schedule type: ${name}`).request.scheduler).toBe(name)
  })

  const sampling: [string, string | undefined, string | undefined][] = [
    ['Sampler: Euler', 'euler', undefined],
    ['Sampler: euler A', 'euler_a', undefined],
    ['Sampler: euler_ancestral', 'euler_a', undefined],
    ['Sampler: DPM++ 2M', 'dpmpp_2m', undefined],
    ['Sampler: DPM++ 2M, Schedule type: Automatic', 'dpmpp_2m', 'karras'],
    ['Sampler: Euler, Schedule type: Automatic', 'euler', 'normal'],
    ['Sampler: Restart', 'restart', 'karras'],
    ['Sampler: DDIM', 'ddim', 'ddim_uniform'],
    ['Sampler: DPM2 a Karras', 'dpm2_a', 'karras'],
    ['Sampler: DPM++ 2M SDE Exponential', 'dpmpp_2m_sde', 'exponential'],
    ['Sampler: DPM++ 2M SGMUniform', 'dpmpp_2m', 'sgm_uniform'],
    ['Sampler: DPM++ 2M SGM Uniform', 'dpmpp_2m', 'sgm_uniform'],
    ['Sampler: DPM++ 3M SDE, Schedule type: karras', 'dpmpp_3m_sde', 'karras'],
    ['Sampler: Euler a, Schedule type: Uniform', 'euler_a', 'normal'],
    ['Sampler: Euler a, Schedule type: Normal', 'euler_a', 'normal'],
    ['Sampler: UniPC, Schedule type: Align Your Steps', 'uni_pc', 'ays'],
    ['Schedule type: Beta', undefined, 'beta'],
    ['Schedule type: Automatic', undefined, undefined],
  ]
  it.each(sampling)('reads "%s"', (line, sampler, scheduler) => {
    const { request } = settings(line)
    expect([request.sampler, request.scheduler]).toEqual([sampler, scheduler])
  })

  it('lets no sampler stand in for one that is not known', () => {
    const text = 'a cat\nSteps: 20, Sampler: Frobnicator Karras, Schedule type: Wavy, Seed: 5'
    const found = parseInfotext(text)
    expect(found.request).toMatchObject({ sampler: 'Frobnicator', scheduler: 'karras' })
    expect(settings('Sampler: Euler, Schedule type: Wavy').request.scheduler).toBe('Wavy')
    const [warning, ...more] = found.warnings
    expect(more).toEqual([])
    expect(warning).toMatchObject({ code: 'W_INFOTEXT_NAME', message: expect.stringContaining('"Frobnicator" is no sampler') })
    expect(text.slice(warning!.offset, warning!.offset! + warning!.length!)).toBe('Sampler: Frobnicator Karras')
  })

  it('lets no upscaler stand in for one that is not known', () => {
    const { request, warnings } = settings('Denoising strength: 0.4, Hires upscale: 2, Hires upscaler: R-ESRGAN 4x+')
    expect(request.hires).toEqual({ scale: 2, strength: 0.4, upscaler: 'r-esrgan 4x+' })
    expect(warnings).toMatchObject([{ code: 'W_INFOTEXT_NAME', message: expect.stringContaining('"r-esrgan 4x+" is no upscaler') }])
  })

  it('needs an area for its padding', () => {
    const inpaint = (line: string) => settings(`Denoising strength: 0.4, ${line}`).request.inpaint
    expect(inpaint('Inpaint area: Whole picture, Masked area padding: 32')).toEqual({ onlyMasked: false })
    expect(inpaint('Inpaint area: Only masked')).toEqual({ onlyMasked: true })
  })

  it('says that an image is missing', () => {
    const { request, warnings } = settings('Denoising strength: 0.4, Mask blur: 4, Inpaint area: Only masked, Masked area padding: 32')
    expect(request).toMatchObject({ strength: 0.4, inpaint: { blur: 4, onlyMasked: { padding: 32 } } })
    expect(warnings).toMatchObject([{ code: 'W_INFOTEXT_IMAGE' }])
  })

  it('says where the settings are that it leaves out', () => {
    const text = 'a \u{1f98a}\nSteps: 20, Hires prompt: "x, y",  Eta : 0.5, Sampler: Frobnicator, ENSD: 1, Seed: 5'
    const { warnings, request } = parseInfotext(text)
    expect(warnings.map(({ offset, length }) => text.slice(offset, offset! + length!))).toEqual([
      'Hires prompt: "x, y"',
      'Eta : 0.5',
      'Sampler: Frobnicator',
      'ENSD: 1',
    ])
    expect(request).toEqual({ prompt: 'a \u{1f98a}', negativePrompt: '', steps: 20, sampler: 'Frobnicator', seed: 5 })
  })

  it.each([
    ['Steps: many'],
    ['Steps: -1'],
    ['Steps: 1e2'],
    ['Seed: -1'],
    ['Seed: 9007199254740992'],
    ['Size: 832'],
    ['Size: 832x'],
    ['Size: 1.5x2'],
    ['Size: 8x8x8'],
    ['CFG scale: '],
    ['CFG scale: NaN'],
    ['CFG scale: 0x10'],
    ['RNG: dice'],
    ['Clip skip: 0'],
    ['Clip skip: 1'],
    ['Clip skip: two'],
    ['Emphasis: constructor'],
    ['Prompt syntax: latex'],
    ['Zero empty negative: maybe'],
    ['Prompt parts: [1]'],
    ['Prompt parts: "[{\\"text\\":\\"a\\",\\"weight\\":\\"b\\"}]"'],
    ['Prompt parts: "[{\\"text\\":\\"a\\",\\"weight\\":1e999}]"'],
    ['Negative prompt parts: {'],
    ['Crop: 1'],
  ])('leaves out "%s", with a warning', (setting) => {
    const found = parseInfotext(`a cat\nModel: m, Version: v, ${setting}`)
    expect(found.warnings.map(({ code }) => code)).toEqual(['W_INFOTEXT_VALUE'])
    expect(found.warnings[0]!.message).toMatch(new RegExp(`^${setting.split(':')[0]}: `))
    expect(found.request).toEqual({ prompt: 'a cat', negativePrompt: '' })
  })

  it('counts clip skip from the normal layer', () => {
    expect(settings('Clip skip: 2').request).toEqual({ ...usual, prompting: { clipSkip: 1 } })
    expect(settings('Clip skip: 4').request).toEqual({ ...usual, prompting: { clipSkip: 3 } })
    expect(settings('Clip skip: 1').warnings[0]!.message).toContain('A1111 counts from 2')
  })

  it('lets the last of a key count', () => {
    const found = settings('Steps: 30, Steps: 31')
    expect(found.request).toEqual({ ...usual, steps: 31 })
    expect(Object.keys(found.fields)).toEqual(['Steps', 'Seed', 'CFG scale'])
  })

  it('keeps keys apart from the prototype of objects', () => {
    const found = settings('__proto__: x, constructor: y')
    expect(Object.entries(found.fields).slice(3)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
    expect(found.request).toEqual(usual)
    expect(warned(found)).toHaveLength(2)
  })

  it('takes any string', () => {
    const token = fc.constantFrom(
      'Steps: 3',
      'Size: ',
      'Sampler: ',
      ', ',
      '\n',
      '"',
      '\\',
      'Negative prompt:',
      'Prompt parts: "[',
      'é',
      '\ud83e',
    )
    const line = fc.array(fc.oneof(token, fc.string({ unit: 'binary' }))).map((parts) => parts.join(''))
    fc.assert(
      fc.property(line, (text) => {
        const { fields, warnings } = parseInfotext(text)
        expect(warnings.length === 0 || Object.keys(fields).length > 0).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['words without a colon', 'ab '.repeat(400_000)],
    ['colons', ':'.repeat(1_000_000)],
    ['keys', 'ab:'.repeat(400_000)],
    ['open quotes', 'ab:"x,'.repeat(200_000)],
    ['escaped quotes', `ab: "${'\\"'.repeat(500_000)}`],
    ['one long value', `Steps: 3, Seed: 5, Note: "${'x, '.repeat(400_000)}"`],
    ['spaces', `a${' '.repeat(1_000_000)}b`],
    ['lines', 'Negative prompt:\n'.repeat(60_000)],
  ])('takes a megabyte of %s', (_, text) => {
    const begun = performance.now()
    parseInfotext(text)
    // Milliseconds where time is linear; quadratic time, 10¹² steps, would be minutes.
    expect(performance.now() - begun).toBeLessThan(5000)
  })

  it.each([[undefined], [null], [5], [{}], [Buffer.from('a')]])('rejects %s', (text) => {
    expect(() => parseInfotext(text as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', details: expect.objectContaining({ field: 'text' }) }),
    )
  })
})
