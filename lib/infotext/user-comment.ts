// EXIF's UserComment, where A1111 puts the infotext of JPEG and WebP files.
import { SdxlError } from '../errors.js'
import { Exif, tags } from '../image/exif.js'

const exifMark = 'Exif\0\0'

const isAt = (bytes: Uint8Array, at: number, text: string) => Buffer.from(bytes.subarray(at, at + text.length)).toString('latin1') === text
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export const isJpeg = (bytes: Uint8Array): boolean => isAt(bytes, 0, '\xff\xd8\xff')
export const isWebp = (bytes: Uint8Array): boolean => isAt(bytes, 0, 'RIFF') && isAt(bytes, 8, 'WEBP')

/** The EXIF data among the segments before the pixels. */
function exifOfJpeg(bytes: Uint8Array): Uint8Array | undefined {
  const view = viewOf(bytes)
  for (let at = 2; at + 4 <= bytes.length;) {
    const marker = view.getUint16(at)
    if (marker < 0xff01 || marker === 0xffda || marker === 0xffd9) return undefined
    const length = view.getUint16(at + 2)
    if (marker === 0xffe1 && isAt(bytes, at + 4, exifMark)) return bytes.subarray(at + 4 + exifMark.length, at + 2 + length)
    // Any number of 0xff may stand before a marker.
    at += marker === 0xffff ? 1 : 2 + length
  }
  return undefined
}

function exifOfWebp(bytes: Uint8Array): Uint8Array | undefined {
  const view = viewOf(bytes)
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = view.getUint32(at + 4, true)
    if (isAt(bytes, at, 'EXIF')) {
      const exif = bytes.subarray(at + 8, at + 8 + length)
      return isAt(exif, 0, exifMark) ? exif.subarray(exifMark.length) : exif
    }
    at += 8 + length + (length % 2)
  }
  return undefined
}

/** The value of UserComment. @throws RangeError where it points outside the data */
function findComment(bytes: Uint8Array): Uint8Array | undefined {
  const exif = new Exif(bytes)
  const pointer = exif.entry(exif.root, tags.exifDirectory)
  const comment = pointer === undefined ? undefined : exif.entry(exif.long(pointer), tags.userComment)
  return comment === undefined ? undefined : exif.bytes(comment)
}

/** UTF-16 of either byte order: with a mark, or as ASCII characters, which a settings line is full of, show. */
function utf16(bytes: Uint8Array): string {
  const even = Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % 2)))
  let zeros = 0
  even.forEach((byte, i) => (zeros += byte !== 0 ? 0 : i % 2 === 0 ? 1 : -1))
  const marked = even.length >= 2 ? even.readUInt16BE(0) : 0
  if (marked === 0xfeff || (marked !== 0xfffe && zeros >= 0)) even.swap16()
  return even.toString('utf16le').replace(/^\ufeff/, '')
}

/** The first 8 bytes name the encoding. */
function decodeComment(comment: Uint8Array): string {
  const text = comment.subarray(8)
  return (isAt(comment, 0, 'UNICODE\0') ? utf16(text) : Buffer.from(text).toString('utf8')).replace(/\0+$/, '')
}

/**
 * @param bytes a JPEG or WebP file
 * @returns     undefined where the file has no such comment, or an empty one
 * @throws      SdxlError ERR_INVALID_ARGUMENT where its EXIF data are damaged
 */
export function readUserComment(bytes: Uint8Array, field: string): string | undefined {
  try {
    const exif = isJpeg(bytes) ? exifOfJpeg(bytes) : exifOfWebp(bytes)
    const comment = exif && findComment(exif)
    return (comment && decodeComment(comment)) || undefined
  } catch (cause) {
    const problem = `Cannot read ${field}: its EXIF data are damaged, ${(cause as Error).message}`
    throw new SdxlError('ERR_INVALID_ARGUMENT', problem, { field }, { cause })
  }
}
