import { promisify } from 'node:util'
import { deflate } from 'node:zlib'
import { crc32 } from './crc32.js'
import { Pacer } from './pacer.js'
import { filterRow, sumOfDifferences, writtenFilters } from './png-filter.js'
import { chunkOverhead, headerLength, signature } from './png-format.js'

const channels = 3

/**
 * An 8-bit RGB PNG. Filtering and checksums hold the event loop for about a millisecond at a time; compression runs outside it.
 *
 * @param data [height, width, 3]
 * @param text keyword → text, without NUL characters; Latin-1 text becomes a tEXt chunk, any other an iTXt chunk
 */
export async function writePng(
  width: number,
  height: number,
  data: Uint8Array,
  text: Readonly<Record<string, string>> = {},
): Promise<Buffer> {
  const pacer = new Pacer()
  const rows = await filterRows(width, height, data, pacer)
  const pixels = await promisify(deflate)(rows, { chunkSize: Math.min(Math.max(rows.length, 1 << 14), 1 << 20) })

  const header = Buffer.alloc(headerLength)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 8 // bits per sample
  header[9] = 2 // RGB; compression, filter method and interlacing stay 0
  const chunks = [await chunk('IHDR', header, pacer)]
  for (const [keyword, value] of Object.entries(text)) chunks.push(await textChunk(keyword, value, pacer))
  chunks.push(await chunk('IDAT', pixels, pacer), await chunk('IEND', Buffer.alloc(0), pacer))
  return Buffer.concat([signature, ...chunks])
}

/** Every row with the filter that gives the smallest sum of absolute differences. @returns [height, 1 + 3 · width] */
async function filterRows(width: number, height: number, data: Uint8Array, pacer: Pacer): Promise<Buffer> {
  const length = width * channels
  const rows = Buffer.allocUnsafe(height * (length + 1))
  let above: Uint8Array = new Uint8Array(length)
  let best = new Uint8Array(length)
  let candidate = new Uint8Array(length)
  for (let y = 0; y < height; ++y) {
    if (pacer.due()) await pacer.rest()
    const row = data.subarray(y * length, (y + 1) * length)
    let chosen: number = writtenFilters[0]
    let smallest = Infinity
    for (const filter of writtenFilters) {
      filterRow(filter, row, above, channels, candidate)
      const sum = sumOfDifferences(candidate)
      if (sum >= smallest) continue
      chosen = filter
      smallest = sum
      ;[best, candidate] = [candidate, best]
    }
    rows[y * (length + 1)] = chosen
    rows.set(best, y * (length + 1) + 1)
    above = row
  }
  return rows
}

async function chunk(type: string, data: Uint8Array, pacer: Pacer): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(chunkOverhead + data.length)
  bytes.writeUInt32BE(data.length, 0)
  bytes.write(type, 4, 'latin1')
  bytes.set(data, 8)
  bytes.writeUInt32BE(await crc32(bytes.subarray(4, 8 + data.length), pacer), 8 + data.length)
  return bytes
}

function textChunk(keyword: string, text: string, pacer: Pacer): Promise<Buffer> {
  const isLatin1 = [...text].every((character) => character.codePointAt(0)! <= 0xff)
  if (isLatin1) return chunk('tEXt', Buffer.from(`${keyword}\0${text}`, 'latin1'), pacer)
  // not compressed, no language, no translated keyword
  return chunk('iTXt', Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'), Buffer.from(text, 'utf8')]), pacer)
}
