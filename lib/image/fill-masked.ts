import { Pacer, pacedValues } from './pacer.js'
import type { Raster } from './raster.js'

/** Standard deviations in pixels, and how often each layer is laid over the ones before it; as A1111's "fill". */
const layers: readonly (readonly [sigma: number, repeats: number])[] = [
  [256, 1],
  [64, 1],
  [16, 2],
  [4, 4],
  [2, 2],
  [0, 1],
]

/**
 * Fills what a mask covers with colours of its surroundings, blurred the further away the more: what is not covered is blurred several
 * times, and the sharper pictures are laid over the softer ones. Black where everything is covered.
 *
 * @param image [height, width, 3]
 * @param mask  [height, width, 1]; 255 is covered
 */
export async function fillMasked(image: Raster, mask: Raster): Promise<Raster> {
  const pacer = new Pacer()
  const pixels = image.width * image.height
  // Premultiplied with the share that is not covered.
  const visible = new Float32Array(pixels * 4)
  await pacedValues(pixels, (i) => {
    const share = 1 - mask.data[i]! / 255
    for (let c = 0; c < 3; ++c) visible[i * 4 + c] = image.data[i * 3 + c]! * share
    visible[i * 4 + 3] = share
  })
  const colors = new Float32Array(pixels * 3)
  for (const [sigma, repeats] of layers) {
    const layer = sigma === 0 ? visible : await softened(visible, image.width, image.height, sigma, pacer)
    await pacedValues(pixels, (i) => {
      // Laid over `repeats` times: what shines through shrinks by 1 − opacity each time.
      const opacity = layer[i * 4 + 3]!
      const through = (1 - opacity) ** repeats
      const share = opacity > 0 ? (1 - through) / opacity : 0
      for (let c = 0; c < 3; ++c) colors[i * 3 + c] = colors[i * 3 + c]! * through + layer[i * 4 + c]! * share
    })
  }
  const data = new Uint8Array(colors.length)
  await pacedValues(colors.length, (i) => (data[i] = Math.min(Math.max(Math.round(colors[i]!), 0), 255)))
  return { ...image, data }
}

/**
 * Three box blurs one after the other, whose variances add up to that of a Gaussian (Pillow's way); a box of a fractional width has partial
 * weights at its ends. Edges are repeated outwards.
 *
 * @param data [height, width, 4]
 */
async function softened(data: Float32Array, width: number, height: number, sigma: number, pacer: Pacer): Promise<Float32Array> {
  const passes = 3
  const length = Math.sqrt((12 * sigma * sigma) / passes + 1)
  const whole = Math.floor((length - 1) / 2)
  const part =
    ((2 * whole + 1) * (whole * (whole + 1) - (3 * sigma * sigma) / passes)) / (6 * ((sigma * sigma) / passes - (whole + 1) ** 2))
  const result = data.slice()
  for (let pass = 0; pass < passes; ++pass) await boxLines(result, height, width * 4, width, 4, whole, part, pacer)
  for (let pass = 0; pass < passes; ++pass) await boxLines(result, width, 4, height, width * 4, whole, part, pacer)
  return result
}

/** `lines` lines that start `stride` apart, each of `length` pixels that are `step` apart; 4 channels. In place. */
async function boxLines(
  data: Float32Array,
  lines: number,
  stride: number,
  length: number,
  step: number,
  whole: number,
  part: number,
  pacer: Pacer,
): Promise<void> {
  const weight = 1 / (2 * (whole + part) + 1)
  const line = new Float64Array(length)
  for (let l = 0; l < lines; ++l) {
    if (pacer.due()) await pacer.rest()
    for (let c = 0; c < 4; ++c) {
      const base = l * stride + c
      for (let i = 0; i < length; ++i) line[i] = data[base + i * step]!
      const at = (i: number) => line[i < 0 ? 0 : i < length ? i : length - 1]!
      let sum = 0
      for (let k = -whole; k <= whole; ++k) sum += at(k)
      for (let i = 0; i < length; ++i) {
        data[base + i * step] = weight * (sum + part * (at(i - whole - 1) + at(i + whole + 1)))
        sum += at(i + whole + 1) - at(i - whole)
      }
    }
  }
}
