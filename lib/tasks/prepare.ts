import { invalid } from '../check.js'
import {
  type AlphaPixels,
  crop,
  emptyRaster,
  extendEdges,
  fillMasked,
  gaussianBlur,
  type ImageInput,
  mapBytes,
  pacedValues,
  paste,
  type Pixels,
  type Raster,
  readAlphaImage,
  readImage,
  type Region,
} from '../image/index.js'
import type { CheckedTask } from './check.js'
import { fit } from './fit.js'
import { expandRegion, maskedRegion } from './mask-region.js'

/** The pictures of a request, as they were given but for padding. */
export interface Source {
  /** [height, width, 3] */
  readonly image: Raster
  /** [height, width, 1], 255 where to repaint; not yet inverted or blurred */
  readonly mask: Raster | undefined
}

/** What the model works on, and how its pictures become those of the request. */
export interface Prepared {
  /** [height, width, 3] */
  readonly image: Raster
  /** [height, width, 1], 255 where to repaint */
  readonly mask: Raster | undefined
  /** A picture of the run with the original put back around it. */
  finish(picture: Pixels): Promise<Pixels>
}

/** Weights of red, green and blue in 65536ths: Pillow's luminance. */
const luminance = [19595, 38470, 7471] as const

/** @throws SdxlError ERR_INVALID_ARGUMENT for what is no picture, a mask of another size than the image, or alpha that is not there */
export async function readSource({ image, mask, inpaint, outpaint }: CheckedTask): Promise<Source> {
  const pixels = await readAlphaImage(image, 'image')
  const raster: Raster = { width: pixels.width, height: pixels.height, channels: 3, data: pixels.data }
  const own = mask === undefined ? (inpaint.useAlpha ? await maskOfAlpha(pixels) : undefined) : await readMask(mask, raster)
  return outpaint ? padded({ image: raster, mask: own }, outpaint) : { image: raster, mask: own }
}

async function maskOfAlpha({ width, height, alpha }: AlphaPixels): Promise<Raster> {
  if (!alpha) throw invalid('image', 'a picture with an alpha channel, as inpaint.useAlpha says', 'one without')
  return { width, height, channels: 1, data: await mapBytes(alpha, (value) => 255 - value) }
}

async function readMask(input: ImageInput, image: Raster): Promise<Raster> {
  const { width, height, data } = await readImage(input, 'mask')
  if (width !== image.width || height !== image.height) {
    throw invalid('mask', `a picture of the image's size, ${image.width} × ${image.height},`, `${width} × ${height}`)
  }
  const mask = emptyRaster(width, height, 1)
  await pacedValues(mask.data.length, (i) => {
    mask.data[i] = (data[i * 3]! * luminance[0] + data[i * 3 + 1]! * luminance[1] + data[i * 3 + 2]! * luminance[2] + 0x8000) >> 16
  })
  return mask
}

/** Repeats the picture's edges outwards; what was added is part of the mask. */
async function padded({ image, mask }: Source, { left, right, top, bottom }: NonNullable<CheckedTask['outpaint']>): Promise<Source> {
  const [width, height] = [image.width + left + right, image.height + top + bottom]
  const larger = emptyRaster(width, height, 3)
  await paste(larger, image, left, top)
  await extendEdges(larger, { left, top, width: image.width, height: image.height })
  const outside = emptyRaster(width, height, 1)
  outside.data.fill(255)
  await paste(outside, mask ?? emptyRaster(image.width, image.height, 1), left, top)
  return { image: larger, mask: outside }
}

/** @throws SdxlError ERR_INVALID_ARGUMENT where only the masked part is to be drawn and there is none */
export async function prepare(source: Source, width: number, height: number, task: CheckedTask): Promise<Prepared> {
  const { inpaint, resizeMode } = task
  if (!source.mask) {
    return { image: await fit(source.image, width, height, resizeMode), mask: undefined, finish: async (picture) => picture }
  }
  const sides = inpaint.invert ? { ...source.mask, data: await mapBytes(source.mask.data, (value) => 255 - value) } : source.mask
  const mask = await gaussianBlur(sides, inpaint.blur)
  if (inpaint.onlyMasked) {
    const region = await regionOf(mask, inpaint.onlyMasked.padding, { width, height })
    const image = await filled(
      await fit(await crop(source.image, region), width, height, 'fill'),
      await fit(await crop(mask, region), width, height, 'fill'),
      inpaint.fill,
    )
    return { ...image, finish: (picture) => pasteRegion(picture, source.image, mask, region) }
  }
  const fitted = await fit(source.image, width, height, resizeMode)
  const fittedMask = await fit(mask, width, height, resizeMode)
  const finish = async (picture: Pixels) => {
    if (!inpaint.paste) return picture
    // As A1111: the model's own pixels up to where the mask is half as strong.
    const shown = { ...fittedMask, data: await mapBytes(fittedMask.data, (value) => Math.min(2 * value, 255)) }
    return blend({ ...picture, channels: 3 }, fitted, shown)
  }
  return { ...(await filled(fitted, fittedMask, inpaint.fill)), finish }
}

async function regionOf(mask: Raster, padding: number, drawn: { width: number; height: number }): Promise<Region> {
  const region = await maskedRegion(mask, padding)
  if (!region) throw invalid('mask', 'a mask with something to repaint, as inpaint.onlyMasked says', 'one of zeros')
  return expandRegion(region, drawn, mask)
}

async function filled(image: Raster, mask: Raster, fill: CheckedTask['inpaint']['fill']): Promise<{ image: Raster; mask: Raster }> {
  return { image: fill === 'original' ? image : await fillMasked(image, mask), mask }
}

async function pasteRegion(picture: Pixels, original: Raster, mask: Raster, region: Region): Promise<Pixels> {
  const drawn = await fit({ ...picture, channels: 3 }, region.width, region.height, 'crop')
  const around = emptyRaster(original.width, original.height, 3)
  await paste(around, drawn, region.left, region.top)
  return blend(around, original, mask)
}

/** `top` where the mask is 255, `below` where it is 0. */
async function blend(top: Raster, below: Raster, mask: Raster): Promise<Pixels> {
  const { width, height } = below
  const data = new Uint8Array(below.data.length)
  await pacedValues(mask.data.length, (i) => {
    const share = mask.data[i]! / 255
    for (let c = i * 3; c < i * 3 + 3; ++c) data[c] = Math.round(share * top.data[c]! + (1 - share) * below.data[c]!)
  })
  return { width, height, data }
}
