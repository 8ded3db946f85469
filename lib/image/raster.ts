import { paced, Pacer } from './pacer.js'
import { type Filter, nearestTaps, smoothTaps, type Taps } from './resample-taps.js'

/** Pixels of any number of channels: 1 for masks, 3 for RGB. */
export interface Raster {
  readonly width: number
  readonly height: number
  readonly channels: number
  /** [height, width, channels] */
  readonly data: Uint8Array
}

/** A raster of zeros. */
export const emptyRaster = (width: number, height: number, channels: number): Raster & { readonly data: Uint8Array } => ({
  width,
  height,
  channels,
  data: new Uint8Array(width * height * channels),
})

/**
 * Resizes as Pillow does, to the same bytes: columns first, rounded to bytes, then rows (Pillow 13 begins with rows where that is less work).
 * Holds the event loop for about a millisecond at a time.
 */
export async function resize(raster: Raster, width: number, height: number, filter: Filter | 'nearest' = 'lanczos'): Promise<Raster> {
  const taps = (from: number, to: number) => (filter === 'nearest' ? nearestTaps(from, to) : smoothTaps(filter, from, to))
  const pacer = new Pacer()
  const { channels } = raster
  const wide = width === raster.width ? raster.data : await columns(raster, taps(raster.width, width).map(fixedPoint), pacer)
  if (height === raster.height) return { width, height, channels, data: wide }
  return { width, height, channels, data: await rows(wide, width * channels, taps(raster.height, height).map(fixedPoint), pacer) }
}

/** Bits of the fraction that Pillow keeps of a weight. */
const fraction = 22

const fixedPoint = ({ start, weights }: Taps): Taps => ({
  start,
  weights: weights.map((weight) => Math.trunc(weight * 2 ** fraction + (weight < 0 ? -0.5 : 0.5))),
})

const toByte = (sum: number) => Math.min(Math.max(Math.floor((sum + 2 ** (fraction - 1)) / 2 ** fraction), 0), 255)

async function columns({ width, height, channels, data }: Raster, taps: readonly Taps[], pacer: Pacer): Promise<Uint8Array> {
  const result = new Uint8Array(taps.length * height * channels)
  for (let y = 0, to = 0; y < height; ++y) {
    if (pacer.due()) await pacer.rest()
    for (const { start, weights } of taps) {
      for (let c = 0; c < channels; ++c) {
        let sum = 0
        let from = (y * width + start) * channels + c
        for (let k = 0; k < weights.length; ++k, from += channels) sum += weights[k]! * data[from]!
        result[to++] = toByte(sum)
      }
    }
  }
  return result
}

async function rows(data: Uint8Array, length: number, taps: readonly Taps[], pacer: Pacer): Promise<Uint8Array> {
  const result = new Uint8Array(taps.length * length)
  const sums = new Float64Array(length)
  for (const [y, { start, weights }] of taps.entries()) {
    if (pacer.due()) await pacer.rest()
    sums.fill(0)
    for (let k = 0; k < weights.length; ++k) {
      const weight = weights[k]!
      const from = (start + k) * length
      for (let i = 0; i < length; ++i) sums[i]! += weight * data[from + i]!
    }
    for (let i = 0; i < length; ++i) result[y * length + i] = toByte(sums[i]!)
  }
  return result
}

/** A rectangle in pixels. */
export interface Region {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** The pixels in a rectangle that lies inside of the raster. */
export async function crop({ width: stride, channels, data }: Raster, { left, top, width, height }: Region): Promise<Raster> {
  const result = emptyRaster(width, height, channels)
  await paced(height, (y) => {
    const from = ((top + y) * stride + left) * channels
    result.data.set(data.subarray(from, from + width * channels), y * width * channels)
  })
  return result
}

/** Copies `source` into `target` with its corner at (left, top); what would lie outside of the target is left out. */
export async function paste(target: Raster, source: Raster, left: number, top: number): Promise<void> {
  const { channels } = target
  const [from, to] = [Math.max(-left, 0), Math.min(source.width, target.width - left)]
  const first = Math.max(-top, 0)
  await paced(Math.min(source.height, target.height - top) - first, (i) => {
    const y = first + i
    const line = source.data.subarray((y * source.width + from) * channels, (y * source.width + to) * channels)
    target.data.set(line, ((top + y) * target.width + left + from) * channels)
  })
}

/** Repeats the edges of a rectangle outwards until the raster is full. */
export async function extendEdges(raster: Raster, { left, top, width, height }: Region): Promise<void> {
  const { channels, data } = raster
  const stride = raster.width * channels
  await paced(height, (i) => {
    const row = data.subarray((top + i) * stride, (top + i + 1) * stride)
    const first = row.slice(left * channels, (left + 1) * channels)
    const last = row.slice((left + width - 1) * channels, (left + width) * channels)
    for (let x = 0; x < left; ++x) row.set(first, x * channels)
    for (let x = left + width; x < raster.width; ++x) row.set(last, x * channels)
  })
  await paced(top, (y) => data.copyWithin(y * stride, top * stride, (top + 1) * stride))
  const bottom = top + height - 1
  await paced(raster.height - bottom - 1, (i) => data.copyWithin((bottom + 1 + i) * stride, bottom * stride, (bottom + 1) * stride))
}
