import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type GenerateRequest, loadModel, type Model, type PromptOptions, SdxlError } from '../../lib/index.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { temporaryFolder, writeSafetensors } from '../support/files.js'
import { psnr, relativeError } from '../support/measures.js'
import { readSafetensors, type Stored } from '../support/safetensors.js'
import { defineHeun } from '../support/two-calls.js'

// As in goldens.test.ts: both sides sum in fp32 in their own order, the reference up to 4e-6 from the same network in float64.
const tolerance = 2e-5

const folder = fileURLToPath(new URL('../golden/models/', import.meta.url))
const golden = (name: string) => readSafetensors(`${folder}prompts-${name}.safetensors`)

function casesOf<Case>(name: string, part: string): [string, Case][] {
  const { cases } = JSON.parse(readFileSync(`${folder}prompts-${name}.json`, 'utf8')) as { cases: Record<string, Record<string, Case>> }
  return Object.entries(cases[part]!)
}

interface TextCase {
  parts?: [text: string, weight: number][]
  text?: string
  emphasis?: PromptOptions['emphasis']
  tokens: number
  used?: number[]
}

const sampled = 7 // the golden files hold every seventh value of a context

async function check(
  model: Model,
  { parts, text, emphasis, tokens }: TextCase,
  wanted: Record<string, Stored>,
  root: string,
  syntax?: 'compel',
) {
  const prompt = text ?? parts!.map(([text, weight]) => ({ text, weight }))
  const found = await model.encodePrompt(prompt, { emphasis: emphasis ?? 'compel', syntax })
  expect(found.context.shape).toEqual([1, tokens, 64 + 128])
  const some = found.context.data.filter((_, i) => i % sampled === 0)
  expect(relativeError(some, wanted[`${root}.context`]!.data)).toBeLessThan(tolerance)
  expect(relativeError(found.pooled.data, wanted[`${root}.pooled`]!.data)).toBeLessThan(tolerance)
  return found
}

let model: Model
beforeAll(async () => {
  model = await loadModel(tinyCheckpoint('tiny-a'), { precision: 'fp32' })
})
afterAll(() => model.close())

describe('conditioning of a weighted prompt', () => {
  const wanted = golden('emphasis')

  test.each(casesOf<TextCase>('emphasis', 'emphasis'))('%s', async (name, what) => {
    await check(model, what, wanted, `emphasis.${name}`)
  })

  test.each(casesOf<TextCase>('emphasis', 'compel'))('of compel’s syntax: %s', async (name, what) => {
    await check(model, what, wanted, `compel.${name}`, 'compel')
  })

  test('a mean that weights turn over is told, with its ratio, and only where it is restored', async () => {
    // The first encoder's mean is near zero for this text.
    const prompt = [{ text: 'a red fox in the snow', weight: -8 }, { text: ', winter' }]
    const { report } = await model.encodePrompt(prompt)
    const warning = { code: 'W_RENORM', message: expect.stringMatching(/scales a chunk by -?\d.*'no-norm' leaves it out/) as string }
    expect(report.diagnostics).toContainEqual(warning)
    const { warnings } = await model.generate({ prompt, steps: 1, width: 64, height: 64 })
    expect(warnings).toContainEqual(warning)
    for (const emphasis of ['no-norm', 'comfy', 'ignore'] as const)
      expect((await model.encodePrompt(prompt, { emphasis })).report.diagnostics).toEqual([])
    expect((await model.encodePrompt('a red fox')).report.diagnostics).toEqual([])
  })

  test('no two modes are the same', () => {
    const modes = ['a1111', 'no-norm', 'comfy', 'compel', 'ignore'].map((mode) => wanted[`emphasis.cut-at-comma.${mode}.context`]!.data)
    for (const [i, one] of modes.entries())
      for (const other of modes.slice(i + 1)) expect(relativeError(one, other)).toBeGreaterThan(100 * tolerance)
  })
})

// Two calls per step count as two steps of a schedule.
defineHeun('two_calls')

describe('prompts that change from call to call, and composed ones', () => {
  const wanted = golden('pictures')
  interface PictureCase {
    request: GenerateRequest & { width: number; height: number }
    wrong: Record<string, number>
  }

  test.each(casesOf<PictureCase>('pictures', 'pictures'))('%s', async (name, { request, wrong }) => {
    const noise = wanted[`pictures.${name}.noise`] as { shape: number[]; data: Float32Array }
    const { images } = await model.generate({ ...request, noise })
    const rgb = wanted[`pictures.${name}.rgb`]!.data
    const size = request.width * request.height * 3
    expect(images).toHaveLength(rgb.length / size)
    // Of 12288 values some lie so close to a half that they round to the other side: 60 dB are 800 of them.
    images.forEach((image, i) => expect(psnr(image.data, rgb.subarray(i * size, (i + 1) * size))).toBeGreaterThan(60))
    expect(Math.max(...Object.values(wrong))).toBeLessThan(50) // what mistakes would give, as the reference has it
  })

  test('an alternation of the same text is that text', async () => {
    const request = { width: 64, height: 64, steps: 4, seed: 1, negativePrompt: '' }
    const [one, other] = [
      await model.generate({ ...request, prompt: 'a [cat|cat] on [grass:grass:2]' }),
      await model.generate({ ...request, prompt: 'a cat on grass' }),
    ]
    expect(one.images[0]!.data).toEqual(other.images[0]!.data)
  })
})

describe('a prompt that was encoded before', () => {
  const chunks = 12
  const promptOf = (word: string) => Array.from({ length: chunks }, (_, i) => `${word} number ${i} on the grass`).join(' BREAK ')

  test('is not encoded again', async () => {
    const request = { width: 64, height: 64, steps: 1, seed: 1, negativePrompt: 'blurry' }
    const milliseconds = async (prompt: string) => (await model.generate({ ...request, prompt })).timings.encode
    const fresh: number[] = []
    const again: number[] = []
    for (const word of ['cat', 'dog', 'fox', 'owl', 'bee']) {
      fresh.push(await milliseconds(promptOf(word)))
      again.push(await milliseconds(promptOf(word)))
    }
    // The shortest of five is free of what else the machine does; without a cache both are the same.
    expect(Math.min(...again)).toBeLessThan(Math.min(...fresh) / 3)
  })
})

describe('textual inversion', () => {
  const wanted = golden('embeddings')
  const embeddings = { 'my-style': `${folder}prompts-style.safetensors`, qwv: `${folder}prompts-word.safetensors` }
  let styled: Model
  beforeAll(async () => {
    styled = await loadModel(tinyCheckpoint('tiny-a'), { embeddings, precision: 'fp32' })
  })
  afterAll(() => styled.close())

  test('the model says what it knows', () => {
    expect(styled.info.embeddings).toEqual({ 'my-style': 3, qwv: 1 })
    expect(model.info.embeddings).toEqual({})
  })

  test.each(casesOf<TextCase>('embeddings', 'embeddings'))('%s', async (name, what) => {
    const { report } = await check(styled, what, wanted, `embeddings.${name}`)
    expect(report.layout.map(({ used }) => used)).toEqual(what.used)
  })

  test('ComfyUI’s syntax knows the longer spelling only', async () => {
    const options = { syntax: 'comfy', emphasis: 'comfy' } as const
    const long = await styled.encodePrompt('mountain lake at dawn, (embedding:my-style:1.3)', options)
    const some = long.context.data.filter((_, i) => i % sampled === 0)
    expect(relativeError(some, wanted['embeddings.text-2.comfy.context']!.data)).toBeLessThan(tolerance)
    const [short, unknown] = await Promise.all([styled, model].map((one) => one.encodePrompt('a photo of my-style, red', options)))
    expect(short!.context.data).toEqual(unknown!.context.data)
  })

  test('its vectors are in a picture, and without it its name is a text', async () => {
    const request = { prompt: 'a photo of my-style, red', width: 64, height: 64, steps: 2, seed: 1 }
    const [with_, without] = [await styled.generate(request), await model.generate(request)]
    expect(with_.tokens.tokens).toBe(without.tokens.tokens)
    expect(with_.images[0]!.data).not.toEqual(without.images[0]!.data)
  })

  describe('a file that cannot be used', () => {
    const files = temporaryFolder()
    /** A file of tensors of zeros. */
    const fileOf = (name: string, shapes: Record<string, number[]>) => {
      const header: Record<string, object> = {}
      let end = 0
      for (const [tensor, shape] of Object.entries(shapes)) {
        const begin = end
        end += 4 * shape.reduce((a, b) => a * b)
        header[tensor] = { dtype: 'F32', shape, data_offsets: [begin, end] }
      }
      return writeSafetensors(join(files, name), header, new Uint8Array(end))
    }
    const refusal = async (path: string) => {
      const error: unknown = await loadModel(tinyCheckpoint('tiny-a'), { embeddings: { fine: embeddings.qwv, 'my-style': path } }).then(
        (loaded) => loaded.close(),
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(SdxlError)
      return error as SdxlError
    }

    test.each<[string, Record<string, number[]>, RegExp]>([
      ['of another width', { clip_l: [2, 63], clip_g: [2, 128] }, /clip_l is \[2, 63\]; wanted is \[n, 64\]/],
      ['of the encoders swapped', { clip_l: [2, 128], clip_g: [2, 64] }, /clip_l is \[2, 128\]; wanted is \[n, 64\]/],
      ['of another width in the second', { clip_l: [2, 64], clip_g: [2, 129] }, /clip_g is \[2, 129\]; wanted is \[n, 128\]/],
      ['for Stable Diffusion 1', { emb_params: [2, 768] }, /emb_params \[2, 768\].*Stable Diffusion 1 or 2/],
      ['with one encoder only', { clip_g: [2, 128] }, /no tensor clip_l/],
      ['with counts that differ', { clip_l: [2, 64], clip_g: [3, 128] }, /clip_l has 2 vectors, clip_g 3/],
      ['of more than a chunk', { clip_l: [76, 64], clip_g: [76, 128] }, /n from 1 to 75/],
      ['of no vectors', { clip_l: [0, 64], clip_g: [0, 128] }, /n from 1 to 75/],
      ['of three dimensions', { clip_l: [1, 2, 64], clip_g: [1, 2, 128] }, /clip_l is \[1, 2, 64\]/],
      ['of other tensors', { weight: [1, 64], a: [1], b: [1], c: [1], d: [1] }, /no tensor clip_l.*and 1 more/],
    ])('%s', async (name, shapes, message) => {
      const path = fileOf(`${name}.safetensors`, shapes)
      const { code, message: found, details } = await refusal(path)
      expect(code).toBe('ERR_MODEL_FORMAT')
      expect(found).toMatch(message)
      expect(details).toMatchObject({ path })
    })

    test('with NaN in it', async () => {
      const data = new Float32Array(64 + 128).fill(1)
      data[70] = Number.NaN
      const header = {
        clip_l: { dtype: 'F32', shape: [1, 64], data_offsets: [0, 256] },
        clip_g: { dtype: 'F32', shape: [1, 128], data_offsets: [256, 768] },
      }
      const path = writeSafetensors(join(files, 'nan.safetensors'), header, new Uint8Array(data.buffer))
      expect(await refusal(path)).toMatchObject({
        code: 'ERR_MODEL_FORMAT',
        message: expect.stringMatching(/clip_g.*NaN/),
        details: { path },
      })
    })

    test('that is no safetensors file', async () => {
      const path = join(files, 'text.safetensors')
      writeFileSync(path, 'a textual inversion, in words')
      expect(await refusal(path)).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { path } })
    })

    test('that is a PyTorch file', async () => {
      const path = join(files, 'style.pt')
      writeFileSync(path, Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(100)]))
      expect(await refusal(path)).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { path } })
    })

    test('that is not there', async () => {
      const path = join(files, 'missing.safetensors')
      expect(await refusal(path)).toMatchObject({ code: 'ERR_MODEL_NOT_FOUND', details: { path } })
    })

    test('that is a folder', async () => {
      const { code, details } = await refusal(files)
      expect(['ERR_MODEL_FORMAT', 'ERR_MODEL_NOT_FOUND']).toContain(code)
      expect(details).toMatchObject({ path: files })
    })

    test('under a name that is no text', async () => {
      const path = tinyCheckpoint('tiny-a')
      await expect(loadModel(path, { embeddings: { 'my-style': 1 as never } })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
      await expect(loadModel(path, { embeddings: [] as never })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
    })
  })
})
