import { pacedValues, type Raster, resize } from '../image/index.js'
import { resizePlanes } from './resize-latents.js'
import type { InpaintOptions } from './types.js'

/**
 * A mask in latents, 0 … 1, as each program makes it: A1111 scales it smoothly and rounds, ComfyUI interpolates it, Diffusers rounds and
 * takes every 8th pixel.
 *
 * @returns [height, width]
 */
export async function latentMask(
  mask: Raster,
  mode: NonNullable<InpaintOptions['mode']>,
  size: { height: number; width: number },
): Promise<Float32Array> {
  if (mode === 'diffusers') return wholeMask(mask, size)
  if (mode === 'a1111')
    return Float32Array.from((await resize(mask, size.width, size.height, 'bicubic')).data, (value) => Math.round(value / 255))
  const data = new Float32Array(mask.data.length)
  await pacedValues(data.length, (i) => (data[i] = mask.data[i]! / 255))
  return (await resizePlanes({ planes: 1, height: mask.height, width: mask.width, data }, size, 'latent')).data
}

/** 0 or 1 from the pixel at each latent's corner, as inpainting models are trained to see it. */
export function wholeMask({ width, height, data }: Raster, size: { height: number; width: number }): Float32Array {
  const result = new Float32Array(size.height * size.width)
  for (let i = 0; i < result.length; ++i) {
    const y = Math.floor((Math.floor(i / size.width) * height) / size.height)
    const x = Math.floor(((i % size.width) * width) / size.width)
    result[i] = data[y * width + x]! >= 128 ? 1 : 0
  }
  return result
}
