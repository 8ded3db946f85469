import { createHash } from 'node:crypto'
import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { convertModel, verifyModel } from '../../lib/index.js'
import { temporaryFolder, writeSafetensors } from '../support/files.js'
import { writeSmallModel } from '../support/small-model.js'
import { filesBelow, rewriteTensors, tensorBytes } from '../support/tensor-bytes.js'

const folder = temporaryFolder()
const hash = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')
const single = writeSmallModel(folder, 'single.safetensors')
const singleHash = hash(readFileSync(single))

let places = 0
const place = () => join(folder, `place-${++places}`)

/** A folder that convertModel made. */
async function converted(): Promise<string> {
  const target = place()
  await convertModel(single, target)
  return target
}

describe('a sound model', () => {
  test('as a file has the SHA-256 that sha256sum gives', async () => {
    expect(await verifyModel(single)).toEqual({ ok: true, sha256: singleHash, problems: [] })
    for (const sha256 of [singleHash, singleHash.toUpperCase()]) expect((await verifyModel(single, { sha256 })).ok).toBe(true)
  })

  test('as a folder has the SHA-256 of the list of its files', async () => {
    const path = writeSmallModel(folder, 'folder', { layout: 'diffusers', shards: 2 })
    mkdirSync(join(path, '.cache'))
    writeFileSync(join(path, '.cache/download'), 'not of the model')
    const files = filesBelow(path).filter((name) => !name.startsWith('.'))
    const list = files.map((name) => `${hash(readFileSync(join(path, name)))}  ${name}\n`).join('')
    expect(await verifyModel(path)).toEqual({ ok: true, sha256: hash(list), problems: [] })
  })

  test('is one with tensors of every format, unaligned, empty and scalar', async () => {
    const tensors = Object.fromEntries(
      ['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'U8', 'BOOL', 'F8_E4M3', 'F8_E5M2'].flatMap((dtype, i) => {
        const bytes = /64/.test(dtype) ? 8 : /32/.test(dtype) ? 4 : /16/.test(dtype) ? 2 : 1
        return [
          [`${i} of ${dtype}`, { dtype, shape: [3], bytes: Buffer.alloc(3 * bytes, 0x41) }],
          [`${i} scalar`, { dtype, shape: [], bytes: Buffer.alloc(bytes) }],
          [`${i} none`, { dtype, shape: [0], bytes: Buffer.alloc(0) }],
          [`${i} odd`, { dtype: 'U8', shape: [1], bytes: Buffer.alloc(1) }],
        ]
      }),
    )
    const path = join(folder, 'formats.safetensors')
    rewriteTensors(path, tensors)
    expect(await verifyModel(path)).toEqual({ ok: true, sha256: hash(readFileSync(path)), problems: [] })
  })

  test('reports its bytes', async () => {
    const events: { phase: string; loaded: number; total: number }[] = []
    await verifyModel(single, { onProgress: (event) => events.push(event) })
    const bytes = readFileSync(single).length
    expect(events.at(-1)).toEqual({ phase: 'ready', loaded: bytes, total: bytes })
    for (const [i, { loaded, total }] of events.entries()) {
      expect(total).toBe(bytes)
      expect(loaded).toBeGreaterThanOrEqual(events[i - 1]?.loaded ?? 0)
    }
  })
})

describe('numbers that are none', () => {
  // Codes in the order of their bytes: NaN, then an infinity where the format has one.
  test.each([
    ['F64', 8, 0x7ff8000000000000n, 0xfff0000000000000n],
    ['F32', 4, 0xffc00001n, 0x7f800000n],
    ['F16', 2, 0x7e00n, 0xfc00n],
    ['BF16', 2, 0xffc0n, 0x7f80n],
    ['F8_E5M2', 1, 0x7fn, 0xfcn],
    ['F8_E4M3', 1, 0xffn, undefined],
  ] as const)('are found in %s, with tensor, counts and place', async (dtype, width, nan, infinite) => {
    const count = 3_000_001 // more than is read at a time
    const bytes = Buffer.alloc(count * width)
    const put = (at: number, code: bigint) => {
      for (let i = 0; i < width; i++) bytes[at * width + i] = Number((code >> BigInt(8 * i)) & 255n)
    }
    put(count - 1, nan)
    put(2_999_000, nan)
    if (infinite !== undefined) put(2_500_000, infinite)
    const path = join(folder, `${dtype}.safetensors`)
    const sound = { dtype: 'U8', shape: [5], bytes: Buffer.alloc(5, 255) }
    rewriteTensors(path, { before: sound, broken: { dtype, shape: [count], bytes }, after: sound })
    const { ok, problems } = await verifyModel(path)
    expect(ok).toBe(false)
    const [infinites, first] = infinite === undefined ? [0, 2_999_000] : [1, 2_500_000]
    expect(problems).toEqual([`${path}: tensor broken holds 2 NaN and ${infinites} infinite values, the first at ${first}`])
  })

  test('are all listed', async () => {
    const path = join(folder, 'many.safetensors')
    const { tensors } = tensorBytes(single)
    const broken = Object.keys(tensors).filter((name) => tensors[name]!.dtype === 'F16')
    for (const name of broken) tensors[name]!.bytes.writeUInt16LE(0x7c00, 0)
    rewriteTensors(path, tensors)
    expect((await verifyModel(path)).problems.length).toBe(broken.length)
  })
})

describe('a damaged model', () => {
  test('is one of another SHA-256', async () => {
    const sha256 = singleHash.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
    const result = await verifyModel(single, { sha256 })
    expect(result).toMatchObject({ ok: false, sha256: singleHash })
    expect(result.problems.join()).toMatch(new RegExp(`${single}.*${singleHash}.*${sha256}`))
  })

  test.each<[what: string, damage: (path: string) => void, problem: RegExp]>([
    ['a byte that changed', (path) => change(join(path, 'vae/config.json')), /vae\/config\.json.*SHA256SUMS/],
    ['a weight that changed', (path) => change(join(path, 'unet/diffusion_pytorch_model.safetensors')), /unet\/.*SHA256SUMS/],
    ['a file that is gone', (path) => rmSync(join(path, 'tokenizer/vocab.json')), /tokenizer\/vocab\.json.*missing/],
    ['a file cut short', (path) => cut(join(path, 'vae/diffusion_pytorch_model.safetensors')), /vae\/.*cut short/],
  ])('is a folder with %s', async (_, damage, problem) => {
    const path = await converted()
    const { sha256 } = await verifyModel(path)
    damage(path)
    const found = await verifyModel(path, { sha256 })
    expect(found.ok).toBe(false)
    expect(found.problems[0]).toMatch(problem)
    expect(found.problems.at(-1)).toContain(sha256)
  })

  test('is not one with files of somebody else beside it', async () => {
    const path = await converted()
    writeFileSync(join(path, 'notes.txt'), 'mine')
    expect((await verifyModel(path)).ok).toBe(true)
  })

  test('is a folder whose index names a shard that is not there', async () => {
    const path = writeSmallModel(folder, 'shards', { layout: 'diffusers', shards: 2 })
    rmSync(
      join(
        path,
        'unet',
        filesBelow(join(path, 'unet')).find((name) => name.includes('-of-'))!,
      ),
    )
    expect((await verifyModel(path)).problems.join()).toMatch(/shard .* is missing/)
  })

  test.each<[what: string, write: (path: string) => void, problem: RegExp]>([
    ['empty', (path) => writeFileSync(path, ''), /empty/],
    ['a pickle', (path) => writeFileSync(path, Buffer.from('\x80\x02}q\x00X\x05\x00\x00\x00', 'latin1')), /convert.*safetensors/],
    ['text', (path) => writeFileSync(path, 'hello, I am no model at all'), /header/],
    [
      'two tensors in one place',
      (path) => {
        const entry = { dtype: 'F16', shape: [1], data_offsets: [0, 2] }
        writeSafetensors(path, { a: entry, b: entry }, Buffer.alloc(2))
      },
      /"b" overlaps "a"|"a" overlaps "b"/,
    ],
    [
      'a tensor beyond the end',
      (path) => writeSafetensors(path, { a: { dtype: 'F16', shape: [9], data_offsets: [0, 18] } }, Buffer.alloc(2)),
      /cut short/,
    ],
    [
      'a tensor of an unknown format',
      (path) => writeSafetensors(path, { a: { dtype: 'F17', shape: [1], data_offsets: [0, 2] } }, Buffer.alloc(2)),
      /unknown dtype "F17"/,
    ],
  ])('is a file that is %s', async (what, write, problem) => {
    const path = join(folder, `${what}.safetensors`)
    write(path)
    const found = await verifyModel(path)
    expect(found).toMatchObject({ ok: false, sha256: hash(readFileSync(path)) })
    expect(found.problems[0]).toMatch(problem)
    expect(found.problems[0]).toContain(path)
  })

  function change(path: string): void {
    const bytes = readFileSync(path)
    bytes[bytes.length - 3]! ^= 1
    writeFileSync(path, bytes)
  }
  const cut = (path: string) => writeFileSync(path, readFileSync(path).subarray(0, -1000))
})

describe('what cannot be verified', () => {
  test.each<[what: string, call: () => Promise<unknown>, code: string]>([
    ['an absent file', () => verifyModel(join(folder, 'nothing')), 'ERR_MODEL_NOT_FOUND'],
    ['a device', () => verifyModel('/dev/null'), 'ERR_MODEL_NOT_FOUND'],
    ['no path', () => verifyModel(undefined as never), 'ERR_INVALID_ARGUMENT'],
    ['a sum that is none', () => verifyModel(single, { sha256: 'abc' }), 'ERR_INVALID_ARGUMENT'],
    ['an empty sum', () => verifyModel(single, { sha256: '' }), 'ERR_INVALID_ARGUMENT'],
    ['an unknown option', () => verifyModel(single, { md5: '' } as never), 'ERR_INVALID_ARGUMENT'],
  ])('%s', async (_, call, code) => {
    await expect(call()).rejects.toMatchObject({ name: 'SdxlError', code })
  })

  test.skipIf(process.getuid?.() === 0)('a file that may not be read', async () => {
    const path = join(folder, 'closed.safetensors')
    writeFileSync(path, 'x')
    chmodSync(path, 0)
    await expect(verifyModel(path)).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_FOUND' })
  })

  test('a call that is aborted rejects with the reason', async () => {
    const reason = new Error('enough')
    await expect(verifyModel(single, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const large = join(folder, 'large.safetensors')
    writeSafetensors(large, { a: { dtype: 'U8', shape: [64e6], data_offsets: [0, 64e6] } }, Buffer.alloc(64e6))
    const controller = new AbortController()
    await expect(verifyModel(large, { signal: controller.signal, onProgress: () => controller.abort(reason) })).rejects.toBe(reason)
    appendFileSync(large, 'x')
    expect((await verifyModel(large)).ok).toBe(false)
  })
})
