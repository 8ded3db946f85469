import { readFile, stat } from 'node:fs/promises'
import { invalid } from '../check.js'
import { SdxlError } from '../errors.js'
import { checkPixels } from './image.js'
import { beyondReader, isPng, maxPixels, type Png, readPng, readPngHeader } from './png-read.js'
import { type AlphaPixels, decodeWithSharp, loadSharp, type Pixels } from './sharp.js'
import { turnUpright } from './turn-upright.js'

/** An image, raw RGB pixels, an encoded file, the path of one, or a data: URI. */
export type ImageInput = Pixels | Uint8Array | string

/** Bytes of an encoded file, at most. */
const maxFileBytes = 1 << 28

/** How files of the formats that sharp decodes start. */
const otherFormats: readonly (readonly [name: string, at: number, start: string])[] = [
  ['JPEG', 0, '\xff\xd8\xff'],
  ['WebP', 8, 'WEBP'],
  ['GIF', 0, 'GIF8'],
  ['TIFF', 0, 'II*\0'],
  ['TIFF', 0, 'MM\0*'],
  ['AVIF', 4, 'ftypavif'],
]

/**
 * The pixels of whatever a user may give as a picture. Alpha is dropped, as Diffusers does. PNG needs nothing else; other formats, and
 * PNG with 16-bit samples or interlacing, need the optional package sharp.
 *
 * @param field what the caller calls the input, for messages
 * @throws      SdxlError ERR_INVALID_ARGUMENT, or ERR_NATIVE_LOAD where sharp is needed and missing
 */
export async function readImage(input: ImageInput, field = 'image'): Promise<Pixels> {
  const { width, height, data } = await readAlphaImage(input, field)
  return { width, height, data }
}

/** The same with the file's alpha channel, where it has one. */
export async function readAlphaImage(input: ImageInput, field = 'image'): Promise<AlphaPixels> {
  if (typeof input === 'string' || input instanceof Uint8Array) return decode(await encodedFile(input, field), field)
  if (typeof input !== 'object' || input === null) {
    throw invalid(field, 'an Image, { width, height, data }, the bytes of a picture file, a path or a data: URI', input)
  }
  checkPixels(field, input)
  const { width, height, data } = input
  if (width * height > maxPixels) throw invalid(field, `a picture of at most ${maxPixels} pixels`, width * height)
  return { width, height, data }
}

/** The bytes of a picture file, which may be given by path or as a data: URI. */
export async function encodedFile(input: Uint8Array | string, field: string): Promise<Uint8Array> {
  if (typeof input === 'string') return input.startsWith('data:') ? fromDataUri(input, field) : fromFile(input, field)
  if (input instanceof Uint8Array) {
    if (input.length > maxFileBytes) throw invalid(field, `a picture file of at most ${maxFileBytes} bytes`, input)
    return input
  }
  throw invalid(field, 'an Image, the bytes of a picture file, a path or a data: URI', input)
}

async function decode(bytes: Uint8Array, field: string): Promise<AlphaPixels> {
  if (isPng(bytes)) {
    const lacking = beyondReader(readPngHeader(bytes, field))
    if (lacking) return decodeWithSharp(await loadSharp(`Reading ${field}, a PNG with ${lacking},`), bytes, field)
    return upright(await readPng(bytes, field))
  }
  const start = Buffer.from(bytes.subarray(0, 16)).toString('latin1')
  const format = otherFormats.find(([, at, text]) => start.startsWith(text, at))?.[0]
  if (!format) throw invalid(field, 'a PNG, JPEG, WebP, GIF, TIFF or AVIF picture', bytes)
  return decodeWithSharp(await loadSharp(`Reading ${field}, a ${format} file,`), bytes, field)
}

async function upright({ width, height, data, alpha, orientation = 1 }: Png): Promise<AlphaPixels> {
  const turned = await turnUpright({ width, height, channels: 3, data }, orientation)
  const pixels = { width: turned.width, height: turned.height, data: turned.data }
  return alpha ? { ...pixels, alpha: (await turnUpright({ width, height, channels: 1, data: alpha }, orientation)).data } : pixels
}

function fromDataUri(uri: string, field: string): Uint8Array {
  const comma = uri.indexOf(',')
  const head = uri.slice(0, Math.max(comma, 0))
  const body = uri.slice(comma + 1)
  if (body.length * 0.75 > maxFileBytes) throw invalid(field, `a picture file of at most ${maxFileBytes} bytes`, uri)
  if (!head.toLowerCase().endsWith(';base64') || !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(body)) {
    throw invalid(field, 'a data: URI with base64, as in data:image/png;base64,…', uri)
  }
  return Buffer.from(body, 'base64')
}

async function fromFile(path: string, field: string): Promise<Uint8Array> {
  try {
    const { size } = await regularFile(path)
    if (size > maxFileBytes) throw new Error(`it has ${size} bytes; at most ${maxFileBytes} are read`)
    return await readFile(path)
  } catch (cause) {
    const shown = path.length > 200 ? `${path.slice(0, 60)}…` : path
    const hint = /^[A-Za-z0-9+/]{100,}={0,2}$/.test(path) ? '. If it is base64, put data:image/png;base64, before it' : ''
    const problem = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (cause as Error).message.slice(0, 200)
    throw new SdxlError('ERR_INVALID_ARGUMENT', `Cannot read ${field} from ${shown}: ${problem}${hint}`, { field, path: shown }, { cause })
  }
}

/** A pipe or a device would be read for ever. */
async function regularFile(path: string) {
  const found = await stat(path)
  if (!found.isFile()) throw new Error('it is not a file')
  return found
}
