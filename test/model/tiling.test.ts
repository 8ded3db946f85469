import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NativeEngine } from '../../bindings/addon.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { relativeError } from '../support/measures.js'
import { eulerRequest, loadedEngine } from '../support/native-request.js'
import { readSafetensors } from '../support/safetensors.js'

// Seamless pictures and tiles against Diffusers (tools/reference/tiling_goldens.py). Both sides sum in fp32 in their own order: Diffusers
// itself is up to 4e-6 of the largest value away from float64, while without wrapping everything is off by 0.1 and more.
const tolerance = 2e-5

const at = (name: string) => fileURLToPath(new URL(`../golden/models/${name}`, import.meta.url))
const golden = readSafetensors(at('tiling.safetensors'))
const { cases } = JSON.parse(readFileSync(at('tiling.json'), 'utf8')) as { cases: { encode: { tiled: { tile_latent_min_size: number } } } }
const floats = (key: string) => golden[key]!.data as Float32Array

const axes = { x: { x: true, y: false }, y: { x: false, y: true }, both: { x: true, y: true } }

let engine: NativeEngine
beforeAll(async () => {
  engine = await loadedEngine(tinyCheckpoint('tiny-a'))
})
afterAll(() => engine?.close())

async function decode(
  latents: Float32Array,
  [height, width]: [number, number],
  options: { tile?: number; tiling?: { x: boolean; y: boolean } },
) {
  let pixels = new Float32Array()
  await engine.decode({ latents, count: 1, height, width, pixels: true, tile: 0, ...options }, undefined, (event) => {
    pixels = event.pixels! as Float32Array<ArrayBuffer>
  })
  return pixels
}

describe.each(['x', 'y', 'both'] as const)('wrapping around %s', (name) => {
  const tiling = axes[name]

  test('UNet', async () => {
    const { shape, data } = golden['unet.input.latents'] as { shape: number[]; data: Float32Array }
    const [count, , height, width] = shape as [number, number, number, number]
    const found = await engine.predict({
      latents: data,
      count,
      height,
      width,
      timestep: 500,
      context: floats('unet.input.context'),
      pooled: floats('unet.input.pooled'),
      prompts: 1,
      tokens: 77,
      sizes: floats('unet.input.time_ids'),
      loras: [],
      loraDirectory: '',
      tiling,
    })
    expect(relativeError(found, floats(`unet.${name}.prediction`))).toBeLessThan(tolerance)
  })

  test('VAE decoding', async () => {
    const found = await decode(floats('decode.input.latents'), [5, 7], { tiling })
    expect(relativeError(found, floats(`decode.${name}.pixels`))).toBeLessThan(tolerance)
  })

  test('VAE encoding', async () => {
    const data = golden['encode.input.rgb']!.data as Uint8Array
    const found = await engine.encodeImage({ width: 56, height: 40, data, tiling })
    expect(relativeError(found, floats(`encode.${name}.latents`))).toBeLessThan(tolerance)
  })
})

test('a whole picture moves with its start noise around the axis that wraps, and only there', async () => {
  const [height, width] = [10, 12]
  const noise = Float32Array.from({ length: 4 * height * width }, (_, i) => Math.sin(i * i))
  // The UNet halves twice: what moves has to stay on its grid.
  const moved = (by: number) => noise.map((_, i) => noise[i - (i % width) + ((i + width - by) % width)]!)
  const draw = async (start: Float32Array, tiling: { x: boolean; y: boolean }) => {
    const request = eulerRequest(2, { height, width, seeds: Float64Array.of(1), noise: start, tiling })
    const { latents } = await engine.generate(request, undefined, () => {})
    return latents!
  }
  const roll = (values: Float32Array, by: number) => values.map((_, i) => values[i - (i % width) + ((i + width - by) % width)]!)
  const around = { x: true, y: false }
  // Only the order of sums differs, in norms and attention over all pixels.
  expect(relativeError(await draw(moved(4), around), roll(await draw(noise, around), 4))).toBeLessThan(1e-4)
  const plain = { x: false, y: true }
  expect(relativeError(await draw(moved(4), plain), roll(await draw(noise, plain), 4))).toBeGreaterThan(1e-2)
})

test('encoding in tiles blends them as Diffusers does it', async () => {
  const { shape, data } = golden['encode.tiled.rgb'] as { shape: number[]; data: Uint8Array }
  const [, height, width] = shape as [number, number, number]
  const tile = cases.encode.tiled.tile_latent_min_size
  const found = await engine.encodeImage({ width, height, data, tile })
  expect(relativeError(found, floats('encode.tiled.latents'))).toBeLessThan(tolerance)
  expect(relativeError(await engine.encodeImage({ width, height, data }), floats('encode.tiled.latents'))).toBeGreaterThan(0.01)
})
