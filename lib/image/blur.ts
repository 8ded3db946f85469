import { Pacer } from './pacer.js'
import type { Raster } from './raster.js'

/**
 * Gaussian blur of a mask with the standard deviation `sigma` in pixels: a kernel of 2 · ⌊2.5 σ + 0.5⌋ + 1, the picture mirrored at its
 * edges without repeating the outermost line, rows rounded to bytes before columns. That is how A1111 blurs masks.
 *
 * @param mask of one channel
 */
export async function gaussianBlur(mask: Raster, sigma: number): Promise<Raster> {
  if (sigma === 0) return mask
  const radius = Math.floor(2.5 * sigma + 0.5)
  const weights = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)))
  const sum = weights.reduce((a, b) => a + b, 0)
  const kernel = weights.map((weight) => weight / sum)
  const { width, height } = mask
  const pacer = new Pacer()
  const across = await blurLines(mask.data, { lines: height, stride: width, length: width, step: 1 }, kernel, pacer)
  return { ...mask, data: await blurLines(across, { lines: width, stride: 1, length: height, step: width }, kernel, pacer) }
}

/** `lines` lines that start `stride` apart, each of `length` values that are `step` apart. */
interface Lines {
  readonly lines: number
  readonly stride: number
  readonly length: number
  readonly step: number
}

async function blurLines(
  data: Uint8Array,
  { lines, stride, length, step }: Lines,
  kernel: Float64Array,
  pacer: Pacer,
): Promise<Uint8Array> {
  const result = new Uint8Array(data.length)
  const radius = (kernel.length - 1) / 2
  const period = Math.max(2 * (length - 1), 1)
  const mirrored = Int32Array.from({ length: length + 2 * radius }, (_, i) => {
    const at = (((i - radius) % period) + period) % period
    return at < length ? at : period - at
  })
  const line = new Uint8Array(mirrored.length)
  for (let l = 0; l < lines; ++l) {
    if (pacer.due()) await pacer.rest()
    for (let i = 0; i < line.length; ++i) line[i] = data[l * stride + mirrored[i]! * step]!
    for (let i = 0; i < length; ++i) {
      let sum = 0
      for (let k = 0; k < kernel.length; ++k) sum += kernel[k]! * line[i + k]!
      result[l * stride + i * step] = Math.round(sum)
    }
  }
  return result
}
