import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { NativeEngine, NativeEvent, NativeGenerate } from '../../bindings/addon.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { eulerRequest, loadedEngine } from '../support/native-request.js'

let engine: NativeEngine
beforeAll(async () => {
  engine = await loadedEngine(tinyCheckpoint('tiny-a'), {
    taesd: fileURLToPath(new URL('../golden/taesd/tiny.safetensors', import.meta.url)),
  })
})
afterAll(() => engine?.close())

type Preview = Extract<NativeEvent, { type: 'preview' }>

const steps = 6
const request = { height: 6, width: 9, seeds: Float64Array.of(4, 5) }

async function run(
  options: Partial<NativeGenerate>,
  on = engine,
): Promise<{ events: NativeEvent[]; previews: Preview[]; latents?: Float32Array }> {
  const events: NativeEvent[] = []
  const { latents } = await on.generate(eulerRequest(steps, { ...request, output: 'images', ...options }), undefined, (event) =>
    events.push(event),
  )
  return { events, previews: events.filter((event) => event.type === 'preview'), latents }
}

test('every so many steps, one for each picture, behind the step', async () => {
  const { events } = await run({ preview: { every: 4, method: 'linear' } })
  const order = events.map((event) => (event.type === 'preview' ? `preview ${event.step}.${event.index}` : `${event.type} ${event.index}`))
  expect(order).toEqual([
    ...['step 0', 'step 1', 'step 2', 'step 3', 'preview 3.0', 'preview 3.1', 'step 4', 'step 5'],
    ...['image 0', 'image 1'],
  ])
  expect((await run({})).previews).toEqual([])
})

test('they change nothing about the picture', async () => {
  const images = async (options: Partial<NativeGenerate>) =>
    (await run(options)).events.flatMap((event) => (event.type === 'image' ? [event.rgb] : []))
  const wanted = await images({})
  for (const method of ['linear', 'taesd', 'vae'] as const) expect(await images({ preview: { every: 1, method } })).toEqual(wanted)
})

// An Euler step to σ = 0 ends in the denoised estimate, so the last preview shows the final latents.
const lastPreviews = async (method: 'linear' | 'vae') => {
  const { previews, latents } = await run({ preview: { every: 1, method }, output: 'latents' })
  return { last: previews.filter(({ step }) => step === steps - 1), first: previews[0]!, latents: latents! }
}

test("'vae' is the picture as it would be decoded now", async () => {
  const { last, latents } = await lastPreviews('vae')
  const { height, width } = request
  const decoded: Uint8Array[] = []
  await engine.decode({ latents, count: 2, height, width, pixels: false, tile: 0 }, undefined, (event) => decoded.push(event.rgb!))
  expect(last.map(({ rgb }) => rgb)).toEqual(decoded)
  expect(last.map((event) => [event.index, event.width, event.height])).toEqual([
    [0, 8 * width, 8 * height],
    [1, 8 * width, 8 * height],
  ])
})

test("'linear' has one pixel per latent, by the published colours of SDXL's channels", async () => {
  const { last, first, latents } = await lastPreviews('linear')
  const colours = [
    [0.3651, 0.4232, 0.4341],
    [-0.2533, -0.0042, 0.1068],
    [0.1076, 0.1111, -0.0362],
    [-0.3165, -0.2492, -0.2188],
  ]
  const grey = [0.1084, -0.0175, -0.0011]
  const pixels = request.height * request.width
  for (const { index, rgb, width, height } of last) {
    expect([width, height]).toEqual([request.width, request.height])
    rgb.forEach((found, i) => {
      const [pixel, colour] = [Math.floor(i / 3), i % 3]
      const value = colours.reduce((sum, row, k) => sum + row[colour]! * latents[(index * 4 + k) * pixels + pixel]!, grey[colour]!)
      // Rounding in fp32 may fall on the other side of a half.
      expect(Math.abs(found - Math.min(255, Math.max(0, (value / 2 + 0.5) * 255)))).toBeLessThan(0.502)
    })
  }
  expect(last[0]!.rgb).not.toEqual(last[1]!.rgb)
  expect(first.rgb).not.toEqual(last[0]!.rgb)
})

test("'taesd' without one is an error that says what to do", async () => {
  const plain = await loadedEngine(tinyCheckpoint('tiny-a'))
  await expect(run({ preview: { every: 1, method: 'taesd' } }, plain)).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringContaining('give its file to loadModel as taesd'),
    details: { field: 'preview.method' },
  })
  expect((await run({ preview: { every: 6, method: 'linear' } }, plain)).previews).toHaveLength(2)
  await plain.close()
})
