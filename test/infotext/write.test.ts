import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseInfotext } from '../../lib/index.js'
import { writeInfotext } from '../../lib/infotext/index.js'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }

/** What generate reports, with every default filled in. */
const parameters = {
  model: '/models/sdxl-base.safetensors',
  prompt: 'a cat',
  negativePrompt: '',
  width: 832,
  height: 1216,
  steps: 20,
  guidance: 6.5,
  sampler: 'dpmpp_2m',
  scheduler: 'karras',
  seed: 5,
  count: 2,
  rng: 'philox',
  prompting: {
    syntax: 'a1111',
    emphasis: 'a1111',
    chunk: { size: 75, backtrack: 20 },
    zeroEmptyNegative: true,
    clipSkip: 1,
    prompt2: undefined as string | undefined,
    strict: false,
  },
  size: { original: [1216, 832], crop: [0, 0], target: [1216, 832] },
}
const prompting = (options: object) => ({ prompting: { ...parameters.prompting, ...options } })
const write = (changes: object = {}) => writeInfotext({ ...parameters, ...changes })
const head = 'Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 5, Size: 832x1216, Model: sdxl-base, RNG: NV'
const tail = `Version: node-sdxl ${version}`

describe('writeInfotext', () => {
  it('writes what A1111 does', () => {
    expect(write()).toBe(`a cat\n${head}, ${tail}`)
    expect(write({ negativePrompt: 'two\nlines' })).toBe(`a cat\nNegative prompt: two\nlines\n${head}, ${tail}`)
    expect(write({ prompt: '' })).toBe(`${head}, ${tail}`)
    expect(write({ prompt: '', negativePrompt: 'dog' })).toBe(`Negative prompt: dog\n${head}, ${tail}`)
  })

  const lines: [string, object, string][] = [
    ['another sampler and scheduler', { sampler: 'euler_a', scheduler: 'normal' }, 'Sampler: Euler a, Schedule type: Uniform,'],
    [
      'a sampler and scheduler without label',
      { sampler: 'my.own-1', scheduler: 'trailing' },
      'Sampler: my.own-1, Schedule type: trailing,',
    ],
    ['a model folder', { model: 'models/sdxl-v1.0/' }, 'Model: sdxl-v1.0,'],
    ['a model with a comma', { model: 'a, b: c.ckpt' }, 'Model: "a, b: c",'],
    ['torch-cpu', { rng: 'torch-cpu' }, 'RNG: CPU,'],
    ['clip skip 2', prompting({ clipSkip: 2 }), 'RNG: NV, Clip skip: 3, Version'],
    ['emphasis with brackets', { prompt: '(a)', ...prompting({ emphasis: 'no-norm' }) }, 'Emphasis: No norm, Version'],
    ['emphasis with brackets in prompt 2', prompting({ emphasis: 'ignore', prompt2: '[a]' }), 'Emphasis: Ignore, Prompt 2: [a], Version'],
    ['emphasis without brackets', prompting({ emphasis: 'no-norm' }), 'RNG: NV, Version'],
    [
      'emphasis of a syntax without brackets',
      prompting({ emphasis: 'comfy', syntax: 'compel' }),
      'Emphasis: comfy, Prompt syntax: compel, V',
    ],
    ['no syntax', prompting({ syntax: 'plain' }), 'RNG: NV, Emphasis: None, Version'],
    ['an empty prompt 2', prompting({ prompt2: '' }), 'Prompt 2: "", Version'],
    ['a prompt 2 with a quote', prompting({ prompt2: '"a"' }), 'Prompt 2: "\\"a\\"", Version'],
    ['a prompt 2 with spaces', prompting({ prompt2: ' a' }), 'Prompt 2: " a", Version'],
    ['no comma rule', prompting({ chunk: { size: 75, backtrack: 0 } }), 'Comma backtrack: 0, Version'],
    ['an encoded empty negative', prompting({ zeroEmptyNegative: false }), 'Zero empty negative: False, Version'],
    ['comments', prompting({ comments: true }), 'Prompt comments: True, Version'],
    [
      'size conditioning, width first',
      { size: { original: [512, 768], crop: [8, 0], target: [1216, 832] } },
      'RNG: NV, Original size: 768x512, Crop: 0x8, Version',
    ],
    ['a precision', { precision: 'fp16' }, 'Precision: fp16, Version'],
  ]
  it.each(lines)('writes %s', (_, changes, found) => expect(write(changes)).toContain(found))

  it('writes parts in the syntax of A1111', () => {
    const line = (prompt: object[]) => write({ prompt }).split('\n')[0]
    expect(line([{ text: 'a (b) ' }, { text: '[c]\\', weight: 1.3 }, { text: ' d', weight: 1 }])).toBe('a \\(b\\) (\\[c\\]\\\\:1.3) d')
    const weights = [0, -0.5, 0.1, 1.1000000000000001, 100, 1e21, 1.5e-7, -1.25e22, 0.30000000000000004]
    expect(line(weights.map((weight) => ({ text: '', weight })))).toBe(
      '(:0)(:-0.5)(:0.1)(:1.1)(:100)(:1000000000000000000000)(:0.00000015)(:-12500000000000000000000)(:0.30000000000000004)',
    )
  })

  it('repeats a prompt only where its lines do not give it back', () => {
    expect(write({ prompt: '  spaces \n\n and, (lines):\t', negativePrompt: ' "x"\n' })).not.toContain('Exact')
    expect(write({ prompt: 'Steps: 3, Sampler: x, Seed: 5', negativePrompt: 'Negative prompt: a' })).not.toContain('Exact')
    expect(write({ prompt: 'a\nNegative prompt: b' })).toContain(
      'Exact prompt: "a\\nNegative prompt: b", Exact negative prompt: "", Version',
    )
    expect(write({ negativePrompt: 'a\0b' })).toMatch(/^a cat\nNegative prompt: ab\n.*Exact negative prompt: "a\\u0000b", Version/)
  })

  it('says that start noise was given', () => {
    const text = write({ noise: { shape: [1, 4, 2, 2], data: new Float32Array(16) } })
    expect(parseInfotext(text).warnings).toMatchObject([{ code: 'W_INFOTEXT_FIELD', message: expect.stringMatching(/^Start noise: /) }])
  })
})

describe('a text that is written and read', () => {
  const back = (changes: object) => parseInfotext(write(changes))

  it.each([
    ['commas, colons and quotes', 'a, b: "c", \\"d\\"'],
    ['backslashes', '\\(a\\) C:\\x\\'],
    ['lines', 'a\nb\n\nc\n'],
    ['white space', ' \t a \r\n b\u3000'],
    ['other characters', 'Größe, 日本語, \u{1f98a}, \u2028, \ufeff, \u0085, \x1c'],
    ['half a surrogate pair', 'a \ud83e b'],
    ['a line of settings', 'a\nSteps: 3, Sampler: x, Seed: 5'],
    ['a mark of the negative prompt', 'a\nNegative prompt: b\nNegative prompt: c'],
    ['NUL', '\0a\0'],
    ['nothing', ''],
    ['a new line alone', '\n'],
  ])('keeps %s', (_, text) => {
    expect(back({ prompt: text }).request).toMatchObject({ prompt: text, negativePrompt: '' })
    expect(back({ prompt: text, negativePrompt: text })).toMatchObject({
      prompt: text,
      negativePrompt: text,
      request: { prompt: text, negativePrompt: text },
    })
    expect(back(prompting({ prompt2: text })).request.prompting).toEqual({ prompt2: text })
  })

  it('keeps parts, and shows them as text', () => {
    const parts = [{ text: 'BREAK, (a) "b"\n' }, { text: 'AND: \\ 日本', weight: 1e-7 }]
    const found = back({ prompt: parts, negativePrompt: parts, ...prompting({ syntax: 'comfy' }) })
    expect(found.request).toMatchObject({ prompt: parts, negativePrompt: parts, prompting: { syntax: 'comfy' } })
    expect(found.prompt).toBe('BREAK, \\(a\\) "b"\n(AND: \\\\ 日本:0.0000001)')
    expect(found.negativePrompt).toBe(found.prompt)
  })

  it('holds every field, whatever its value', () => {
    const tricky = fc.constantFrom(
      'Negative prompt: ',
      '\n',
      'Steps: 1, Seed: 2, Size: 3x4',
      '"',
      '\\',
      ',',
      ': ',
      '\0',
      '\r',
      ' ',
      '(',
      'Version: node-sdxl',
    )
    const text = fc.array(fc.oneof(tricky, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 8 }).map((parts) => parts.join(''))
    // -0 is the one number that text does not tell apart.
    const real = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0)
    const part = fc.record({ text, weight: real }, { requiredKeys: ['text'] })
    const prompt = fc.oneof(text, fc.array(part, { minLength: 1, maxLength: 4 }))
    const side = fc.integer({ min: 1, max: 1024 }).map((n) => 8 * n)
    const pair = fc.tuple(real.map(Math.abs), real.map(Math.abs))
    const any = fc.record({
      prompt,
      negativePrompt: prompt,
      width: side,
      height: side,
      steps: fc.integer({ min: 1, max: 1000 }),
      guidance: real,
      sampler: fc.oneof(
        fc.constantFrom('euler', 'euler_a', 'dpmpp_2m', 'dpmpp_2m_sde', 'dpm2_a', 'uni_pc', 'ddim', 'euler_cfg_pp'),
        fc.stringMatching(/^own[A-Za-z0-9_.+-]{0,20}$/),
      ),
      scheduler: fc.constantFrom('normal', 'karras', 'sgm_uniform', 'ddim_uniform', 'ays', 'gits', 'linear_quadratic', 'trailing'),
      seed: fc.maxSafeNat(),
      rng: fc.constantFrom('philox', 'torch-cpu'),
      model: text.filter((name) => !name.includes('/')),
      prompting: fc.record({
        syntax: fc.constantFrom('a1111', 'comfy', 'compel', 'novelai', 'plain'),
        emphasis: fc.constantFrom('a1111', 'no-norm', 'comfy', 'compel', 'ignore'),
        chunk: fc.record({ size: fc.constant(75), backtrack: fc.integer({ min: 0, max: 74 }) }),
        zeroEmptyNegative: fc.boolean(),
        clipSkip: fc.integer({ min: 1, max: 30 }),
        prompt2: fc.option(text, { nil: undefined }),
        comments: fc.boolean(),
      }),
      size: fc.record({ original: pair, crop: pair, target: pair }),
    })
    fc.assert(
      fc.property(any, ({ model, ...wanted }) => {
        const found = parseInfotext(writeInfotext({ model, ...wanted }))
        const { width, height, prompting: options, size, ...rest } = wanted
        const { chunk, ...given } = found.request.prompting ?? {}
        expect(found.request).toMatchObject({ width, height, ...rest })
        const defaults = { syntax: 'a1111', emphasis: 'a1111', zeroEmptyNegative: true, clipSkip: 1, prompt2: undefined, comments: false }
        // Emphasis that has nothing to act on is not written.
        const emphasis = options.syntax !== 'a1111' || hasBrackets(wanted) ? options.emphasis : 'a1111'
        expect({ ...defaults, ...given, chunk: { size: 75, backtrack: 20, ...chunk } }).toEqual({ ...options, emphasis })
        expect({ original: [height, width], crop: [0, 0], target: [height, width], ...found.request.size }).toEqual(size)
        expect(found.warnings.filter(({ code }) => code !== 'W_INFOTEXT_NAME')).toEqual([])
        expect(found.fields.Model).toBe(model.replace(/\.(safetensors|sft|ckpt|pt|bin)$/i, ''))
      }),
      { numRuns: 1000 },
    )
  })
})

interface Prompts {
  prompt: unknown
  negativePrompt: unknown
  prompting: { prompt2?: string }
}

/** Whether emphasis has something to act on; a part with a weight is written in brackets. */
function hasBrackets({ prompt, negativePrompt, prompting: { prompt2 } }: Prompts): boolean {
  const parts = [prompt, negativePrompt, prompt2].flat() as (string | { text: string; weight?: number } | undefined)[]
  return parts.some((part) => {
    const { text, weight = 1 } = typeof part === 'object' ? part : { text: part ?? '' }
    return weight !== 1 || /[([]/.test(text)
  })
}

describe('tasks', () => {
  const image = '/pictures/a.png'
  /** What is set, a part of what is written, and what is read where it is not all that was set. */
  const cases: [string, object, string, object?][] = [
    [
      'img2img',
      { image, strength: 0.6, resizeMode: 'crop', stepArithmetic: 'diffusers', inpaint: undefined },
      'Denoising strength: 0.6, Resize mode: Crop and resize, Step arithmetic: diffusers, V',
      { strength: 0.6, resizeMode: 'crop', stepArithmetic: 'diffusers' },
    ],
    [
      'inpainting',
      {
        image,
        mask: image,
        strength: 1,
        resizeMode: 'stretch',
        stepArithmetic: 'a1111',
        inpaint: { mode: 'comfy', blur: 2.5, fill: 'noise', onlyMasked: { padding: 8 }, invert: true, useAlpha: false, paste: true },
      },
      'Denoising strength: 1, Resize mode: Just resize, Inpaint mode: comfy, Mask blur: 2.5, Masked content: latent noise, Mask mode: Inpaint not masked, Inpaint area: Only masked, Masked area padding: 8, Mask paste: True, V',
      { strength: 1, inpaint: { mode: 'comfy', blur: 2.5, fill: 'noise', onlyMasked: { padding: 8 }, invert: true, paste: true } },
    ],
    [
      'outpainting',
      { image, strength: 0.8, inpaint: { useAlpha: true, blur: 0 }, outpaint: { left: 8, right: 0, top: 0, bottom: 16 } },
      'Outpaint: "{\\"left\\":8,\\"right\\":0,\\"top\\":0,\\"bottom\\":16}"',
      { inpaint: { useAlpha: true, blur: 0 }, outpaint: { left: 8, right: 0, top: 0, bottom: 16 } },
    ],
    [
      'a hires pass',
      {
        hires: {
          scale: 1.5,
          upscaler: 'latent (bicubic antialiased)',
          strength: 0.55,
          steps: 12,
          sampler: 'euler_a',
          scheduler: 'normal',
          guidance: 4,
        },
      },
      'Denoising strength: 0.55, Hires upscale: 1.5, Hires steps: 12, Hires upscaler: Latent (bicubic antialiased), Hires sampler: Euler a, Hires schedule type: Uniform, Hires CFG Scale: 4, V',
    ],
    [
      'a hires pass of another size and prompt',
      { hires: { width: 1024, upscaler: 'lanczos', strength: 0.5, steps: 20, prompt: 'b, c', negativePrompt: [{ text: 'd', weight: 2 }] } },
      'Hires resize: 1024x0',
      { hires: { width: 1024, upscaler: 'lanczos', prompt: 'b, c', negativePrompt: [{ text: 'd', weight: 2 }] } },
    ],
    [
      'a refiner',
      { refiner: '/m/sd_xl_refiner_1.0.safetensors', refine: { switchAt: 0.7, by: 'steps', aestheticScore: 6, negativeAestheticScore: 2 } },
      'Refiner: sd_xl_refiner_1.0, Refiner switch at: 0.7, Refiner switch by sampling steps: True, Negative aesthetic score: 2, V',
      { refine: { switchAt: 0.7, by: 'steps', negativeAestheticScore: 2 } },
    ],
    ['no refiner', { refine: false }, 'RNG: NV, V', {}],
    ['a variation', { variation: { seed: 9, strength: 0.25 } }, 'Variation seed: 9, Variation seed strength: 0.25, V'],
    ['seamless pictures', { tiling: { x: true, y: true } }, 'Tiling: True, V', { tiling: true }],
    ['pictures seamless one way', { tiling: { x: false, y: true } }, 'Tiling: y, V', { tiling: { y: true } }],
    [
      'sampling',
      {
        style: 'comfy',
        sgmNoiseMultiplier: false,
        samplerOptions: { eta: 0.5, sNoise: 1.01, solverType: 'heun' },
        sigmaMin: 0.1,
        sigmaMax: 10,
        rho: 5,
        zeroTerminalSnr: true,
        guidanceInterval: [0.1, 0.8],
        guidanceRescale: 0.7,
        guidanceProjection: { eta: 0, limit: 15, momentum: -0.5 },
      },
      'Eta: 0.5, Sigma noise: 1.01, Sampler options: "{\\"solverType\\":\\"heun\\"}", Schedule min sigma: 0.1, Schedule max sigma: 10, Schedule rho: 5, Noise Schedule: Zero Terminal SNR, SGM noise multiplier: False, V',
    ],
    [
      'levels',
      { scheduler: undefined, sigmas: [14.5, 1e-7, 0], steps: 2 },
      'Sigmas: "14.5, 1e-7, 0"',
      { sigmas: [14.5, 1e-7, 0], steps: 2 },
    ],
    ['timesteps', { scheduler: undefined, timesteps: [999, 499.5], steps: 2 }, 'Timesteps: "999, 499.5"', { timesteps: [999, 499.5] }],
    ['guidance by the step', { guidance: [7, 1, 1.5] }, 'CFG scale: 7, Seed'],
  ]
  it.each(cases)('of %s are written and read', (_, changes, line, request = changes) => {
    const text = write(changes)
    expect(text).toContain(line)
    const found = parseInfotext(text)
    expect(found.request).toMatchObject(request)
    const wanted = 'image' in changes ? ['W_INFOTEXT_IMAGE'] : []
    expect(found.warnings.map(({ code }) => code)).toEqual(wanted)
  })
})
