import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { loadAddon } from '../../bindings/load.js'
import { loadModel, type SdxlError } from '../../lib/index.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { relativeError } from '../support/measures.js'
import { readSafetensors } from '../support/safetensors.js'

const golden = readSafetensors(fileURLToPath(new URL('../golden/models/tiny-a.safetensors', import.meta.url)))
const latents = golden['vae.decode-tiled.latents'] as { shape: number[]; data: Float32Array }

/** Bytes of weights, and the most that decoding these latents at once needs beside them. */
async function needs(): Promise<{ weights: number; decode: number }> {
  const model = await loadModel(tinyCheckpoint('tiny-a'))
  const { weights, peak } = model.info.memory
  await model.decodeTensor(latents)
  const decode = model.info.memory.peak - peak
  await model.close()
  return { weights, decode }
}

test('a budget below the weights is an error with both numbers', async () => {
  const { weights } = await needs()
  const error = await loadModel(tinyCheckpoint('tiny-a'), { memory: { budget: weights >> 1 } }).catch((e: SdxlError) => e)
  expect(error).toMatchObject({ code: 'ERR_OUT_OF_MEMORY', details: { limit: weights >> 1 } })
})

test('a job beyond the budget is an error, and the model goes on', async () => {
  const { weights } = await needs()
  const model = await loadModel(tinyCheckpoint('tiny-a'), { memory: { budget: weights + 24e6 } })
  const request = { prompt: 'a fox', steps: 1, seed: 1, width: 64, height: 64 }
  const { images } = await model.generate(request)
  await expect(model.generate({ ...request, width: 1024, height: 1024 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' })
  expect((await model.generate(request)).images[0]!.data).toEqual(images[0]!.data)
  expect(model.info.memory.peak).toBeLessThan(weights + 24e6)
  await model.close()
})

test('a budget that a whole decoding does not fit is kept by decoding in tiles', async () => {
  const { weights, decode } = await needs()
  const budget = weights + Math.round(decode * 0.9)
  const model = await loadModel(tinyCheckpoint('tiny-a'), { memory: { budget } })
  const tiled = await model.decodeTensor(latents)
  const whole = await (async () => {
    const other = await loadModel(tinyCheckpoint('tiny-a'))
    const pixels = await other.decodeTensor(latents)
    await other.close()
    return pixels
  })()
  expect(model.info.memory.peak).toBeLessThan(budget)
  await model.close()
  expect(tiled.shape).toEqual(whole.shape)
  expect(relativeError(tiled.data, whole.data)).toBeGreaterThan(1e-3)
})

test('tiles are blended as Diffusers does it', async () => {
  const engine = new (loadAddon().Engine)()
  await engine.load({
    path: tinyCheckpoint('tiny-a'),
    vae: '',
    device: 'cpu',
    precision: 'auto',
    threads: 0,
    memoryBudget: 0,
    embeddings: [],
  })
  const { cases } = JSON.parse(readFileSync(new URL('../golden/models/tiny-a.json', import.meta.url), 'utf8'))
  const tile = cases.vae['decode-tiled'].tile_latent_min_size as number
  const [count, , height, width] = latents.shape as [number, number, number, number]
  let pixels: Float32Array | undefined
  await engine.decode({ latents: latents.data, count, height, width, pixels: true, tile }, undefined, (event) => {
    pixels = event.pixels
  })
  await engine.close()
  // Both sides sum in fp32; the golden file says how far Diffusers is from float64.
  expect(relativeError(pixels!, golden['vae.decode-tiled.pixels']!.data)).toBeLessThan(2e-5)
})
