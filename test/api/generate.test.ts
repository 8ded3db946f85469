import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readPng } from '../../lib/image/index.js'
import { type GenerateEvent, generate, loadModel, type Model, tinyModel } from '../../lib/index.js'
import { psnr } from '../support/measures.js'

const fast = { prompt: 'a red circle on a blue background', steps: 3, guidance: 4, seed: 5 }

let model: Model
beforeAll(async () => {
  model = await loadModel(tinyModel)
})
afterAll(() => model.close())

describe('a result', () => {
  test('has pictures, timings, the prompt report and everything to repeat it', async () => {
    const result = await model.generate({ ...fast, negativePrompt: 'green' })
    const [image] = result.images
    expect(image).toMatchObject({ width: 128, height: 128, seed: 5 })
    expect(image!.data).toHaveLength(128 * 128 * 3)
    expect(result.seed).toBe(5)
    for (const part of ['encode', 'denoise', 'decode', 'total'] as const) expect(result.timings[part]).toBeGreaterThan(0)
    expect(result.timings.load).toBe(0)
    expect(result.tokens).toMatchObject({ tokens: 7, chunks: 1, limit: 75 })
    expect(result.parameters).toMatchObject({
      ...fast,
      model: tinyModel,
      negativePrompt: 'green',
      width: 128,
      height: 128,
      sampler: 'euler',
      scheduler: 'normal',
      count: 1,
      prompting: { syntax: 'a1111', emphasis: 'a1111' },
      tokens: {
        prompt: { tokens: 7, limit: 75, chunks: 1, layout: [{ used: 7, closedBy: 'end' }] },
        negativePrompt: { tokens: 1, limit: 75, chunks: 1, layout: [{ used: 1, closedBy: 'end' }] },
      },
    })
  })

  test('is repeated by its parameters, also through JSON', async () => {
    const first = await model.generate({
      ...fast,
      sampler: 'euler_a',
      negativePrompt: 'green',
      size: { crop: [8, 0] },
      prompting: { emphasis: 'comfy' },
    })
    const again = await generate(JSON.parse(JSON.stringify(first.parameters)))
    expect(again.images[0]!.data).toEqual(first.images[0]!.data)
  })

  test('carries its settings into the PNG', async () => {
    const { images } = await model.generate(fast)
    const png = await readPng(await images[0]!.png())
    expect(png.data).toEqual(images[0]!.data)
    expect(png.text.parameters).toMatch(
      /^a red circle on a blue background\nSteps: 3, Sampler: Euler, .*CFG scale: 4, Seed: 5, Size: 128x128/,
    )
  })

  test('draws what the prompt says', async () => {
    const { images } = await model.generate({
      prompt: 'a yellow star on a black background',
      steps: 20,
      guidance: 4,
      seed: 2,
      sampler: 'dpmpp_2m',
      scheduler: 'karras',
    })
    const pixel = (x: number, y: number) => Array.from(images[0]!.data.subarray((y * 128 + x) * 3, (y * 128 + x) * 3 + 3))
    const [red, green, blue] = pixel(64, 64) as [number, number, number]
    expect(red).toBeGreaterThan(180)
    expect(green).toBeGreaterThan(150)
    expect(blue).toBeLessThan(100)
    for (const corner of [pixel(4, 4), pixel(123, 4), pixel(4, 123), pixel(123, 123)]) expect(Math.max(...corner)).toBeLessThan(70)
  })
})

describe('the same request gives the same bytes', () => {
  test('again', async () => {
    const [a, b] = [await model.generate(fast), await model.generate(fast)]
    expect(b.images[0]!.data).toEqual(a.images[0]!.data)
    const other = await model.generate({ ...fast, seed: 6 })
    expect(other.images[0]!.data).not.toEqual(a.images[0]!.data)
  })

  test.each(['philox', 'torch-cpu'] as const)('at any count, with noise from %s and a sampler that adds noise', async (rng) => {
    const request = { ...fast, sampler: 'euler_a', rng }
    const batch = await model.generate({ ...request, count: 3 })
    expect(batch.images.map((image) => image.seed)).toEqual([5, 6, 7])
    for (const [i, image] of batch.images.entries()) {
      const alone = await model.generate({ ...request, seed: 5 + i })
      expect(alone.images[0]!.data).toEqual(image.data)
    }
  })

  test.each([1, 2, 3])('with %i threads', async (threads) => {
    const wanted = await model.generate(fast)
    const other = await loadModel(tinyModel, { threads })
    const found = await other.generate(fast)
    await other.close()
    expect(found.images[0]!.data).toEqual(wanted.images[0]!.data)
  })
})

describe('options', () => {
  test('a seed is drawn and reported when none is given', async () => {
    const { seed, images } = await model.generate({ ...fast, steps: 1, seed: undefined })
    expect(Number.isSafeInteger(seed)).toBe(true)
    const again = await model.generate({ ...fast, steps: 1, seed })
    expect(again.images[0]!.data).toEqual(images[0]!.data)
  })

  test('guidance of at most 1 ignores the negative prompt', async () => {
    const a = await model.generate({ ...fast, guidance: 1, negativePrompt: 'blue' })
    const b = await model.generate({ ...fast, guidance: 0.5 })
    expect(b.images[0]!.data).toEqual(a.images[0]!.data)
    const c = await model.generate({ ...fast, guidance: 1.01 })
    expect(c.images[0]!.data).not.toEqual(a.images[0]!.data)
  })

  test('an empty negative prompt is zeros unless it is to be encoded', async () => {
    const zeros = await model.generate(fast)
    const encoded = await model.generate({ ...fast, prompting: { zeroEmptyNegative: false } })
    expect(encoded.images[0]!.data).not.toEqual(zeros.images[0]!.data)
  })

  test('sizes of the picture and of the conditioning', async () => {
    const wide = await model.generate({ ...fast, width: 104, height: 72 })
    expect(wide.images[0]).toMatchObject({ width: 104, height: 72 })
    const crop = await model.generate({ ...fast, width: 104, height: 72, size: { crop: [64, 64] } })
    expect(crop.images[0]!.data).not.toEqual(wide.images[0]!.data)
  })

  test('own start noise replaces the drawn one', async () => {
    const noise = { shape: [1, 4, 16, 16], data: Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i * i)) }
    const a = await model.generate({ ...fast, noise })
    const b = await model.generate({ ...fast, noise, seed: 99 })
    expect(b.images[0]!.data).toEqual(a.images[0]!.data)
    const c = await generate(a.parameters as never)
    expect(c.images[0]!.data).toEqual(a.images[0]!.data)
  })

  test('prompts may be parts with weights', async () => {
    const parts = await model.generate({ ...fast, prompt: [{ text: 'a ' }, { text: 'red', weight: 1.3 }, { text: ' circle' }] })
    const text = await model.generate({ ...fast, prompt: 'a (red:1.3) circle' })
    expect(parts.images[0]!.data).toEqual(text.images[0]!.data)
  })

  test('long prompts and prompts of unlike length', async () => {
    const long = `${'a red circle, '.repeat(40)} on a blue background`
    const result = await model.generate({ ...fast, prompt: long, negativePrompt: `${'dark, '.repeat(60)}` })
    expect(result.tokens.chunks).toBeGreaterThan(2)
    expect(result.images).toHaveLength(1)
  })

  test.each(['fp16', 'bf16'] as const)('weights in %s stay close', async (precision) => {
    const wanted = await model.generate(fast)
    const rounded = await loadModel(tinyModel, { precision })
    const found = await rounded.generate(fast)
    expect(rounded.info.precision).toBe(precision)
    await rounded.close()
    // The file is fp16, so that is exact; bf16 keeps 8 bits, and three steps of guidance 4 amplify the rounding.
    expect(psnr(found.images[0]!.data, wanted.images[0]!.data)).toBeGreaterThan(30)
  })
})

describe('events', () => {
  test('come through the iterator, the callback and to late readers alike', async () => {
    const heard: GenerateEvent[] = []
    const job = model.generate({ ...fast, onProgress: (event) => heard.push(event) })
    const read: GenerateEvent[] = []
    for await (const event of job) read.push(event)
    const { images } = await job
    expect(read.map((e) => (e.type === 'step' ? e.step : e.type))).toEqual([1, 2, 3, 'image'])
    expect(read[0]).toMatchObject({ type: 'step', steps: 3 })
    expect(read.at(-1)).toEqual({ type: 'image', index: 0, image: images[0] })
    expect(heard).toEqual(read)
    const late: GenerateEvent[] = []
    for await (const event of job) late.push(event)
    expect(late).toEqual(read)
  })

  test('leaving the loop does not end the job', async () => {
    const job = model.generate(fast)
    for await (const _ of job) break
    expect((await job).images).toHaveLength(1)
  })

  test('a callback that throws ends the job with what it threw', async () => {
    const job = model.generate({
      ...fast,
      onProgress: () => {
        throw new Error('from the callback')
      },
    })
    await expect(job).rejects.toThrow('from the callback')
    expect((await model.generate(fast)).images).toHaveLength(1)
  })
})

describe('generate()', () => {
  test('loads a model once per path and options, and takes an open one', async () => {
    const first = await generate({ model: tinyModel, threads: 1, ...fast })
    expect(first.timings.load).toBeGreaterThan(0)
    const again = await generate({ model: tinyModel, threads: 1, ...fast })
    expect(again.timings.load).toBeLessThan(first.timings.load)
    const open = await generate({ model, ...fast })
    expect(open.images[0]!.data).toEqual(first.images[0]!.data)
    expect(again.images[0]!.data).toEqual(first.images[0]!.data)
  })

  test('refuses load options beside an open model', async () => {
    await expect(generate({ model, ...fast, threads: 1 })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      details: { field: 'threads' },
    })
  })
})
