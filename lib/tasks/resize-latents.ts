import { nearestTaps, sharpTaps, smoothTaps, type Taps } from '../image/index.js'
import { Pacer } from '../image/pacer.js'
import type { LatentUpscaler } from './types.js'

/** Values in planes. */
export interface Planes {
  readonly planes: number
  readonly height: number
  readonly width: number
  /** [planes, height, width] */
  readonly data: Float32Array
}

const taps: Readonly<Record<LatentUpscaler, (from: number, to: number) => Taps[]>> = {
  latent: (from, to) => sharpTaps('bilinear', from, to),
  'latent (antialiased)': (from, to) => smoothTaps('bilinear', from, to),
  'latent (bicubic)': (from, to) => sharpTaps('bicubic', from, to),
  'latent (bicubic antialiased)': (from, to) => smoothTaps('bicubic', from, to),
  'latent (nearest)': (from, to) => nearestTaps(from, to, 'edge'),
  'latent (nearest-exact)': (from, to) => nearestTaps(from, to),
}

/** Resizes each plane as torch's `interpolate` does (align_corners=False). */
export async function resizePlanes(
  { planes, height, width, data }: Planes,
  to: { height: number; width: number },
  upscaler: LatentUpscaler,
): Promise<Planes> {
  const across = taps[upscaler](width, to.width)
  const down = taps[upscaler](height, to.height)
  const pacer = new Pacer()
  const result = new Float32Array(planes * to.height * to.width)
  const wide = new Float64Array(height * to.width)
  for (let p = 0; p < planes; ++p) {
    if (pacer.due()) await pacer.rest()
    const plane = data.subarray(p * height * width, (p + 1) * height * width)
    for (let y = 0; y < height; ++y) {
      if (pacer.due()) await pacer.rest()
      for (const [x, { start, weights }] of across.entries()) {
        let sum = 0
        for (let k = 0; k < weights.length; ++k) sum += weights[k]! * plane[y * width + start + k]!
        wide[y * to.width + x] = sum
      }
    }
    if (pacer.due()) await pacer.rest()
    for (const [y, { start, weights }] of down.entries()) {
      const row = result.subarray((p * to.height + y) * to.width, (p * to.height + y + 1) * to.width)
      for (let k = 0; k < weights.length; ++k) {
        for (let x = 0; x < to.width; ++x) row[x]! += weights[k]! * wide[(start + k) * to.width + x]!
      }
    }
  }
  return { planes, ...to, data: result }
}

/** The part of each plane in a rectangle that lies inside of it. */
export function cropPlanes(
  { planes, height, width, data }: Planes,
  left: number,
  top: number,
  to: { height: number; width: number },
): Planes {
  const result = new Float32Array(planes * to.height * to.width)
  for (let p = 0; p < planes; ++p) {
    for (let y = 0; y < to.height; ++y) {
      const from = (p * height + top + y) * width + left
      result.set(data.subarray(from, from + to.width), (p * to.height + y) * to.width)
    }
  }
  return { planes, ...to, data: result }
}
