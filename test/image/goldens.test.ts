import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { fillMasked, gaussianBlur, type Raster, readAlphaImage, resize } from '../../lib/image/index.js'

interface Encoded {
  width: number
  height: number
  channels: number
  data: string
}
interface Golden {
  resize: { filter: 'nearest' | 'bilinear' | 'bicubic' | 'lanczos'; width: number; height: number; source: Encoded; data: string }[]
  blur: { sigma: number; source: Encoded; data: string }[]
  fill: { image: Encoded; mask: Encoded; data: string }[]
  files: (Encoded & { name: string; file: string; alpha: string | null })[]
}
// Written by tools/reference/image_goldens.py.
const golden = JSON.parse(readFileSync(new URL('../golden/image.json', import.meta.url), 'utf8')) as Golden

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
const raster = ({ width, height, channels, data }: Encoded): Raster => ({ width, height, channels, data: bytes(data) })
const largestDifference = (a: Uint8Array, b: Uint8Array) => {
  expect(a).toHaveLength(b.length)
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)
}

describe('resize', () => {
  it.each(golden.resize.map((entry) => ({ name: `${entry.filter} to ${entry.width} × ${entry.height}`, entry })))(
    '$name is what Pillow gives, to the byte',
    async ({ entry: { filter, width, height, source, data } }) => {
      expect(await resize(raster(source), width, height, filter)).toEqual({ width, height, channels: source.channels, data: bytes(data) })
    },
  )
})

describe('gaussianBlur', () => {
  it.each(golden.blur)('with σ = $sigma is what OpenCV gives', async ({ sigma, source, data }) => {
    const { data: found } = await gaussianBlur(raster(source), sigma)
    // OpenCV rounds the weights of bytes to 8 bits: one level after each of two passes.
    expect(largestDifference(found, bytes(data))).toBeLessThanOrEqual(2)
  })

  it('of 0 leaves the mask as it is', async () => {
    const mask = raster(golden.blur[0]!.source)
    expect(await gaussianBlur(mask, 0)).toEqual(mask)
  })
})

describe('fillMasked', () => {
  it.each(golden.fill)('gives what A1111 fills with', async ({ image, mask, data }) => {
    const { data: found } = await fillMasked(raster(image), raster(mask))
    const wanted = bytes(data)
    // Pillow rounds to bytes after every pass of every blur and composition, and divides by small alphas in between.
    expect(largestDifference(found, wanted)).toBeLessThanOrEqual(8)
    expect(found.reduce((sum, value, i) => sum + Math.abs(value - wanted[i]!), 0) / found.length).toBeLessThan(0.8)
  })
})

describe('picture files', () => {
  it.each(golden.files)('$name', async ({ file, width, height, data, alpha, name }) => {
    const found = await readAlphaImage(bytes(file))
    expect([found.width, found.height]).toEqual([width, height])
    // Decoders of JPEG may differ by a rounding of the inverse cosine transform and of the colour conversion.
    expect(largestDifference(found.data, bytes(data))).toBeLessThanOrEqual(name.includes('JPEG') ? 2 : 0)
    expect(found.alpha && [...found.alpha]).toEqual(alpha === null ? undefined : [...bytes(alpha)])
  })
})
