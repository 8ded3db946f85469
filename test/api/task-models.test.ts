import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type GenerateRequest, loadModel, type Model, readParameters, tinyModel } from '../../lib/index.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { temporaryFolder } from '../support/files.js'
import { kohya } from '../support/lora-drawing.js'
import { psnr } from '../support/measures.js'
import { rewriteTensors, tensorBytes } from '../support/tensor-bytes.js'

const folder = temporaryFolder()
const size = { width: 56, height: 40 }
const fast = { prompt: 'a red fox', steps: 2, guidance: 4, seed: 5, ...size }

async function using<T>(load: Promise<Model>, act: (model: Model) => Promise<T>): Promise<T> {
  const model = await load
  try {
    return await act(model)
  } finally {
    await model.close()
  }
}
const draw = async (model: Model, request: Partial<GenerateRequest>) => (await model.generate({ ...fast, ...request })).images[0]!.data

describe('few-step models', () => {
  const said = async (name: string, request: Partial<GenerateRequest> = {}) => {
    const path = join(folder, name)
    copyFileSync(tinyModel, path)
    const { width, height } = size
    const given = { prompt: 'a star', seed: 1, width, height, ...request }
    return using(loadModel(path), async (model) => (await model.generate(given)).parameters)
  }

  test('are known by their names, and a request overrides what they want', async () => {
    const usual = { steps: 2, guidance: 1, sampler: 'euler', scheduler: 'trailing' }
    expect(await said('sdxl_lightning_2step.safetensors')).toMatchObject(usual)
    expect(await said('sdxl_lightning_2step.safetensors', { steps: 3, scheduler: 'karras', guidance: 2 })).toMatchObject({
      ...usual,
      steps: 3,
      scheduler: 'karras',
      guidance: 2,
    })
    expect(await said('My-TCD-model.safetensors', { steps: 1 })).toMatchObject({ sampler: 'tcd', samplerOptions: { eta: 0.3 } })
    // What TCD wants of its own sampler is no option of another one.
    const other = await said('My-TCD-model.safetensors', { steps: 1, sampler: 'euler' })
    expect(other).toMatchObject({ sampler: 'euler', scheduler: 'normal', guidance: 1 })
    expect(other.samplerOptions).toBeUndefined()
    expect(await said('sdxl.safetensors', { steps: 2 })).toMatchObject({ guidance: 7, scheduler: 'normal' })
  })

  test('are known by the title in their metadata', async () => {
    const path = join(folder, 'a.safetensors')
    rewriteTensors(path, tensorBytes(tinyModel).tensors, { 'modelspec.title': 'Some LCM model' })
    await using(loadModel(path), async (model) => {
      const { parameters } = await model.generate({ prompt: 'a star', seed: 1, ...size })
      expect(parameters).toMatchObject({ steps: 4, guidance: 1, sampler: 'lcm' })
    })
  })

  test('may be made so by a LoRA, given or named in the prompt', async () => {
    copyFileSync(kohya, join(folder, 'lcm-lora-sdxl.safetensors'))
    await using(loadModel(tinyCheckpoint('tiny-a')), async (model) => {
      const wanted = { steps: 4, guidance: 1, sampler: 'lcm' }
      const path = join(folder, 'lcm-lora-sdxl.safetensors')
      const request = { prompt: 'a star', seed: 1, ...size }
      expect((await model.generate({ ...request, loras: [{ path }] })).parameters).toMatchObject(wanted)
      const tagged = { ...request, prompt: 'a star <lora:lcm-lora-sdxl:0.5>', loraDirectory: folder }
      expect((await model.generate(tagged)).parameters).toMatchObject(wanted)
    })
  })
})

describe('a model for inpainting', () => {
  test('draws out of noise, from an image, and in a second pass too', async () => {
    await using(loadModel(tinyCheckpoint('tiny-inpaint')), async (model) => {
      const plain = await draw(model, {})
      expect(plain).toHaveLength(56 * 40 * 3)
      const image = { ...size, data: plain }
      const changed = await draw(model, { image, strength: 0.5 })
      expect(changed).not.toEqual(plain)
      expect(await draw(model, { hires: { scale: 1.5, steps: 1 } })).toHaveLength(84 * 60 * 3)
      const mask = { ...size, data: new Uint8Array(56 * 40 * 3).fill(255) }
      // All is masked: the network is shown nothing of the image, but the start has it.
      expect(await draw(model, { image, mask, strength: 0.5, inpaint: { paste: false, mode: 'diffusers' } })).toEqual(changed)
    })
  })
})

describe('a refiner', () => {
  const refiner = tinyCheckpoint('tiny-refiner', { seed: 1 })

  test('acts unless it is left out, and is part of the parameters', async () => {
    await using(loadModel(tinyCheckpoint('tiny-a'), { refiner }), async (model) => {
      const { images, parameters } = await model.generate({ ...fast, steps: 5 })
      expect(parameters).toMatchObject({
        refiner,
        refine: { switchAt: 0.8, by: 'timesteps', aestheticScore: 6, negativeAestheticScore: 2.5 },
      })
      const without = await draw(model, { steps: 5, refine: false })
      expect(without).not.toEqual(images[0]!.data)
      expect(await draw(model, { steps: 5, refine: { switchAt: 1 } })).toEqual(without)
      expect(await draw(model, { steps: 5, refine: { aestheticScore: 1 } })).not.toEqual(images[0]!.data)
      expect(await draw(model, { steps: 5, refine: { switchAt: 0.8, by: 'steps' } })).toEqual(images[0]!.data)
      expect(await readParameters(await images[0]!.png())).toMatchObject({ refine: { switchAt: 0.8 } })
      const base = await using(loadModel(tinyCheckpoint('tiny-a')), (plain) => draw(plain, { steps: 5 }))
      expect(without).toEqual(base)
      // In the second pass of a hires fix, the first one is the base model's.
      const [both, second] = [{ switchAt: 0.5 }, false as const].map((refine) => draw(model, { hires: { scale: 1.5, steps: 2 }, refine }))
      expect(await both).not.toEqual(await second)
    })
  })
})

test('TAESD makes previews in full size', async () => {
  const taesd = fileURLToPath(new URL('../golden/taesd/tiny.safetensors', import.meta.url))
  await using(loadModel(tinyCheckpoint('tiny-a'), { taesd }), async (model) => {
    const seen: [number, number, number][] = []
    for await (const event of model.generate({ ...fast, preview: { every: 1, method: 'taesd' } })) {
      if (event.type === 'preview') seen.push([event.step, event.image.width, event.image.height])
    }
    expect(seen).toEqual([
      [1, 56, 40],
      [2, 56, 40],
    ])
  })
})

test('the prediction may be said for the file', async () => {
  const path = tinyCheckpoint('tiny-a')
  const [usual, other] = await Promise.all(
    [{}, { prediction: 'v' as const }].map((options) =>
      using(loadModel(path, options), async (model) => [model.info.prediction, await draw(model, {})] as const),
    ),
  )
  expect([usual![0], other![0]]).toEqual(['epsilon', 'v'])
  expect(psnr(usual![1], other![1])).toBeLessThan(30)
})

test('markers in the file say the prediction and the end of the noise', async () => {
  const path = join(folder, 'marked.safetensors')
  const marker = { dtype: 'F32', shape: [0], bytes: Buffer.alloc(0) }
  rewriteTensors(path, { ...tensorBytes(tinyCheckpoint('tiny-a')).tensors, v_pred: marker, ztsnr: marker })
  const request = { scheduler: 'trailing', steps: 2 }
  const [said, ordinary] = await using(loadModel(tinyCheckpoint('tiny-a'), { prediction: 'v' }), (model) =>
    Promise.all([true, false].map((zeroTerminalSnr) => draw(model, { ...request, zeroTerminalSnr }))),
  )
  await using(loadModel(path), async (model) => {
    expect(model.info.prediction).toBe('v')
    expect((await model.generate({ ...fast, ...request })).parameters).toMatchObject({ zeroTerminalSnr: true })
    expect(await draw(model, request)).toEqual(said)
    expect(await draw(model, { ...request, zeroTerminalSnr: false })).toEqual(ordinary)
  })
  expect(said).not.toEqual(ordinary)
})
