import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createImage, type ImageInput, readImage } from '../../lib/image/index.js'
import { decodeWithSharp, type Sharp } from '../../lib/image/sharp.js'
import { fixtures } from './fixtures.js'
import { end, header, join as joinChunks, pixels } from './png-bytes.js'

const source = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) }
const image = createImage(source)

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sdxl-read-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('readImage', () => {
  it('takes an Image, raw pixels, a file in memory, a path and a data: URI', async () => {
    const png = await image.png()
    const path = join(folder, 'a.png')
    await image.toFile(path)
    const inputs: ImageInput[] = [
      image,
      source,
      png,
      new Uint8Array(png),
      path,
      `data:image/png;base64,${png.toString('base64')}`,
      `data:;base64,${png.toString('base64').replace(/.{20}/g, '$&\n')}`,
    ]
    for (const input of inputs) expect(await readImage(input)).toEqual(source)
  })

  it('drops alpha and repeats grey', async () => {
    for (const { png, rgb } of fixtures) {
      const found = await readImage(Buffer.from(png, 'base64'))
      expect(Object.keys(found)).toEqual(['width', 'height', 'data'])
      expect(Buffer.from(found.data).toString('base64')).toBe(rgb)
    }
  })

  const bad: [string, unknown, RegExp][] = [
    ['nothing', undefined, /an Image, .* for mask, received undefined/],
    ['null', null, /for mask, received null/],
    ['a file of more bytes than are read', new Uint8Array(2 ** 28 + 1), /a picture file of at most 268435456 bytes for mask/],
    ['a number', 5, /for mask, received 5 of type number/],
    ['an array', [1, 2, 3], /a positive integer for mask.width/],
    ['raw pixels that do not fit', { ...source, width: 3 }, /3 × 1 × 3 = 9 bytes \(RGB\) for mask.data, received a Uint8Array of 6 bytes/],
    ['an empty file', new Uint8Array(0), /a PNG, JPEG, WebP, GIF, TIFF or AVIF picture for mask, received a Uint8Array of 0 bytes/],
    ['another kind of file', Buffer.from('%PDF-1.7 and more'), /a PNG, JPEG, WebP, GIF, TIFF or AVIF picture for mask/],
    ['a broken PNG', Buffer.from(fixtures[0]!.png, 'base64').subarray(0, 50), /Cannot read mask as PNG/],
    ['a path to nowhere', '/nowhere/at/all.png', /Cannot read mask from \/nowhere\/at\/all.png: no such file$/],
    ['a folder', '.', /Cannot read mask from .: it is not a file/],
    ['a path with NUL', 'a\0b.png', /Cannot read mask from/],
    ['base64 without its prefix', 'iVBORw0KGgo'.repeat(20), /no such file\. If it is base64, put data:image\/png;base64, before it/],
    [
      'long base64 without its prefix',
      'iVBORw0KGgo'.repeat(2000),
      /Cannot read mask from iVBOR.{55}…: .* put data:image\/png;base64, before it/,
    ],
    ['a data: URI without base64', 'data:image/png,abc', /a data: URI with base64, .* for mask/],
    ['a data: URI without data', 'data:image/png;base64', /a data: URI with base64/],
    ['a data: URI with other characters', 'data:image/png;base64,a*b=', /a data: URI with base64/],
  ]
  it.each(bad)('rejects %s', async (_, input, message) => {
    const found = readImage(input as ImageInput, 'mask')
    await expect(found).rejects.toThrow(message)
    await expect(found).rejects.toMatchObject({ name: 'SdxlError', code: 'ERR_INVALID_ARGUMENT' })
  })

  it('rejects a pipe or device, which would be read for ever', async () => {
    await expect(readImage('/dev/null')).rejects.toThrow(/it is not a file|no such file/)
  })

  it('reads a file of the same path anew', async () => {
    const path = join(folder, 'changing.png')
    await image.toFile(path)
    await readImage(path)
    await writeFile(path, 'no picture')
    await expect(readImage(path)).rejects.toThrow(/a PNG, JPEG/)
  })

  // Whether sharp is there is up to whoever runs this; damaged files of other formats are rejected either way, for one of two reasons.
  it.each([
    ['a JPEG file', Buffer.from('ffd8ffe000104a464946', 'hex')],
    ['a WebP file', Buffer.from('RIFF\0\0\0\0WEBPVP8 ')],
    ['a GIF file', Buffer.from('GIF89a')],
    ['a TIFF file', Buffer.from('II*\0')],
    ['a AVIF file', Buffer.from('\0\0\0\x20ftypavif')],
    ['a PNG with 16 bits per sample', joinChunks([header({ bitDepth: 16 }), end])],
    ['a PNG with interlacing', joinChunks([header({ interlace: 1 }), pixels(9), end])],
  ])('leaves %s to sharp', async (what, bytes) => {
    const installed = await import('sharp' as string).then(
      () => true,
      () => false,
    )
    const error = await readImage(bytes, 'mask').catch((reason) => reason)
    if (installed) expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(/^Cannot read mask: /) })
    else
      expect(error).toMatchObject({
        code: 'ERR_NATIVE_LOAD',
        message: expect.stringMatching(`^Reading mask, ${what}, needs the optional package sharp.*npm install sharp$`),
      })
  })
})

// PNG by this library's own reader, the others by sharp; what is wanted is always sharp's.
describe.each(['png', 'webp', 'tiff'] as const)('a %s that lies on its side', (format) => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('is turned upright: orientation %i', async (orientation) => {
    const data = Uint8Array.from({ length: 18 }, (_, i) => 13 * i)
    const lying = sharp(data, { raw: { width: 3, height: 2, channels: 3 } }).withMetadata({ orientation })
    const options = { png: {}, webp: { lossless: true }, tiff: { compression: 'none' } } as const
    const file = await lying.toFormat(format, options[format]).toBuffer()
    const wanted = await sharp(file).autoOrient().raw().toBuffer({ resolveWithObject: true })
    const found = await readImage(file)
    expect([found.width, found.height]).toEqual(orientation >= 5 ? [2, 3] : [3, 2])
    expect([found.width, found.height, ...found.data]).toEqual([wanted.info.width, wanted.info.height, ...wanted.data])
    if (orientation > 1) expect([...found.data]).not.toEqual([...data])
  })
})

describe('decodeWithSharp', () => {
  it('asks for upright sRGB', async () => {
    const steps: string[] = []
    const pipeline: object = new Proxy(
      {},
      {
        get: (_, step: string) =>
          step === 'toBuffer'
            ? async () => ({ data: Buffer.from(source.data), info: { width: 2, height: 1, channels: 3 } })
            : (...args: string[]) => {
                steps.push([step, ...args].join(' '))
                return pipeline
              },
      },
    )
    const found = await decodeWithSharp((() => pipeline) as unknown as Sharp, new Uint8Array(1), 'mask')
    expect(found).toEqual({ ...source, data: Buffer.from(source.data) })
    expect(steps).toEqual(['rotate', 'toColourspace srgb', 'raw'])
  })
})
