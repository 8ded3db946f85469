import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createImage, type ImageSource, readImage, readPng } from '../../lib/image/index.js'
import { encodeJpeg, encodeWebp, loadSharp, type Sharp } from '../../lib/image/sharp.js'
import { parseInfotext, readInfotext } from '../../lib/infotext/index.js'

const source = (): ImageSource => ({
  width: 3,
  height: 2,
  data: Uint8Array.from({ length: 18 }, (_, i) => i * 14),
  seed: 7,
  parameters: 'a fox\nSteps: 20',
})

const invalid = (message: RegExp) =>
  expect.objectContaining({ name: 'SdxlError', code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(message) })

describe('createImage', () => {
  it('holds what it is given', () => {
    const given = source()
    const image = createImage(given)
    expect(image).toMatchObject({ width: 3, height: 2, seed: 7, parameters: 'a fox\nSteps: 20' })
    expect(image.data).toBe(given.data)
  })

  const bad: [string, object, RegExp][] = [
    ['a width of 0', { width: 0 }, /a positive integer for image.width, received 0/],
    ['half a pixel', { height: 1.5 }, /a positive integer for image.height, received 1.5/],
    [
      'too little data',
      { data: new Uint8Array(17) },
      /a Uint8Array of 3 × 2 × 3 = 18 bytes \(RGB\) for image.data, received a Uint8Array of 17 bytes/,
    ],
    ['data of another type', { data: new Float32Array(18) }, /for image.data, received a Float32Array/],
    ['no data', { data: undefined }, /for image.data, received undefined/],
    ['a negative seed', { seed: -1 }, /for image.seed, received -1/],
    ['parameters that are no text', { parameters: {} }, /a string without NUL characters for image.parameters/],
    ['parameters with NUL', { parameters: 'a\0b' }, /a string without NUL characters/],
    ['an unknown field', { pixels: 1 }, /Unknown option image.pixels/],
  ]
  it.each(bad)('rejects %s', (_, change, message) => {
    expect(() => createImage({ ...source(), ...change })).toThrow(invalid(message))
  })
})

describe('encoding', () => {
  const image = createImage(source())

  it('to PNG keeps the pixels and the parameters', async () => {
    const png = await readPng(await image.png())
    expect(png).toEqual({ width: 3, height: 2, data: image.data, text: { parameters: 'a fox\nSteps: 20' } })
  })

  it('to PNG leaves the parameters out on request, or where there are none', async () => {
    expect((await readPng(await image.png({ metadata: false }))).text).toEqual({})
    expect((await readPng(await createImage({ ...source(), parameters: undefined }).png())).text).toEqual({})
  })

  it.each([
    ['jpeg', {}],
    ['webp', {}],
    ['webp', { lossless: true }],
  ] as const)('to %s %o keeps the parameters in EXIF', async (format, options) => {
    for (const parameters of ['a fox\nSteps: 20', 'ein Füchslein 狐🦊\nSteps: 20, Odd: 1', 'x']) {
      const file = await createImage({ ...source(), parameters })[format](options)
      expect((await readInfotext(file))?.request.prompt).toBe(parseInfotext(parameters).request.prompt)
      // sharp sees the same size, and EXIF data.
      const { default: sharp } = await import('sharp')
      const { width, height, exif, format: found } = await sharp(file).metadata()
      expect({ width, height, found }).toEqual({ width: 3, height: 2, found: format })
      expect(exif?.length).toBeGreaterThan(44)
    }
    const bare = await createImage(source())[format]({ ...options, metadata: false })
    expect(await readInfotext(bare)).toBeUndefined()
  })

  it('of lossless WebP with parameters keeps the pixels', async () => {
    const { width, height, data } = await readImage(await image.webp({ lossless: true }))
    expect({ width, height, data: [...data] }).toEqual({ width: 3, height: 2, data: [...image.data] })
  })

  it('to JPEG says when the parameters are too long for one', async () => {
    const long = createImage({ ...source(), parameters: 'a'.repeat(40_000) })
    await expect(long.jpeg()).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { field: 'metadata', characters: 40_000 } })
    expect(await readInfotext(await long.jpeg({ metadata: false }))).toBeUndefined()
    expect((await readInfotext(await long.webp()))?.request.prompt).toHaveLength(40_000)
  })

  it('to base64 is the file itself', async () => {
    expect(Buffer.from(await image.toBase64(), 'base64')).toEqual(await image.png())
    expect(await image.toBase64('png')).toBe(await image.toBase64())
  })

  it.each([
    [() => image.png({ meta: true } as object), /Unknown option meta; allowed are metadata/],
    [() => image.png({ metadata: 1 } as object), /a boolean for metadata/],
    [() => image.jpeg({ quality: 0 }), /an integer from 1 to 100 for quality, received 0/],
    [() => image.jpeg({ quality: 90.5 }), /for quality, received 90.5/],
    [() => image.jpeg({ lossless: true } as object), /Unknown option lossless/],
    [() => image.webp({ quality: 101 }), /for quality, received 101/],
    [() => image.webp({ lossless: 'yes' } as object), /a boolean for lossless/],
    [() => image.toBase64('gif' as 'png'), /one of "png", "jpeg", "webp" for format, received "gif"/],
  ] as const)('rejects bad options %#', async (call, message) => {
    await expect(call()).rejects.toThrow(invalid(message))
  })

  // Whether sharp is there is up to whoever runs this; either way there is one right answer.
  it.each([
    ['jpeg', 'ffd8ff'],
    ['webp', '52494646'],
  ] as const)('to %s is done by sharp, or says what to install', async (format, start) => {
    const installed = await import('sharp' as string).then(
      () => true,
      () => false,
    )
    const found = await image[format]().then(
      (bytes) => bytes.toString('hex', 0, start.length / 2),
      (error) => `${error.code} ${error.message}`,
    )
    expect(found).toMatch(
      installed ? start : /^ERR_NATIVE_LOAD (JPEG|WebP) output needs the optional package sharp.*Run: npm install sharp$/,
    )
  })

  it('hands sharp the raw pixels and the checked options', async () => {
    const calls: unknown[] = []
    const pipeline = (step: string) => (options: object) => {
      calls.push([step, options])
      return { toBuffer: async () => Buffer.from(step) }
    }
    const sharp = ((data: Uint8Array, options: object) => {
      calls.push([data, options])
      return { jpeg: pipeline('jpeg'), webp: pipeline('webp') }
    }) as unknown as Sharp
    const input = [image.data, { raw: { width: 3, height: 2, channels: 3 } }]
    expect(await encodeJpeg(sharp, image, 80)).toEqual(Buffer.from('jpeg'))
    expect(await encodeWebp(sharp, image, 70, true)).toEqual(Buffer.from('webp'))
    expect(calls).toEqual([input, ['jpeg', { quality: 80 }], input, ['webp', { quality: 70, lossless: true }]])
  })

  it('names the package that is missing and keeps the cause', async () => {
    const error = await loadSharp('Reading mask', 'sharp-that-is-not-installed').catch((reason) => reason)
    expect(error).toMatchObject({
      code: 'ERR_NATIVE_LOAD',
      message:
        'Reading mask needs the optional package sharp-that-is-not-installed, which cannot be loaded. Run: npm install sharp-that-is-not-installed',
      details: { package: 'sharp-that-is-not-installed' },
      cause: expect.any(Error),
    })
  })
})

describe('toFile', () => {
  const image = createImage(source())
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sdxl-image-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('writes the format of the extension, over what is there, and leaves nothing else behind', async () => {
    for (const name of ['a.png', 'b.PNG']) {
      await writeFile(join(folder, name), 'old')
      await image.toFile(join(folder, name))
      expect(await readFile(join(folder, name))).toEqual(await image.png())
    }
    expect((await readdir(folder)).sort()).toEqual(['a.png', 'b.PNG'])
  })

  it.each(['gif.gif', 'png', 'a.png.txt', '.png'])('rejects the name %s', async (name) => {
    await expect(image.toFile(join(folder, name))).rejects.toThrow(invalid(/a file name that ends in .png, .jpg, .jpeg, .webp for path/))
    expect(await readdir(folder)).toEqual([])
  })

  it('rejects a path that is no text', async () => {
    await expect(image.toFile('')).rejects.toThrow(invalid(/a non-empty string for path/))
    await expect(image.toFile(undefined as unknown as string)).rejects.toThrow(invalid(/a non-empty string for path/))
  })

  it('names a folder that is not there, and creates none', async () => {
    await expect(image.toFile(join(folder, 'new', 'a.png'))).rejects.toThrow(invalid(/the folder .*new does not exist; create it first/))
    expect(await readdir(folder)).toEqual([])
    await writeFile(join(folder, 'file'), '')
    await expect(image.toFile(join(folder, 'file', 'a.png'))).rejects.toThrow(invalid(/the folder .*file is a file/))
  })

  it('reports a target that cannot be replaced, and removes its temporary file', async () => {
    await mkdir(join(folder, 'a.png'))
    await expect(image.toFile(join(folder, 'a.png'))).rejects.toThrow(invalid(/Cannot write .*a.png/))
    expect(await readdir(folder)).toEqual(['a.png'])
  })
})
