import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type GenerateRequest, loadModel, type Model, tinyModel } from '../../lib/index.js'
import { psnr } from '../support/measures.js'
import { readSafetensors } from '../support/safetensors.js'

// Pictures of the shipped model, from prompt and seed alone: tokens, noise, schedule and all three networks against Diffusers.
const path = fileURLToPath(new URL('../golden/models/tiny-shapes', import.meta.url))
const { cases } = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as { cases: Record<string, { request: GenerateRequest }> }
const golden = readSafetensors(`${path}.safetensors`)

let model: Model
beforeAll(async () => {
  model = await loadModel(tinyModel)
})
afterAll(() => model.close())

test.each(Object.entries(cases))('%s', async (name, { request }) => {
  const { images } = await model.generate(request)
  // fp32 on both sides, so differences are single steps of 255 where a value lies on the edge of rounding: 60 dB and more. 50 dB would
  // already be one in ten values off by two.
  expect(psnr(images[0]!.data, golden[`${name}.rgb`]!.data)).toBeGreaterThan(50)
})

test.each(Object.keys(cases))('the latents of %s decode to its picture, and back', async (name) => {
  const latents = golden[`${name}.latents`] as { shape: number[]; data: Float32Array }
  const [image] = await model.decode(latents)
  expect(psnr(image!.data, golden[`${name}.rgb`]!.data)).toBeGreaterThan(50)
  expect((await model.encode(image!)).shape).toEqual(latents.shape)
})
