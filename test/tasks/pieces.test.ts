import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Raster } from '../../lib/image/index.js'
import { fit } from '../../lib/tasks/fit.js'
import { checkHires } from '../../lib/tasks/hires.js'
import { latentMask } from '../../lib/tasks/latent-mask.js'
import { expandRegion, maskedRegion } from '../../lib/tasks/mask-region.js'
import { resizePlanes } from '../../lib/tasks/resize-latents.js'
import { partialRun, secondPassRun } from '../../lib/tasks/strength.js'
import type { HiresOptions, LatentUpscaler, ResizeMode } from '../../lib/tasks/types.js'

interface Encoded {
  width: number
  height: number
  channels: number
  data: string
}
interface Golden {
  latents: { upscaler: LatentUpscaler; width: number; height: number; shape: [number, number, number]; data: string; wanted: string }[]
  masks: { mode: 'a1111' | 'comfy' | 'diffusers'; mask: Encoded; width: number; height: number; wanted: string }[]
  fits: { mode: ResizeMode; width: number; height: number; image: Encoded; wanted: string }[]
  regions: { mask: Encoded; padding: number; drawn: [number, number]; wanted: [number, number, number, number] }[]
}
// Written by tools/reference/task_pieces.py.
const golden = JSON.parse(readFileSync(new URL('../golden/task-pieces.json', import.meta.url), 'utf8')) as Golden

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
const floats = (text: string) => new Float32Array(bytes(text).buffer)
const raster = ({ width, height, channels, data }: Encoded): Raster => ({ width, height, channels, data: bytes(data) })
const largestDifference = (a: Float32Array, b: Float32Array) => {
  expect(a).toHaveLength(b.length)
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)
}

describe('latents are resized as by torch', () => {
  test.each(golden.latents)('$upscaler from $shape to $width × $height', async ({ upscaler, width, height, shape, data, wanted }) => {
    const [planes, rows, columns] = shape
    const found = await resizePlanes({ planes, height: rows, width: columns, data: floats(data) }, { height, width }, upscaler)
    // float32 there, double here, sums of up to 12 × 12 products of numbers about 1.
    expect(largestDifference(found.data, floats(wanted))).toBeLessThan(2e-6)
  })
})

test.each(golden.masks)('a mask in latents in the mode $mode', async ({ mode, mask, width, height, wanted }) => {
  const found = await latentMask(raster(mask), mode, { width, height })
  expect(largestDifference(found, floats(wanted))).toBeLessThan(mode === 'comfy' ? 1e-6 : 1e-9)
})

test.each(golden.fits)('$mode to $width × $height', async ({ mode, width, height, image, wanted }) => {
  expect((await fit(raster(image), width, height, mode)).data).toEqual(bytes(wanted))
})

test.each(golden.regions)('the region of a mask, $wanted', async ({ mask, padding, drawn, wanted }) => {
  const picture = raster(mask)
  const { left, top, width, height } = expandRegion((await maskedRegion(picture, padding))!, { width: drawn[0], height: drawn[1] }, picture)
  expect([left, top, left + width, top + height]).toEqual(wanted)
})

test('a region holds the mask and stays in the picture', async () => {
  const side = fc.integer({ min: 1, max: 40 })
  await fc.assert(
    fc.asyncProperty(
      side,
      side,
      side,
      side,
      fc.nat(50),
      fc.array(fc.tuple(fc.nat(39), fc.nat(39)), { minLength: 1 }),
      async (w, h, dw, dh, padding, points) => {
        const mask = { width: w, height: h, channels: 1, data: new Uint8Array(w * h) }
        for (const [x, y] of points) mask.data[(y % h) * w + (x % w)] = 1
        const found = expandRegion((await maskedRegion(mask, padding))!, { width: dw, height: dh }, mask)
        expect(found.left).toBeGreaterThanOrEqual(0)
        expect(found.top).toBeGreaterThanOrEqual(0)
        expect(found.left + found.width).toBeLessThanOrEqual(w)
        expect(found.top + found.height).toBeLessThanOrEqual(h)
        for (const [x, y] of points) {
          expect(x % w >= found.left && x % w < found.left + found.width).toBe(true)
          expect(y % h >= found.top && y % h < found.top + found.height).toBe(true)
        }
      },
    ),
  )
  expect(await maskedRegion({ width: 3, height: 2, channels: 1, data: new Uint8Array(6) }, 4)).toBeUndefined()
})

describe('a strength in steps', () => {
  // A1111: sigmas[steps − t_enc − 1:] with t_enc = int(min(strength, 0.999) · steps); Diffusers: the last min(int(steps · strength), steps);
  // ComfyUI: the last `steps` of int(steps / strength).
  test.each([
    ['a1111', 20, 0.75, 20, 16],
    ['a1111', 20, 1, 20, 20],
    ['a1111', 20, 0, 20, 1],
    ['a1111', 7, 0.5, 7, 4],
    ['diffusers', 20, 0.75, 20, 15],
    ['diffusers', 50, 0.3, 50, 15],
    ['diffusers', 7, 1, 7, 7],
    ['comfy', 20, 0.75, 26, 20],
    ['comfy', 20, 1, 20, 20],
    ['comfy', 10, 0.3, 33, 10],
  ] as const)('%s: %i steps at %f are of %i the last %i', (arithmetic, steps, strength, all, run) => {
    expect(partialRun(steps, strength, arithmetic, 'euler', 'strength', 1000)).toEqual({ steps: all, run })
  })

  // A1111's sd_samplers_timesteps: timesteps[:t_enc].
  test('is a step less where A1111 samples by timesteps', () => {
    expect(partialRun(20, 0.75, 'a1111', 'ddim', 'strength', 1000)).toEqual({ steps: 20, run: 15 })
    expect(partialRun(20, 0, 'a1111', 'plms', 'strength', 1000)).toEqual({ steps: 20, run: 1 })
    expect(secondPassRun(20, 0.7, 'uni_pc', 'a1111', 1000)).toEqual({ steps: 28, run: 19 })
    expect(secondPassRun(20, 0.7, 'uni_pc', 'comfy', 1000)).toEqual({ steps: 28, run: 20 })
    expect(secondPassRun(20, 0.7, 'euler', 'a1111', 1000)).toEqual({ steps: 28, run: 20 })
  })
})

describe('hires sizes', () => {
  const first = { width: 832, height: 1216, steps: 20 }
  test.each<[HiresOptions, [number, number], [number, number]]>([
    [{}, [1664, 2432], [1664, 2432]],
    [{ scale: 1.5 }, [1248, 1824], [1248, 1824]],
    [{ scale: 1.3 }, [1080, 1576], [1080, 1576]],
    [{ width: 1024 }, [1024, 1496], [1024, 1496]],
    [{ height: 2048 }, [1400, 2048], [1400, 2048]],
    [{ width: 1024, height: 1024 }, [1024, 1496], [1024, 1024]],
    [{ width: 1024, height: 2048 }, [1400, 2048], [1024, 2048]],
    [{ width: 1664, height: 2432 }, [1664, 2432], [1664, 2432]],
  ])('%o', (options, [scaledWidth, scaledHeight], [width, height]) => {
    expect(checkHires(options, first, 8, 8192)).toMatchObject({ scaled: { width: scaledWidth, height: scaledHeight }, width, height })
  })
})
