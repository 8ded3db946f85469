import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NativeEngine } from '../../bindings/addon.js'
import { loadAddon } from '../../bindings/load.js'
import { type GenerateRequest, loadModel, type Model } from '../../lib/index.js'
import { specs } from '../../tools/checkpoint/specs.mjs'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { psnr, relativeError } from '../support/measures.js'
import { readSafetensors, type Stored } from '../support/safetensors.js'

// Both sides sum in fp32 in their own order. The golden files say how far Diffusers itself is from the same network in float64
// (float64_difference, up to 1.3e-5); 2e-5 leaves room for a difference of that size and for no mistake.
const tensorTolerance = 2e-5

const folder = fileURLToPath(new URL('../golden/models/', import.meta.url))

interface Golden {
  cases: {
    text?: Record<string, { chunks: number }>
    unet?: Record<string, { timestep: number }>
    vae?: Record<string, { float64_difference: number }>
    pictures?: Record<string, { request: GenerateRequest & { width: number; height: number }; float64_difference: { latents: number } }>
  }
}

describe.each([
  ['tiny-a', 'single-file'],
  ['tiny-a', 'diffusers'],
  ['tiny-b', 'single-file'],
  ['tiny-b', 'diffusers'],
  ['tiny-v', 'single-file'],
  ['tiny-pruned', 'single-file'],
  ['tiny-inpaint', 'single-file'],
] as const)('%s as %s', (name, layout) => {
  const { cases } = JSON.parse(readFileSync(`${folder}${name}.json`, 'utf8')) as Golden
  const golden = readSafetensors(`${folder}${name}.safetensors`)
  const floats = (key: string) => golden[key]!.data as Float32Array
  const tensor = (key: string) => golden[key] as { shape: number[]; data: Float32Array }
  let model: Model
  let engine: NativeEngine

  beforeAll(async () => {
    const path = tinyCheckpoint(name, { layout })
    model = await loadModel(path, { precision: 'fp32' })
    // Token ids go in by the addon itself: some of the golden lists come from no text.
    engine = new (loadAddon().Engine)()
    await engine.load({ path, vae: '', device: 'cpu', precision: 'fp32', threads: 0, memoryBudget: 0, embeddings: [] })
  })
  afterAll(async () => {
    await model?.close()
    await engine?.close()
  })

  const encode = (root: string, clipSkip: number) => {
    const ids = golden[`${root}.ids_l`]!.data as Int32Array
    const weights = floats(`${root}.weights`)
    const text = {
      weight: 1,
      ids,
      ids2: golden[`${root}.ids_g`]!.data as Int32Array,
      weights,
      weights2: weights,
      strengths: new Float32Array(ids.length / 77).fill(1),
      hidden: new Float64Array(),
      pooled: null,
    }
    return engine.encodePrompt({ texts: [text], emphasis: 'a1111', clipSkip, loras: [], loraDirectory: '' })
  }

  test.each(Object.keys(cases.text ?? {}))('text states and pooled vector: %s', async (key) => {
    const root = `text.${key}`
    const found = await encode(root, 1)
    expect(relativeError(found.context, floats(`${root}.context`))).toBeLessThan(tensorTolerance)
    expect(relativeError(found.pooled, floats(`${root}.pooled`))).toBeLessThan(tensorTolerance)
  })

  if (cases.text)
    test('clipSkip 2 takes the first encoder a layer earlier, and leaves the second', async () => {
      const { context } = await encode('text.one-chunk', 2)
      const earlier = floats('text.one-chunk.context_skip_2')
      const usual = floats('text.one-chunk.context')
      const both = context.length / 77
      const first = specs[name]?.text_encoder?.width ?? 0
      const wanted = usual.map((value, i) => (i % both < first ? earlier[i]! : value))
      expect(relativeError(context, wanted)).toBeLessThan(tensorTolerance)
      expect(relativeError(earlier, usual)).toBeGreaterThan(0.01)
    })

  test.each(Object.keys(cases.unet ?? {}))('UNet prediction: %s', async (key) => {
    const root = `unet.${key}`
    const sizes = floats(`${root}.time_ids`)
    const wanted = golden[`${root}.prediction`]!
    // Sizes are one set for all latents here, while the golden case may have a set for each: those go in one by one.
    const sets = sizes.length / 6
    for (let i = 0; i < sets; i++) {
      const part = ({ shape, data }: { shape: number[]; data: Float32Array }) => {
        const count = shape[0]! / sets
        const each = data.length / sets
        return { shape: [count, ...shape.slice(1)], data: data.slice(i * each, (i + 1) * each) }
      }
      const [a, b, c, d, e, f] = Array.from(sizes.subarray(i * 6, i * 6 + 6)) as [number, number, number, number, number, number]
      const found = await model.predict({
        latents: part(tensor(`${root}.latents`)),
        timestep: floats(`${root}.timestep`)[0]!,
        conditioning: {
          context: part(tensor(`${root}.context`)),
          pooled: part(tensor(`${root}.pooled`)),
          report: { tokens: 0, limit: 0, chunks: 0, layout: [], diagnostics: [] },
        },
        size: { original: [a, b], crop: [c, d], target: [e, f] },
      })
      const expected = part(wanted as { shape: number[]; data: Float32Array })
      expect(found.shape).toEqual(expected.shape)
      expect(relativeError(found.data, expected.data)).toBeLessThan(tensorTolerance)
    }
  })

  if (cases.vae)
    test('VAE decoding', async () => {
      const found = await model.decodeTensor(tensor('vae.decode.latents'))
      expect(found.shape).toEqual(golden['vae.decode.pixels']!.shape)
      expect(relativeError(found.data, floats('vae.decode.pixels'))).toBeLessThan(tensorTolerance)
    })

  test.each(Object.entries(cases.vae ?? {}).filter(([key]) => key.startsWith('encode')))(
    'VAE encoding: %s',
    async (key, { float64_difference }) => {
      const { shape, data } = golden[`vae.${key}.rgb`] as Stored
      const [count, height, width] = shape as [number, number, number]
      const wanted = golden[`vae.${key}.latents`]!
      const each = wanted.data.length / count
      for (let i = 0; i < count; i++) {
        const picture = (data as Uint8Array).subarray(i * height * width * 3, (i + 1) * height * width * 3)
        const found = await model.encode({ width, height, data: picture })
        expect(found.shape).toEqual([1, ...wanted.shape.slice(1)])
        // A picture of one grey leaves hardly any variance to divide by: there the rounding before
        // it decides, for Diffusers as for us (and a wrong epsilon would be off by 0.05).
        expect(relativeError(found.data, wanted.data.subarray(i * each, (i + 1) * each))).toBeLessThan(
          Math.max(tensorTolerance, 5 * float64_difference),
        )
      }
    },
  )

  test.each(Object.entries(cases.pictures ?? {}))('whole picture: %s', async (key, { request }) => {
    const noise = tensor(`pictures.${key}.noise`)
    const given = await model.generate({ ...request, noise })
    const rgb = golden[`pictures.${key}.rgb`]!.data
    const size = request.width * request.height * 3
    given.images.forEach((image, i) => {
      expect(psnr(image.data, rgb.subarray(i * size, (i + 1) * size))).toBeGreaterThan(50)
    })
    // The stored noise is what torch's CPU generator gives for the seed, up to the last bit of a logarithm.
    const drawn = await model.generate(request)
    drawn.images.forEach((image, i) => {
      expect(psnr(image.data, given.images[i]!.data)).toBeGreaterThan(50)
    })
  })
})
