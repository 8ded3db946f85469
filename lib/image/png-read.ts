import { promisify } from 'node:util'
import { inflate } from 'node:zlib'
import { SdxlError } from '../errors.js'
import { crc32 } from './crc32.js'
import { orientationOf } from './exif.js'
import { Pacer } from './pacer.js'
import { filterCount, unfilterRow } from './png-filter.js'
import { chunkOverhead, headerLength, signature } from './png-format.js'

/** Pixels of a picture that is read, at most: 8192 × 8192. */
export const maxPixels = 1 << 26
/** Bytes of all texts in one file, decompressed, at most. */
const maxTextBytes = 1 << 23

export interface PngHeader {
  readonly width: number
  readonly height: number
  readonly bitDepth: number
  /** 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha. */
  readonly colorType: number
  readonly interlaced: boolean
}

export interface Png {
  readonly width: number
  readonly height: number
  /** [height, width, 3]; grey is repeated, alpha is not applied. */
  readonly data: Uint8Array
  /** [height, width]; only where the file has an alpha channel or a palette with transparency. */
  readonly alpha?: Uint8Array
  /** EXIF's, 2 to 8; only where the picture does not lie upright. */
  readonly orientation?: number
  /** tEXt, zTXt and iTXt chunks, keyword → text; the last of a keyword counts. */
  readonly text: Readonly<Record<string, string>>
}

export const isPng = (bytes: Uint8Array): boolean => signature.every((byte, i) => bytes[i] === byte)

/** What this reader lacks for a file, in words; undefined where it reads the file. */
export function beyondReader({ bitDepth, interlaced }: PngHeader): string | undefined {
  if (bitDepth !== 8) return `${bitDepth} bits per sample`
  return interlaced ? 'interlacing' : undefined
}

/**
 * Decodes an 8-bit, non-interlaced PNG: grey, RGB or palette, with or without alpha. Every length, checksum and the order of chunks is
 * checked, and nothing is allocated for pixels before the file's size is known to be sane. Holds the event loop for about a millisecond at a time.
 *
 * @param field what the caller calls these bytes, for messages
 * @throws      SdxlError ERR_INVALID_ARGUMENT
 */
export async function readPng(bytes: Uint8Array, field = 'image', limit = maxPixels): Promise<Png> {
  const pacer = new Pacer()
  const header = readPngHeader(bytes, field, limit)
  const lacking = beyondReader(header)
  if (lacking) throw broken(field, `${lacking} are not supported; wanted 8 bits per sample without interlacing`, { ...header })
  const chunks = await readChunks(bytes, field, header, pacer)
  const found = await readPixels(field, header, chunks, pacer)
  const orientation = orientationOf(chunks.exif)
  return { ...found, ...(orientation > 1 ? { orientation } : {}), text: await readTexts(field, chunks.texts) }
}

/**
 * Reads the tEXt, zTXt and iTXt chunks of any PNG, keyword → text. Checks all chunks but decodes no pixels.
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT
 */
export async function readPngText(bytes: Uint8Array, field = 'image'): Promise<Readonly<Record<string, string>>> {
  const { texts } = await readChunks(bytes, field, readPngHeader(bytes, field, Infinity), new Pacer())
  return readTexts(field, texts)
}

/** Reads the size and kind of a PNG. Its checksum is readPng's business. */
export function readPngHeader(bytes: Uint8Array, field = 'image', limit = maxPixels): PngHeader {
  if (!isPng(bytes)) throw broken(field, 'it does not start with the PNG signature')
  if (bytes.length < signature.length + chunkOverhead + headerLength)
    throw broken(field, `it ends after ${bytes.length} bytes, within its header`)
  const view = viewOf(bytes)
  const length = view.getUint32(8)
  if (typeAt(bytes, 12) !== 'IHDR' || length !== headerLength) {
    throw broken(field, `its first chunk is ${JSON.stringify(typeAt(bytes, 12))} of ${length} bytes; wanted IHDR of ${headerLength}`)
  }
  const [width, height] = [view.getUint32(16), view.getUint32(20)]
  const [bitDepth, colorType, compression, filter, interlace] = [bytes[24]!, bytes[25]!, bytes[26]!, bytes[27]!, bytes[28]!]
  if (width === 0 || height === 0) throw broken(field, `it is ${width} × ${height} pixels`, { width, height })
  if (width * height > limit) {
    throw broken(field, `it is ${width} × ${height} pixels; at most ${limit} in all are read. Scale it down first`, {
      width,
      height,
      limit,
    })
  }
  if (!kinds.get(colorType)?.depths.includes(bitDepth)) {
    throw broken(field, `it has the colour type ${colorType} with ${bitDepth} bits per sample, which PNG does not define`, {
      colorType,
      bitDepth,
    })
  }
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    throw broken(field, `it has compression ${compression}, filter method ${filter} and interlacing ${interlace}; wanted 0, 0 and 0 or 1`)
  }
  return { width, height, bitDepth, colorType, interlaced: interlace === 1 }
}

/** Colour types of PNG. */
const kinds: ReadonlyMap<number, { readonly samples: number; readonly depths: readonly number[] }> = new Map([
  [0, { samples: 1, depths: [1, 2, 4, 8, 16] }],
  [2, { samples: 3, depths: [8, 16] }],
  [3, { samples: 1, depths: [1, 2, 4, 8] }],
  [4, { samples: 2, depths: [8, 16] }],
  [6, { samples: 4, depths: [8, 16] }],
])

interface Chunk {
  readonly type: string
  readonly data: Uint8Array
}

interface Chunks {
  readonly pixels: readonly Uint8Array[]
  readonly texts: readonly Chunk[]
  readonly palette?: Uint8Array // [entries, 3]
  readonly transparency?: Uint8Array // [≤ entries]
  readonly exif?: Uint8Array
}

async function readChunks(bytes: Uint8Array, field: string, { colorType }: PngHeader, pacer: Pacer): Promise<Chunks> {
  const view = viewOf(bytes)
  const pixels: Uint8Array[] = []
  const texts: Chunk[] = []
  let palette: Uint8Array | undefined
  let transparency: Uint8Array | undefined
  let exif: Uint8Array | undefined
  let previous = ''
  for (let at: number = signature.length; ;) {
    if (pacer.due()) await pacer.rest()
    if (bytes.length - at < chunkOverhead) throw broken(field, `it ends after ${bytes.length} bytes without an IEND chunk`)
    const length = view.getUint32(at)
    const type = typeAt(bytes, at + 4)
    if (!/^[A-Za-z]{4}$/.test(type))
      throw broken(field, `the chunk at byte ${at} has the type ${JSON.stringify(type)}; wanted four letters`)
    if (length > bytes.length - at - chunkOverhead) {
      throw broken(field, `the chunk ${type} at byte ${at} claims ${length} bytes; ${bytes.length - at - chunkOverhead} are left`)
    }
    const found = await crc32(bytes.subarray(at + 4, at + 8 + length), pacer)
    const wanted = view.getUint32(at + 8 + length)
    if (found !== wanted) throw broken(field, `the chunk ${type} at byte ${at} is damaged: its checksum does not match`)
    const data = bytes.subarray(at + 8, at + 8 + length)
    const misplaced = () => broken(field, `the chunk ${type} at byte ${at} stands in the wrong place`)

    if (type === 'IEND') {
      if (pixels.length === 0) throw broken(field, 'it has no pixels (no IDAT chunk)')
      return { pixels, texts, palette, transparency, exif }
    }
    if (type === 'IDAT') {
      if (pixels.length > 0 && previous !== 'IDAT') throw misplaced()
      if (colorType === 3 && !palette) throw broken(field, 'it has no palette (no PLTE chunk before its pixels)')
      pixels.push(data)
    } else if (type === 'PLTE') {
      if (palette || pixels.length > 0) throw misplaced()
      if (length === 0 || length % 3 !== 0 || length > 768)
        throw broken(field, `its palette has ${length} bytes; wanted 3 for each of up to 256 colours`)
      palette = data
    } else if (type === 'tRNS') {
      if (transparency || pixels.length > 0) throw misplaced()
      if (colorType === 3) {
        if (!palette || length > palette.length / 3)
          throw broken(field, `it has ${length} transparencies for ${(palette?.length ?? 0) / 3} palette colours`)
        transparency = data
      }
    } else if (type === 'tEXt' || type === 'zTXt' || type === 'iTXt') {
      texts.push({ type, data })
    } else if (type === 'eXIf') {
      exif = data
    } else if (type === 'IHDR') {
      if (at !== signature.length) throw misplaced()
    } else if (/^[A-Z]/.test(type)) {
      // A capital marks what a reader must understand to show the picture.
      throw broken(field, `it needs the chunk ${type}, which is not known`)
    }
    previous = type
    at += chunkOverhead + length
  }
}

async function readPixels(field: string, header: PngHeader, chunks: Chunks, pacer: Pacer): Promise<Omit<Png, 'orientation' | 'text'>> {
  const { width, height, colorType } = header
  const { samples } = kinds.get(colorType)!
  const length = width * samples
  const total = height * (length + 1)
  const rows = await inflated(field, 'its pixels', Buffer.concat(chunks.pixels), total)
  if (rows.length !== total) throw broken(field, `its pixels are ${rows.length} bytes; ${width} × ${height} need ${total}`)

  const data = new Uint8Array(width * height * 3)
  const hasAlpha = colorType === 4 || colorType === 6 || chunks.transparency !== undefined
  const alpha = hasAlpha ? new Uint8Array(width * height) : undefined
  let above: Uint8Array = new Uint8Array(length)
  for (let y = 0; y < height; ++y) {
    if (pacer.due()) await pacer.rest()
    const start = y * (length + 1)
    const filter = rows[start]!
    if (filter >= filterCount) throw broken(field, `row ${y} has the filter ${filter}; wanted 0 to ${filterCount - 1}`)
    const row = rows.subarray(start + 1, start + 1 + length)
    unfilterRow(filter, row, above, samples)
    above = row
    const rgb = data.subarray(y * width * 3, (y + 1) * width * 3)
    if (colorType === 2) rgb.set(row)
    else if (colorType === 3) expandPalette(field, row, chunks.palette!, rgb)
    else expandSamples(row, samples, rgb)
    if (!alpha) continue
    const line = alpha.subarray(y * width, (y + 1) * width)
    if (chunks.transparency) for (let x = 0; x < width; ++x) line[x] = chunks.transparency[row[x]!] ?? 255
    else for (let x = 0; x < width; ++x) line[x] = row[x * samples + samples - 1]!
  }
  return alpha ? { width, height, data, alpha } : { width, height, data }
}

function expandPalette(field: string, row: Uint8Array, palette: Uint8Array, rgb: Uint8Array): void {
  for (let x = 0; x < row.length; ++x) {
    const entry = row[x]! * 3
    if (entry >= palette.length) throw broken(field, `a pixel has the colour ${row[x]} of a palette of ${palette.length / 3}`)
    rgb[x * 3] = palette[entry]!
    rgb[x * 3 + 1] = palette[entry + 1]!
    rgb[x * 3 + 2] = palette[entry + 2]!
  }
}

/** Grey (1), grey and alpha (2) or RGB and alpha (4 samples per pixel) to RGB. */
function expandSamples(row: Uint8Array, samples: number, rgb: Uint8Array): void {
  const [green, blue] = samples === 4 ? [1, 2] : [0, 0]
  for (let x = 0; x * 3 < rgb.length; ++x) {
    rgb[x * 3] = row[x * samples]!
    rgb[x * 3 + 1] = row[x * samples + green]!
    rgb[x * 3 + 2] = row[x * samples + blue]!
  }
}

async function readTexts(field: string, chunks: readonly Chunk[]): Promise<Record<string, string>> {
  const texts: [string, string][] = []
  let budget = maxTextBytes
  for (const { type, data } of chunks) {
    let rest = data
    const upToNul = () => {
      const end = rest.indexOf(0)
      if (end < 0) throw broken(field, `a text chunk (${type}) is cut off`)
      const head = rest.subarray(0, end)
      rest = rest.subarray(end + 1)
      return Buffer.from(head).toString('latin1')
    }
    const keyword = upToNul()
    let compressed = false
    if (type !== 'tEXt') {
      const flags = type === 'zTXt' ? 1 : 2
      if (rest.length < flags) throw broken(field, `a text chunk (${type}) is cut off`)
      compressed = type === 'zTXt' || rest[0] !== 0
      rest = rest.subarray(flags)
    }
    if (type === 'iTXt') {
      upToNul() // language
      upToNul() // translated keyword
    }
    const text = compressed ? await inflated(field, `its text ${JSON.stringify(keyword)}`, rest, budget) : Buffer.from(rest)
    budget -= text.length
    if (budget < 0) throw broken(field, `its texts are longer than ${maxTextBytes} bytes`)
    texts.push([keyword, text.toString(type === 'iTXt' ? 'utf8' : 'latin1')])
  }
  return Object.fromEntries(texts)
}

/** Decompresses to at most `limit` bytes, so that a small file cannot fill the memory. */
async function inflated(field: string, what: string, bytes: Uint8Array, limit: number): Promise<Buffer> {
  // Few large pieces, but no megabyte for a short text.
  const chunkSize = Math.min(Math.max(4 * bytes.length, 1 << 12), 1 << 20)
  try {
    return await promisify(inflate)(bytes, { maxOutputLength: Math.max(limit, 1), chunkSize })
  } catch (cause) {
    const tooLong = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    const problem = tooLong ? `more than ${limit} bytes after decompression` : `cannot be decompressed, ${(cause as Error).message}`
    throw broken(field, `${what}: ${problem}`, {}, cause)
  }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const typeAt = (bytes: Uint8Array, at: number) => String.fromCharCode(...bytes.subarray(at, at + 4))

const broken = (field: string, problem: string, details: Record<string, unknown> = {}, cause?: unknown) =>
  new SdxlError('ERR_INVALID_ARGUMENT', `Cannot read ${field} as PNG: ${problem}`, { field, ...details }, { cause })
