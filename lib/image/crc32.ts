import type { Pacer } from './pacer.js'

// Node's own zlib.crc32 is not in every version this package runs on.
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; ++bit) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1
  return value
})

const blockBytes = 1 << 18

/** CRC-32 of PNG chunks (ISO 3309, reflected 0xedb88320), as an unsigned number. */
export async function crc32(bytes: Uint8Array, pacer: Pacer): Promise<number> {
  let crc = 0xffffffff
  for (let start = 0; start < bytes.length; start += blockBytes) {
    if (pacer.due()) await pacer.rest()
    crc = update(crc, bytes, start, Math.min(start + blockBytes, bytes.length))
  }
  return (crc ^ 0xffffffff) >>> 0
}

function update(crc: number, bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; ++i) crc = table[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8)
  return crc
}
