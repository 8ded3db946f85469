import { deflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { SdxlError } from '../../lib/errors.js'
import { type Png, readPng } from '../../lib/image/index.js'
import { fixtures } from './fixtures.js'
import { chunk, end, header, join, pixels, split } from './png-bytes.js'

const bytesOf = (base64: string) => Uint8Array.from(Buffer.from(base64, 'base64'))

describe('readPng', () => {
  it.each(fixtures.map((f) => [f.name, f] as const))('reads %s as Pillow does', async (_, f) => {
    const png = await readPng(bytesOf(f.png))
    expect([png.width, png.height]).toEqual([7, 11])
    expect(png.data).toEqual(bytesOf(f.rgb))
    expect(png.alpha).toEqual(f.alpha === null ? undefined : bytesOf(f.alpha))
    expect(png.text).toEqual(f.text)
  })

  it('reads from the middle of a larger buffer', async () => {
    const file = Buffer.from(fixtures[1]!.png, 'base64')
    const larger = Buffer.concat([Buffer.alloc(13), file, Buffer.alloc(9)])
    expect((await readPng(larger.subarray(13, 13 + file.length))).data).toEqual(bytesOf(fixtures[1]!.rgb))
  })

  it('ignores unknown ancillary chunks and what follows IEND', async () => {
    const png = join([header(), chunk('gAMA', [0, 0, 0, 1]), pixels(0, 1, 2, 3), chunk('heLo', [1]), end])
    expect((await readPng(Buffer.concat([png, Buffer.from('rest')]))).data).toEqual(Uint8Array.of(1, 2, 3))
  })

  it('keeps texts apart from the prototype of objects', async () => {
    const { text } = await readPng(
      join([header(), chunk('tEXt', '__proto__\0x'), chunk('tEXt', 'a\x001'), chunk('tEXt', 'a\x002'), pixels(0, 1, 2, 3), end]),
    )
    expect(Object.entries(text)).toEqual([
      ['__proto__', 'x'],
      ['a', '2'],
    ])
  })

  const palette = header({ colorType: 3 })
  const good = join([header(), pixels(0, 1, 2, 3), end])
  const damaged = Buffer.from(good)
  damaged[20]! ^= 1
  const bomb = chunk('zTXt', `a\0\0${deflateSync(Buffer.alloc(5 << 20)).toString('latin1')}`)
  const bad: [string, Uint8Array, RegExp][] = [
    ['nothing', new Uint8Array(0), /Cannot read mask as PNG: it does not start with the PNG signature/],
    ['text', Buffer.from('hello'), /does not start with the PNG signature/],
    ['the signature alone', good.subarray(0, 8), /ends after 8 bytes, within its header/],
    ['another first chunk', join([chunk('IDAT', 'x'.repeat(20)), end]), /its first chunk is "IDAT" of 20 bytes; wanted IHDR of 13/],
    ['a longer header', join([chunk('IHDR', 'x'.repeat(14)), end]), /its first chunk is "IHDR" of 14 bytes/],
    ['no width', join([header({ width: 0 }), pixels(0), end]), /it is 0 × 1 pixels/],
    ['more pixels than are read', join([header({ width: 8192, height: 8193 }), end]), /8192 × 8193 pixels; at most 67108864/],
    ['the largest size', join([header({ width: 0xffffffff, height: 0xffffffff }), end]), /at most 67108864/],
    ['an undefined colour type', join([header({ colorType: 5 }), end]), /colour type 5 with 8 bits per sample, which PNG does not define/],
    ['an undefined depth', join([header({ bitDepth: 3 }), end]), /colour type 2 with 3 bits/],
    ['an unknown compression', join([header({ compression: 1 }), end]), /compression 1, filter method 0 and interlacing 0/],
    ['an unknown filter method', join([header({ filter: 64 }), end]), /filter method 64/],
    ['unknown interlacing', join([header({ interlace: 2 }), end]), /interlacing 2/],
    ['16 bits', join([header({ bitDepth: 16 }), pixels(0, 0, 1, 0, 2, 0, 3), end]), /16 bits per sample are not supported/],
    ['interlacing', join([header({ interlace: 1 }), pixels(0, 1, 2, 3), end]), /interlacing are not supported/],
    ['a damaged header', damaged, /the chunk IHDR at byte 8 is damaged: its checksum does not match/],
    ['no end', join([header(), pixels(0, 1, 2, 3)]), /without an IEND chunk/],
    ['no pixels', join([header(), end]), /no pixels \(no IDAT chunk\)/],
    ['a chunk longer than the file', good.subarray(0, good.length - 14), /the chunk IDAT at byte 33 claims \d+ bytes; \d+ are left/],
    ['a chunk type of digits', join([header(), chunk('1234', ''), end]), /the type "1234"; wanted four letters/],
    ['an unknown critical chunk', join([header(), chunk('CgBI', ''), end]), /needs the chunk CgBI, which is not known/],
    ['two headers', join([header(), header(), end]), /IHDR at byte 33 stands in the wrong place/],
    [
      'pixels in two places',
      join([header(), pixels(0, 1), chunk('gAMA', ''), pixels(1), end]),
      /IDAT at byte \d+ stands in the wrong place/,
    ],
    ['a palette after the pixels', join([header(), pixels(0, 1, 2, 3), chunk('PLTE', [1, 2, 3]), end]), /PLTE at byte \d+ stands/],
    ['two palettes', join([palette, chunk('PLTE', [1, 2, 3]), chunk('PLTE', [1, 2, 3]), end]), /PLTE at byte \d+ stands/],
    ['a palette of 4 bytes', join([palette, chunk('PLTE', [1, 2, 3, 4]), end]), /its palette has 4 bytes/],
    ['an empty palette', join([palette, chunk('PLTE', []), end]), /its palette has 0 bytes/],
    ['a palette of 257 colours', join([palette, chunk('PLTE', 'abc'.repeat(257)), end]), /its palette has 771 bytes/],
    ['no palette', join([palette, pixels(0, 0), end]), /no palette/],
    ['a colour beyond the palette', join([palette, chunk('PLTE', [1, 2, 3]), pixels(0, 1), end]), /the colour 1 of a palette of 1/],
    [
      'more transparencies than colours',
      join([palette, chunk('PLTE', [1, 2, 3]), chunk('tRNS', [1, 2]), end]),
      /2 transparencies for 1 palette/,
    ],
    ['transparency before the palette', join([palette, chunk('tRNS', [1]), end]), /1 transparencies for 0/],
    [
      'transparency twice',
      join([palette, chunk('PLTE', [1, 2, 3]), chunk('tRNS', [1]), chunk('tRNS', [1]), end]),
      /tRNS at byte \d+ stands/,
    ],
    [
      'pixels that are not compressed',
      join([header(), chunk('IDAT', 'abcdef'), end]),
      /its pixels: cannot be decompressed, incorrect header check/,
    ],
    [
      'pixels cut off',
      join([header(), { type: 'IDAT', data: pixels(0, 1, 2, 3).data.subarray(0, 6) }, end]),
      /cannot be decompressed, unexpected end/,
    ],
    ['too few pixels', join([header(), pixels(0, 1, 2), end]), /its pixels are 3 bytes; 1 × 1 need 4/],
    ['too many pixels', join([header(), pixels(0, 1, 2, 3, 4), end]), /its pixels: more than 4 bytes after decompression/],
    ['an unknown filter', join([header(), pixels(5, 1, 2, 3), end]), /row 0 has the filter 5; wanted 0 to 4/],
    ['a text without a keyword', join([header(), chunk('tEXt', 'abc'), pixels(0, 1, 2, 3), end]), /a text chunk \(tEXt\) is cut off/],
    [
      'a compressed text without its method',
      join([header(), chunk('zTXt', 'a\0'), pixels(0, 1, 2, 3), end]),
      /a text chunk \(zTXt\) is cut off/,
    ],
    [
      'a compressed text that is not',
      join([header(), chunk('zTXt', 'a\0\0abc'), pixels(0, 1, 2, 3), end]),
      /its text "a": cannot be decompressed/,
    ],
    [
      'an international text cut off',
      join([header(), chunk('iTXt', 'a\0\0\0zh'), pixels(0, 1, 2, 3), end]),
      /a text chunk \(iTXt\) is cut off/,
    ],
    ['texts that fill the memory', join([header(), bomb, bomb, pixels(0, 1, 2, 3), end]), /its text "a": more than 3145728 bytes/],
  ]
  it.each(bad)('rejects %s', async (_, bytes, message) => {
    const error: unknown = await readPng(bytes, 'mask').then(
      () => undefined,
      (reason) => reason,
    )
    expect(error).toBeInstanceOf(SdxlError)
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(message), details: { field: 'mask' } })
  })
})

/** xorshift32: the same files on every run. */
function generator(seed: number) {
  let state = seed
  return (below: number) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** A picture whose parts fit together, or nothing but a typed error. */
async function readOrReject(bytes: Uint8Array): Promise<'read' | 'rejected'> {
  let png: Png
  try {
    png = await readPng(bytes, 'image', 1 << 16)
  } catch (error) {
    if (!(error instanceof SdxlError)) throw error
    return 'rejected'
  }
  expect(png.data.length).toBe(png.width * png.height * 3)
  return 'read'
}

// Thousands of files: a busy machine may take longer than a test usually may.
describe('readPng on damaged files', { timeout: 60_000 }, () => {
  const files = fixtures.map((f) => Buffer.from(f.png, 'base64'))

  it('rejects every truncation', async () => {
    for (const file of files)
      for (let length = 0; length < file.length; ++length) expect(await readOrReject(file.subarray(0, length))).toBe('rejected')
  })

  it('survives changed, inserted and removed bytes', async () => {
    const random = generator(1)
    for (let i = 0; i < 4000; ++i) {
      let file = Buffer.from(files[random(files.length)]!)
      for (let k = 0; k <= random(3); ++k) {
        const at = random(file.length)
        const kind = random(4)
        if (kind === 0) file = Buffer.concat([file.subarray(0, at), Buffer.from([random(256)]), file.subarray(at)])
        else if (kind === 1) file = Buffer.concat([file.subarray(0, at), file.subarray(at + 1 + random(8))])
        else file[at] = random(256)
      }
      await readOrReject(file)
    }
  })

  // Checksums stop nearly all of the damage above at the door; these files have right ones and reach the code behind.
  it('survives changed chunks with right checksums', async () => {
    const random = generator(2)
    const outcomes = { read: 0, rejected: 0 }
    for (let i = 0; i < 4000; ++i) {
      const chunks = split(files[random(files.length)]!).map(({ type, data }) => ({ type, data: Buffer.from(data) }))
      const at = random(chunks.length)
      const { type, data } = chunks[at]!
      const kind = random(6)
      if (kind === 0) chunks.splice(at, 1)
      else if (kind === 1) chunks.splice(random(chunks.length), 0, { type, data })
      else if (kind === 2) chunks[at]!.data = data.subarray(0, random(data.length + 1))
      else if (kind === 3 && type === 'IDAT') chunks[at]!.data = deflateSync(Uint8Array.from({ length: random(400) }, () => random(6)))
      else if (data.length > 0) data[random(data.length)] = random(256)
      ++outcomes[await readOrReject(join(chunks))]
    }
    // Both outcomes occur, or the changes test nothing.
    expect(outcomes.read).toBeGreaterThan(200)
    expect(outcomes.rejected).toBeGreaterThan(200)
  })
})
