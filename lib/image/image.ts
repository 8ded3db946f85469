import { extname } from 'node:path'
import { checkKeys, invalid, nonEmptyString, optionalBoolean, optionalChoice } from '../check.js'
import { writePng } from './png-write.js'
import { checkQuality, encodeJpeg, encodeWebp, loadSharp, type Pixels } from './sharp.js'
import { withJpegComment, withWebpComment } from './user-comment.js'
import { checkFolder, writeWhole } from './write-file.js'

export interface ImageSource {
  width: number
  height: number
  /** RGB, row-major, 3 bytes per pixel; kept, not copied. */
  data: Uint8Array
  seed?: number
  /** How the picture was made, in the form that user interfaces read back ("infotext"). */
  parameters?: string
}

type ImageFormat = 'png' | 'jpeg' | 'webp'

const formats: ReadonlyMap<string, ImageFormat> = new Map([
  ['.png', 'png'],
  ['.jpg', 'jpeg'],
  ['.jpeg', 'jpeg'],
  ['.webp', 'webp'],
])

/** A finished picture. JPEG and WebP need the optional package sharp; without it they reject with ERR_NATIVE_LOAD. */
export class Image implements Pixels {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array // [height, width, 3]
  readonly seed?: number
  readonly parameters?: string

  /** Use createImage, which checks. */
  constructor({ width, height, data, seed, parameters }: ImageSource) {
    this.width = width
    this.height = height
    this.data = data
    this.seed = seed
    this.parameters = parameters
  }

  /** @param options.metadata with the parameters in a text chunk of that name; default true */
  async png(options: { metadata?: boolean } = {}): Promise<Buffer> {
    checkKeys('options', options, ['metadata'])
    const text = this.#text(options.metadata)
    return writePng(this.width, this.height, this.data, text === undefined ? {} : { parameters: text })
  }

  /**
   * @param options.quality  an integer from 1 to 100, default 92
   * @param options.metadata with the parameters as EXIF's UserComment; default true
   */
  async jpeg(options: { quality?: number; metadata?: boolean } = {}): Promise<Buffer> {
    checkKeys('options', options, ['quality', 'metadata'])
    const quality = checkQuality(options.quality)
    const text = this.#text(options.metadata)
    const file = await encodeJpeg(await loadSharp('JPEG output'), this, quality)
    return text === undefined ? file : withJpegComment(file, text)
  }

  /**
   * @param options.quality  an integer from 1 to 100, default 92
   * @param options.metadata with the parameters as EXIF's UserComment; default true
   */
  async webp(options: { quality?: number; lossless?: boolean; metadata?: boolean } = {}): Promise<Buffer> {
    checkKeys('options', options, ['quality', 'lossless', 'metadata'])
    const quality = checkQuality(options.quality)
    const lossless = optionalBoolean('lossless', options.lossless) ?? false
    const text = this.#text(options.metadata)
    const file = await encodeWebp(await loadSharp('WebP output'), this, quality, lossless)
    return text === undefined ? file : withWebpComment(file, this.width, this.height, text)
  }

  #text(metadata: unknown): string | undefined {
    return (optionalBoolean('metadata', metadata) ?? true) ? this.parameters : undefined
  }

  /**
   * Writes a file in the format of its extension: .png, .jpg, .jpeg or .webp, with the parameters. The folder must exist; a file of that
   * name is replaced, whole or not at all.
   */
  async toFile(path: string): Promise<void> {
    const format = formats.get(extname(nonEmptyString('path', path)).toLowerCase())
    if (!format) throw invalid('path', `a file name that ends in ${[...formats.keys()].join(', ')}`, path)
    await checkFolder(path)
    await writeWhole(path, await this[format]())
  }

  /** The encoded picture in base64, without a `data:` prefix. */
  async toBase64(format: ImageFormat = 'png'): Promise<string> {
    optionalChoice('format', format, ['png', 'jpeg', 'webp'])
    return (await this[format]()).toString('base64')
  }
}

/**
 * @throws SdxlError ERR_INVALID_ARGUMENT where the size and the number of bytes do not fit together
 */
export function createImage(source: ImageSource): Image {
  checkKeys('image', source, ['width', 'height', 'data', 'seed', 'parameters'])
  checkPixels('image', source)
  const { seed, parameters } = source
  if (seed !== undefined && !(Number.isSafeInteger(seed) && seed >= 0)) throw invalid('image.seed', 'an integer from 0 to 2^53 − 1', seed)
  // NUL ends a text inside a PNG.
  if (parameters !== undefined && (typeof parameters !== 'string' || parameters.includes('\0'))) {
    throw invalid('image.parameters', 'a string without NUL characters', parameters)
  }
  return new Image(source)
}

/** Throws unless the object is a picture of 3 bytes per pixel. */
export function checkPixels(field: string, { width, height, data }: Pixels): void {
  for (const [name, size] of Object.entries({ width, height })) {
    if (!Number.isSafeInteger(size) || size < 1) throw invalid(`${field}.${name}`, 'a positive integer', size)
  }
  if (!(data instanceof Uint8Array) || data.length !== width * height * 3) {
    throw invalid(`${field}.data`, `a Uint8Array of ${width} × ${height} × 3 = ${width * height * 3} bytes (RGB)`, data)
  }
}
