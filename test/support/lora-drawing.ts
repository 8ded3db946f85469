import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect } from 'vitest'
import { type GenerateRequest, type GenerationJob, loadModel, type Model } from '../../lib/index.js'
import { tinyCheckpoint } from './checkpoints.mjs'

/** LoRA files for tiny-a. */
export const loraFolder = fileURLToPath(new URL('../golden/lora-predictions/', import.meta.url))
export const kohya = `${loraFolder}kohya.safetensors` // its ss_output_name is "kohya-output"
export const lokr = `${loraFolder}lokr.safetensors`

export const small = { prompt: 'a red fox', width: 64, height: 64, steps: 2, guidance: 3, seed: 1 } satisfies GenerateRequest

/** tiny-a, loaded for the tests of a file, and small pictures of it. */
export function tinyModelForLoras() {
  const loaded = {} as { model: Model }
  beforeAll(async () => {
    loaded.model = await loadModel(tinyCheckpoint('tiny-a'), { precision: 'fp32' })
  })
  afterAll(() => loaded.model.close())
  const draw = (changes: Partial<GenerateRequest> = {}): GenerationJob => loaded.model.generate({ ...small, ...changes })
  /** Of a picture without warnings. */
  const pixels = async (changes: Partial<GenerateRequest> = {}): Promise<Uint8Array> => {
    const { images, warnings } = await draw(changes)
    expect(warnings).toEqual([])
    return images[0]!.data
  }
  return { loaded, draw, pixels }
}
