import { inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { readPng } from '../../lib/image/index.js'
import { Pacer } from '../../lib/image/pacer.js'
import { writePng } from '../../lib/image/png-write.js'
import { crc, signature, split } from './png-bytes.js'

/** The filter of every row. */
const filters = (png: Buffer, width: number) => {
  const rows = inflateSync(split(png).find(({ type }) => type === 'IDAT')!.data)
  return Array.from({ length: rows.length / (1 + 3 * width) }, (_, y) => rows[y * (1 + 3 * width)])
}

describe('writePng', () => {
  it('writes the bytes the format asks for', async () => {
    const png = await writePng(2, 1, Uint8Array.of(10, 20, 30, 11, 19, 30), { parameters: 'größe' })
    expect(png.subarray(0, 8)).toEqual(signature)
    const chunks = split(png)
    expect(chunks.map(({ type }) => type)).toEqual(['IHDR', 'tEXt', 'IDAT', 'IEND'])
    expect(chunks[0]!.data.toString('hex')).toBe('00000002' + '00000001' + '08' + '02' + '000000')
    expect(chunks[1]!.data.toString('latin1')).toBe('parameters\0größe')
    // Sub: the first pixel as it is, then the differences 1, −1, 0.
    expect([...inflateSync(chunks[2]!.data)]).toEqual([1, 10, 20, 30, 1, 255, 0])
    for (const { type, data, crc: found } of chunks) expect(found).toBe(crc(Buffer.concat([Buffer.from(type), data])))
    expect(png.subarray(-12).toString('hex')).toBe('0000000049454e44ae426082')
  })

  it('writes text beyond Latin-1 as iTXt', async () => {
    const text = split(await writePng(1, 1, new Uint8Array(3), { parameters: '狐 🦊' }))[1]!
    expect(text.type).toBe('iTXt')
    expect(text.data).toEqual(Buffer.from('parameters\0\0\0\0\0狐 🦊'))
    const typeFor = async (parameters: string) => split(await writePng(1, 1, new Uint8Array(3), { parameters }))[1]!.type
    expect(await typeFor('\xff')).toBe('tEXt')
    expect(await typeFor('\u0100')).toBe('iTXt')
  })

  it('is read back exactly', async () => {
    const picture = fc
      .record({
        width: fc.integer({ min: 1, max: 40 }),
        height: fc.integer({ min: 1, max: 40 }),
        noise: fc.integer({ min: 1, max: 256 }),
        seed: fc.nat(),
      })
      .map(({ width, height, noise, seed }) => {
        const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => i * 5 + ((Math.imul(i + seed, 2654435761) >>> 16) % noise))
        return { width, height, data }
      })
    const text = fc.string({ unit: 'binary', maxLength: 60 }).filter((value) => !value.includes('\0'))
    await fc.assert(
      fc.asyncProperty(picture, text, async ({ width, height, data }, parameters) => {
        const { data: found, ...rest } = await readPng(await writePng(width, height, data, { parameters }))
        expect(rest).toEqual({ width, height, text: { parameters } })
        expect(Buffer.compare(found, data)).toBe(0)
      }),
    )
  })

  it('chooses the filter of every row', async () => {
    const [width, height] = [16, 4]
    const chosen = async (value: (x: number, y: number) => number) => {
      const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => value(Math.floor(i / 3) % width, Math.floor(i / 3 / width)))
      return filters(await writePng(width, height, data), width)
    }
    expect(await chosen((_, y) => y * 90)).toEqual([1, 1, 1, 1]) // each row of one colour: Sub
    expect(await chosen((x) => x * 7)).toEqual([1, 2, 2, 2]) // every row like the first: Up
    expect((await chosen((x, y) => (x < 8 ? x * 37 : 90 + y * 50))).slice(1)).toEqual([4, 4, 4]) // the one beside the other: Paeth
  })

  it('lets the event loop run between blocks of rows and checksums', async () => {
    const rests = vi.spyOn(Pacer.prototype, 'rest')
    const data = new Uint8Array(1024 * 1024 * 3)
    for (let i = 0; i < data.length; ++i) data[i] = i >> 4
    await writePng(1024, 1024, data)
    // 9 million filtered bytes cost more than 5 ms on any machine, and a block is 1 ms.
    expect(rests.mock.calls.length).toBeGreaterThan(5)
    rests.mockRestore()
  })
})

describe('Pacer', () => {
  it('is due after a millisecond of work, and rests until everything that waits has run', async () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(100)
    const pacer = new Pacer()
    now.mockReturnValue(100.9)
    expect(pacer.due()).toBe(false)
    now.mockReturnValue(101)
    expect(pacer.due()).toBe(true)
    let ran = false
    setImmediate(() => {
      ran = true
    })
    await pacer.rest()
    expect(ran).toBe(true)
    expect(pacer.due()).toBe(false)
    now.mockRestore()
  })
})
