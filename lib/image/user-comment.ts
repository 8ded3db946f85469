// EXIF's UserComment, where A1111 puts the settings of a JPEG or WebP file.
import { SdxlError } from '../errors.js'
import { tags } from './exif.js'

const exifMark = Buffer.from('Exif\0\0', 'latin1')
const mostJpegSegment = 0xffff - 2

/** A JPEG file with the text as its UserComment. @throws SdxlError ERR_INVALID_ARGUMENT where it is too long for one segment */
export function withJpegComment(jpeg: Buffer, text: string): Buffer {
  const exif = Buffer.concat([exifMark, exifOf(text)])
  if (exif.length > mostJpegSegment) {
    throw new SdxlError(
      'ERR_INVALID_ARGUMENT',
      `The settings of the picture have ${text.length} characters, more than a JPEG file can hold. Write a PNG or WebP file, or set metadata to false`,
      { field: 'metadata', characters: text.length },
    )
  }
  const head = Buffer.from([0xff, 0xe1, 0, 0])
  head.writeUInt16BE(exif.length + 2, 2)
  return Buffer.concat([jpeg.subarray(0, 2), head, exif, jpeg.subarray(2)])
}

/** A WebP file with the text as its UserComment. @param webp without EXIF data, of a picture of this size without alpha */
export function withWebpComment(webp: Buffer, width: number, height: number, text: string): Buffer {
  const chunks = webp.subarray(12)
  const extended = chunks.toString('latin1', 0, 4) === 'VP8X'
  const header = extended ? Buffer.from(chunks.subarray(8, 18)) : Buffer.alloc(10)
  header[0]! |= 0x08 // has EXIF data
  header.writeUIntLE(width - 1, 4, 3)
  header.writeUIntLE(height - 1, 7, 3)
  const body = [riffChunk('VP8X', header), chunks.subarray(extended ? 18 : 0), riffChunk('EXIF', exifOf(text))]
  const whole = Buffer.concat([webp.subarray(0, 12), ...body])
  whole.writeUInt32LE(whole.length - 8, 4)
  return whole
}

function riffChunk(type: string, data: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.write(type, 'latin1')
  head.writeUInt32LE(data.length, 4)
  return Buffer.concat([head, data, Buffer.alloc(data.length % 2)])
}

/** A TIFF directory that points to the EXIF directory, whose one entry is the comment in UTF-16, big-endian as all else. */
function exifOf(text: string): Buffer {
  const comment = Buffer.concat([Buffer.from('UNICODE\0', 'latin1'), Buffer.from(text, 'utf16le').swap16()])
  const head = Buffer.alloc(44)
  head.write('MM\0*', 'latin1')
  head.writeUInt32BE(8, 4)
  const directory = (at: number, tag: number, type: number, count: number, value: number) => {
    head.writeUInt16BE(1, at)
    head.writeUInt16BE(tag, at + 2)
    head.writeUInt16BE(type, at + 4)
    head.writeUInt32BE(count, at + 6)
    head.writeUInt32BE(value, at + 10) // and no directory after it: 4 zero bytes
  }
  directory(8, tags.exifDirectory, 4, 1, 26) // ExifIFD, one LONG
  directory(26, tags.userComment, 7, comment.length, head.length) // UserComment, UNDEFINED bytes
  return Buffer.concat([head, comment])
}
