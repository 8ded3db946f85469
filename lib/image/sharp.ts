import { invalid } from '../check.js'
import { SdxlError } from '../errors.js'
import { pacedValues } from './pacer.js'
import { maxPixels } from './png-read.js'

/** The part of the package sharp that is used here. It is an optional peer: only formats other than PNG need it. */
export type Sharp = (input: Uint8Array, options?: object) => Pipeline
interface Pipeline {
  rotate(): Pipeline
  toColourspace(space: string): Pipeline
  raw(): Pipeline
  jpeg(options: { quality: number }): Pipeline
  webp(options: { quality: number; lossless: boolean }): Pipeline
  toBuffer(): Promise<Buffer>
  toBuffer(options: { resolveWithObject: true }): Promise<{ data: Buffer; info: { width: number; height: number; channels: number } }>
}

export interface Pixels {
  readonly width: number
  readonly height: number
  /** [height, width, 3] */
  readonly data: Uint8Array
}

/** Pixels whose file may have an alpha channel. */
export interface AlphaPixels extends Pixels {
  /** [height, width] */
  readonly alpha?: Uint8Array
}

/**
 * Loads sharp when it is first needed.
 *
 * @param purpose what needs it, as the start of the message
 * @throws        SdxlError ERR_NATIVE_LOAD where it is not installed or does not load
 */
export async function loadSharp(purpose: string, name = 'sharp'): Promise<Sharp> {
  try {
    return ((await import(name)) as { default: Sharp }).default
  } catch (cause) {
    throw new SdxlError(
      'ERR_NATIVE_LOAD',
      `${purpose} needs the optional package ${name}, which cannot be loaded. Run: npm install ${name}`,
      { package: name },
      { cause },
    )
  }
}

const rawInput = ({ width, height, data }: Pixels, sharp: Sharp) => sharp(data, { raw: { width, height, channels: 3 } })

export const encodeJpeg = (sharp: Sharp, pixels: Pixels, quality: number): Promise<Buffer> =>
  rawInput(pixels, sharp).jpeg({ quality }).toBuffer()

export const encodeWebp = (sharp: Sharp, pixels: Pixels, quality: number, lossless: boolean): Promise<Buffer> =>
  rawInput(pixels, sharp).webp({ quality, lossless }).toBuffer()

/** Decodes to sRGB, turned upright as the file's EXIF data say; alpha is not applied. */
export async function decodeWithSharp(sharp: Sharp, bytes: Uint8Array, field: string): Promise<AlphaPixels> {
  try {
    const pipeline = sharp(bytes, { limitInputPixels: maxPixels }).rotate().toColourspace('srgb').raw()
    const { data, info } = await pipeline.toBuffer({ resolveWithObject: true })
    return await splitAlpha(info.width, info.height, info.channels, data)
  } catch (cause) {
    throw new SdxlError('ERR_INVALID_ARGUMENT', `Cannot read ${field}: ${(cause as Error).message}`, { field }, { cause })
  }
}

/** @param data [height, width, channels], 3 or 4 channels */
async function splitAlpha(width: number, height: number, channels: number, data: Uint8Array): Promise<AlphaPixels> {
  if (channels === 3) return { width, height, data }
  const rgb = new Uint8Array(width * height * 3)
  const alpha = new Uint8Array(width * height)
  await pacedValues(alpha.length, (i) => {
    for (let c = 0; c < 3; ++c) rgb[i * 3 + c] = data[i * 4 + c]!
    alpha[i] = data[i * 4 + 3]!
  })
  return { width, height, data: rgb, alpha }
}

/** @returns the quality, by default 92 */
export function checkQuality(quality: unknown): number {
  if (quality === undefined) return 92
  if (typeof quality !== 'number' || !Number.isInteger(quality) || quality < 1 || quality > 100)
    throw invalid('quality', 'an integer from 1 to 100', quality)
  return quality
}
