import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Conditioning, convertModel, type LoraSpec, loadModel, type Model, type SdxlError } from '../../lib/index.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { temporaryFolder } from '../support/files.js'
import { relativeError } from '../support/measures.js'

const lora = (name: string) => new URL(`../golden/lora/${name}.safetensors`, import.meta.url).pathname
// Merged before it is stored or added while the layer runs: the same sums, rounded in another order.
const tolerance = 5e-5
const latents = { shape: [1, 4, 8, 8], data: Float32Array.from({ length: 256 }, (_, i) => Math.sin(i * 1.7) * 2) }

async function outputs(model: Model, loras: LoraSpec[]): Promise<{ context: Float32Array; prediction: Float32Array }> {
  const conditioning: Conditioning = await model.encodePrompt('a (red:1.2) fox', { loras })
  const prediction = await model.predict({ latents, timestep: 400, conditioning, loras })
  return { context: conditioning.context.data, prediction: prediction.data }
}

describe('LoRAs merged into a checkpoint', () => {
  const folder = temporaryFolder()
  const source = tinyCheckpoint('tiny-a')
  let model: Model
  beforeAll(async () => {
    model = await loadModel(source, { precision: 'fp32' })
  })
  afterAll(() => model.close())

  test.each([
    ['single-file', 'kohya.safetensors', [{ path: lora('kohya'), weight: 0.6 }]],
    ['diffusers', 'kohya', [{ path: lora('kohya'), weight: 0.6 }]],
    [
      'single-file',
      'mixed.safetensors',
      [
        { path: lora('loha'), unet: -0.5, textEncoder: 1 },
        { path: lora('diffusers'), weight: 0.8 },
        { path: lora('dora'), weight: 0.5 },
        { path: lora('differences') },
      ],
    ],
  ] as const)('%s: predictions are those of the LoRAs at run time', async (layout, name, loras) => {
    const to = join(folder, name)
    await convertModel(source, to, { layout, loras: [...loras] })
    const merged = await loadModel(to, { precision: 'fp32' })
    const found = await outputs(merged, [])
    await merged.close()
    const wanted = await outputs(model, [...loras])
    const plain = await outputs(model, [])
    expect(relativeError(found.context, wanted.context)).toBeLessThan(tolerance)
    expect(relativeError(found.prediction, wanted.prediction)).toBeLessThan(tolerance)
    expect(relativeError(plain.context, wanted.context)).toBeGreaterThan(1e-2)
    expect(relativeError(plain.prediction, wanted.prediction)).toBeGreaterThan(1e-2)
  })

  test('order makes no difference, strengths do, and the same once more is recognised', async () => {
    const [a, b] = [{ path: lora('kohya'), weight: 0.3 }, { path: lora('lokr') }]
    const one = await convertModel(source, join(folder, 'ab.safetensors'), { loras: [a, b] })
    const other = await convertModel(source, join(folder, 'ba.safetensors'), { loras: [b, a] })
    expect(other.sha256).toBe(one.sha256)
    expect((await convertModel(source, join(folder, 'ab.safetensors'), { loras: [b, a] })).sha256).toBe(one.sha256)
    await expect(convertModel(source, join(folder, 'ab.safetensors'), { loras: [a] })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    })
    expect((await convertModel(source, join(folder, 'ab.safetensors'), { loras: [a], overwrite: true })).sha256).not.toBe(one.sha256)
  })

  test('tensors that change nothing are told', async () => {
    const { warnings } = await convertModel(source, join(folder, 'told.safetensors'), { loras: [{ path: lora('kohya') }] })
    expect(warnings).toEqual([{ code: 'W_LORA_UNMATCHED', message: expect.stringContaining('bundle_emb') }])
  })

  test('a LoRA for another model is refused, and nothing is written', async () => {
    const to = join(folder, 'wrong.safetensors')
    const error = await convertModel(tinyCheckpoint('tiny-b'), to, { loras: [{ path: lora('kohya') }] }).then(
      undefined,
      (e: SdxlError) => e,
    )
    expect((error as SdxlError).code).toBe('ERR_LORA_MISMATCH')
    await expect(loadModel(to)).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_FOUND' })
  })

  test.each([
    ['no list', 'a.safetensors', 'loras'],
    ['no path', [{ weight: 1 }], 'loras[0].path'],
    ['a strength as text', [{ path: 'a', unet: '1' }], 'loras[0].unet'],
  ])('%s is refused', async (_, loras, field) => {
    await expect(convertModel(source, join(folder, 'x.safetensors'), { loras: loras as LoraSpec[] })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      details: { field },
    })
  })
})
