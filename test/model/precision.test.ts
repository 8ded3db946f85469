import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { loadModel, type Model } from '../../lib/index.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { psnr, relativeError } from '../support/measures.js'
import { readSafetensors } from '../support/safetensors.js'

const golden = readSafetensors(fileURLToPath(new URL('../golden/models/tiny-a.safetensors', import.meta.url)))
const tensor = (key: string) => golden[key] as { shape: number[]; data: Float32Array }

async function predict(model: Model): Promise<Float32Array> {
  const root = 'unet.odd-size'
  const [a, b, c, d, e, f] = Array.from(tensor(`${root}.time_ids`).data) as [number, number, number, number, number, number]
  const { data } = await model.predict({
    latents: tensor(`${root}.latents`),
    timestep: tensor(`${root}.timestep`).data[0]!,
    conditioning: {
      context: tensor(`${root}.context`),
      pooled: tensor(`${root}.pooled`),
      report: { tokens: 0, limit: 0, chunks: 0, layout: [], diagnostics: [] },
    },
    size: { original: [a, b], crop: [c, d], target: [e, f] },
  })
  return data
}

const draw = async (model: Model) =>
  (await model.generate({ prompt: 'a red fox', steps: 6, guidance: 5, seed: 1, width: 64, height: 64 })).images[0]!

async function withModel<T>(path: string, options: Parameters<typeof loadModel>[1], work: (model: Model) => Promise<T>): Promise<T> {
  const model = await loadModel(path, options)
  try {
    return await work(model)
  } finally {
    await model.close()
  }
}

const wanted = tensor('unet.odd-size.prediction').data

describe.each(['fp16', 'bf16'] as const)('weights rounded to %s by option', (precision) => {
  test('predict within 2e-2 of fp32 and draw within 30 dB', async () => {
    const path = tinyCheckpoint('tiny-a')
    const exact = await withModel(path, {}, draw)
    await withModel(path, { precision }, async (model) => {
      const error = relativeError(await predict(model), wanted)
      expect(error).toBeLessThan(2e-2)
      expect(error).toBeGreaterThan(1e-5) // it does round
      expect(psnr((await draw(model)).data, exact.data)).toBeGreaterThan(30)
    })
  })
})

// How far rounding the file moves the prediction, eleven, eight and four bits; each format has eight times the error of the one above.
describe.each([
  ['f16', 5e-3],
  ['bf16', 4e-2],
  ['f8_e4m3', 0.5],
] as const)('a file in %s', (dtype, room) => {
  test('loads; its values are used as they are', async () => {
    const path = tinyCheckpoint('tiny-a', { dtype })
    const kept = await withModel(path, {}, predict)
    // Widened while they are used or all at once at load: the same numbers, hence the same bytes.
    expect(await withModel(path, { precision: 'fp32' }, predict)).toEqual(kept)
    const error = relativeError(kept, wanted)
    expect(error).toBeLessThan(room)
    expect(error).toBeGreaterThan(1e-5)
  })
})

test('shards and layouts of one model give the same bytes', async () => {
  const single = await withModel(tinyCheckpoint('tiny-a'), {}, predict)
  const folder = await withModel(tinyCheckpoint('tiny-a', { layout: 'diffusers' }), {}, predict)
  const shards = await withModel(tinyCheckpoint('tiny-a', { layout: 'diffusers', shards: 3 }), {}, predict)
  expect(folder).toEqual(single)
  expect(shards).toEqual(single)
})

test('every instruction set agrees with Diffusers', async () => {
  const { loadAddon } = await import('../../bindings/load.js')
  const { isas } = loadAddon().cpu()
  const before = process.env.NODE_SDXL_ISA
  try {
    for (const isa of isas) {
      process.env.NODE_SDXL_ISA = isa
      await withModel(tinyCheckpoint('tiny-a'), {}, async (model) => {
        expect(model.info.backend).toBe(`cpu-${isa}`)
        expect(relativeError(await predict(model), wanted)).toBeLessThan(2e-5)
      })
    }
    process.env.NODE_SDXL_ISA = 'avx9000'
    await expect(loadModel(tinyCheckpoint('tiny-a'))).rejects.toMatchObject({ code: 'ERR_DEVICE_UNAVAILABLE' })
  } finally {
    if (before === undefined) delete process.env.NODE_SDXL_ISA
    else process.env.NODE_SDXL_ISA = before
  }
})
