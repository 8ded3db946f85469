import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createImage } from '../../lib/image/index.js'
import { parseInfotext, readInfotext, SdxlError } from '../../lib/index.js'
import { writeInfotext } from '../../lib/infotext/index.js'
import { header, join as png } from '../image/png-bytes.js'
import { temporaryFolder } from '../support/files.js'

const { pictures } = JSON.parse(readFileSync(new URL('../golden/infotext.json', import.meta.url), 'utf8')) as {
  pictures: { name: string; file: string; text: string | null }[]
}
const bytesOf = (name: string) => Buffer.from(pictures.find((picture) => picture.name === name)!.file, 'base64')
const folder = temporaryFolder()
const typed = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', details: expect.objectContaining({ field: 'image' }) })

describe('readInfotext', () => {
  it.each(pictures.map((picture) => [picture.name, picture] as const))('reads %s', async (_, { file, text }) => {
    const wanted = text === null ? undefined : parseInfotext(text)
    expect(await readInfotext(Buffer.from(file, 'base64'))).toEqual(wanted)
    if (wanted) expect(wanted.prompt).not.toBe('')
  })

  it('reads a path, a data: URI, bytes within a larger buffer, and an Image', async () => {
    const picture = pictures[0]!
    const bytes = Buffer.from(picture.file, 'base64')
    const wanted = parseInfotext(picture.text!)
    const path = join(folder, 'picture')
    writeFileSync(path, bytes)
    const larger = Buffer.concat([Buffer.alloc(13), bytesOf('JPEG'), Buffer.alloc(9)])
    expect(await readInfotext(path)).toEqual(wanted)
    expect(await readInfotext(`data:image/png;base64,${picture.file}`)).toEqual(wanted)
    expect(await readInfotext(larger.subarray(13, larger.length - 9))).toMatchObject({ prompt: '狐 \u{1f98a}' })
    const pixels = { width: 1, height: 1, data: new Uint8Array(3) }
    expect(await readInfotext(createImage({ ...pixels, parameters: picture.text! }))).toEqual(wanted)
    expect(await readInfotext(createImage(pixels))).toBeUndefined()
  })

  it('reads what an Image of this library writes', async () => {
    const parameters = writeInfotext({
      prompt: 'a "狐",\n(b:1.2)',
      negativePrompt: 'x',
      steps: 3,
      seed: 5,
      sampler: 'euler',
      scheduler: 'normal',
      guidance: 4,
      width: 8,
      height: 8,
    })
    const image = createImage({ width: 1, height: 1, data: new Uint8Array(3), parameters })
    expect((await readInfotext(await image.png()))!.request).toEqual({
      prompt: 'a "狐",\n(b:1.2)',
      negativePrompt: 'x',
      steps: 3,
      seed: 5,
      sampler: 'euler',
      scheduler: 'normal',
      guidance: 4,
      width: 8,
      height: 8,
    })
    expect(await readInfotext(await image.png({ metadata: false }))).toBeUndefined()
  })

  it('finds EXIF data behind fill bytes and other segments of a JPEG', async () => {
    const jpeg = bytesOf('JPEG')
    const other = Buffer.from('\xff\xe1\0\x06http\xff\xff\xff', 'latin1')
    const file = Buffer.concat([jpeg.subarray(0, 2), other, jpeg.subarray(2)])
    expect(await readInfotext(file)).toEqual(await readInfotext(jpeg))
  })

  it('finds EXIF data of a WebP with the mark of JPEG, behind a chunk of odd length', async () => {
    const webp = bytesOf('WebP')
    const at = webp.indexOf('EXIF')
    const exif = webp.subarray(at + 8, at + 8 + webp.readUInt32LE(at + 4))
    const length = Buffer.alloc(4)
    length.writeUInt32LE(exif.length + 6)
    const file = Buffer.concat([Buffer.from('RIFF\0\0\0\0WEBPabcd\x01\0\0\0x\0EXIF'), length, Buffer.from('Exif\0\0'), exif])
    expect(await readInfotext(file)).toEqual(await readInfotext(webp))
  })

  it('rejects a comment that is longer than its file', async () => {
    const jpeg = bytesOf('JPEG')
    const entry = jpeg.indexOf(Buffer.of(0x92, 0x86)) // the tag; type, count and offset follow
    jpeg.writeUInt32BE(jpeg.readUInt32BE(entry + 4) + 1000, entry + 4)
    await expect(readInfotext(jpeg)).rejects.toThrow(/its EXIF data are damaged, a value lies outside/)
  })

  const bad: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['raw pixels', { width: 1, height: 1, data: new Uint8Array(3) }],
    ['no bytes', new Uint8Array(0)],
    ['a GIF', Buffer.from('GIF89a')],
    ['a text', Buffer.from('Steps: 20, Sampler: x, Seed: 5')],
    ['a missing file', '/no/such/file.png'],
    ['a PNG that is cut off', png([header()])],
    ['a data: URI without base64', 'data:image/png,abc'],
  ]
  it.each(bad)('rejects %s', (_, image) => expect(readInfotext(image as never)).rejects.toThrow(typed))

  it.each(['PNG, zTXt', 'JPEG', 'WebP'])('takes a damaged %s as what is left of it, or rejects it', async (name) => {
    const bytes = bytesOf(name)
    let rejected = 0
    for (let at = 0; at < bytes.length; at++) {
      for (const damaged of [
        bytes.subarray(0, at),
        Buffer.from(bytes).fill(0xff, at, at + 1),
        Buffer.from(bytes).fill(0, at, Math.min(at + 4, bytes.length)),
      ]) {
        await readInfotext(damaged).catch((error) => {
          expect(error).toBeInstanceOf(SdxlError)
          expect(error).toEqual(typed)
          rejected++
        })
      }
    }
    expect(rejected).toBeGreaterThan(10)
  })
})
