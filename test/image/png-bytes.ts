import { deflateSync } from 'node:zlib'

/** CRC-32 bit by bit, to check and to build files independently of the library. */
export function crc(bytes: Uint8Array): number {
  let value = 0xffffffff
  for (const byte of bytes) {
    value ^= byte
    for (let bit = 0; bit < 8; ++bit) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0)
  }
  return ~value >>> 0
}

export interface RawChunk {
  type: string
  data: Uint8Array
}

export const signature = Buffer.from('89504e470d0a1a0a', 'hex')

export function join(chunks: readonly RawChunk[]): Buffer {
  const parts = chunks.map(({ type, data }) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
    const bytes = Buffer.alloc(body.length + 8)
    bytes.writeUInt32BE(data.length, 0)
    bytes.set(body, 4)
    bytes.writeUInt32BE(crc(body), 4 + body.length)
    return bytes
  })
  return Buffer.concat([signature, ...parts])
}

export function split(png: Buffer): { type: string; data: Buffer; crc: number }[] {
  const chunks = []
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at)
    chunks.push({
      type: png.toString('latin1', at + 4, at + 8),
      data: png.subarray(at + 8, at + 8 + length),
      crc: png.readUInt32BE(at + 8 + length),
    })
    at += 12 + length
  }
  return chunks
}

interface Header {
  width?: number
  height?: number
  bitDepth?: number
  colorType?: number
  compression?: number
  filter?: number
  interlace?: number
}

export function header({
  width = 1,
  height = 1,
  bitDepth = 8,
  colorType = 2,
  compression = 0,
  filter = 0,
  interlace = 0,
}: Header = {}): RawChunk {
  const data = Buffer.alloc(13)
  data.writeUInt32BE(width, 0)
  data.writeUInt32BE(height, 4)
  data.set([bitDepth, colorType, compression, filter, interlace], 8)
  return { type: 'IHDR', data }
}

export const pixels = (...rows: number[]): RawChunk => ({ type: 'IDAT', data: deflateSync(Uint8Array.from(rows)) })
export const end: RawChunk = { type: 'IEND', data: new Uint8Array(0) }
export const chunk = (type: string, data: string | readonly number[]): RawChunk => ({
  type,
  data: typeof data === 'string' ? Buffer.from(data, 'latin1') : Uint8Array.from(data),
})
