import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { convertModel } from '../../lib/index.js'
import { synthesizeCheckpoint } from '../../tools/synthesize-checkpoint.mjs'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { temporaryFolder } from '../support/files.js'
import { smallSpec, writeSmallModel } from '../support/small-model.js'
import { rewriteTensors, tensorBytes, tensorDifferences } from '../support/tensor-bytes.js'

const folder = temporaryFolder()
const dtypes = { F32: 'fp32', F16: 'fp16', BF16: 'bf16' } as const

describe('a whole model', () => {
  // The synthetic files are rounded by another implementation, from the same values in fp32.
  test.each([
    ['fp16', 'f16'],
    ['bf16', 'bf16'],
  ] as const)('in %s is what rounding its values in fp32 gives', async (dtype, written) => {
    const target = join(folder, `${dtype}.safetensors`)
    await convertModel(tinyCheckpoint('tiny-b', { dtype: 'f32' }), target, { dtype })
    const wanted = tensorBytes(tinyCheckpoint('tiny-b', { dtype: written })).tensors
    for (const name of Object.keys(wanted)) if (/logit_scale$|position_ids$/.test(name)) delete wanted[name]
    expect(tensorDifferences(tensorBytes(target).tensors, wanted)).toEqual([])
  })

  test('there and back from fp8 is the same', async () => {
    const source = writeSmallModel(folder, 'small-fp8.safetensors', { dtype: 'f8_e4m3' })
    await convertModel(source, join(folder, 'half.safetensors'), { dtype: 'fp16' })
    await convertModel(source, join(folder, 'single.safetensors'), { dtype: 'fp32' })
    await convertModel(join(folder, 'half.safetensors'), join(folder, 'from-half.safetensors'), { dtype: 'fp32' })
    const [a, b] = ['single', 'from-half'].map((name) => tensorBytes(join(folder, `${name}.safetensors`)).tensors)
    expect(tensorDifferences(a!, b!)).toEqual([])
    // Without a format asked for, it stays.
    await convertModel(source, join(folder, 'kept'))
    const kept = tensorBytes(join(folder, 'kept/unet/diffusion_pytorch_model.safetensors')).tensors
    expect(new Set(Object.values(kept).map(({ dtype }) => dtype))).toEqual(new Set(['F8_E4M3']))
  })
})

describe('every kind of value', () => {
  const name = 'conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight'
  const count = 4200 * 64
  const base = join(folder, 'base.safetensors')
  synthesizeCheckpoint({ ...smallSpec, vocabulary: 4200 }, base, { dtype: 'f16' })
  const { sha256: golden } = JSON.parse(readFileSync(new URL('../golden/number-formats.json', import.meta.url), 'utf8'))

  const float = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0]!
  const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!
  const half = (code: number) => (code >> 10 ? (1024 + (code & 1023)) * 2 ** ((code >> 10) - 25) : code * 2 ** -24)

  /** As `codes` in tools/reference/number_formats.py. */
  function codes(source: string): number[] {
    const range = (n: number, of: (i: number) => number = (i) => i) => Array.from({ length: n }, (_, i) => of(i))
    if (source.startsWith('F8')) return range(256)
    if (source !== 'F32') return range(65536)
    const middles = range(0x7bfe, (i) => bitsOf((half(i) + half(i + 1)) / 2))
    const brains = range(0x7f80, (i) => i * 65536 + 32768)
    return [
      ...range(Math.ceil(2 ** 32 / 65521), (i) => i * 65521),
      ...[middles, brains].flatMap((bits) => [-1, 0, 1].flatMap((d) => bits.map((b) => b + d))),
    ]
  }

  /** Whether the code is a number, and one within the range of the target. */
  function fits(code: number, source: string, target: string): boolean {
    if (source === 'F8_E4M3') return (code & 0x7f) !== 0x7f
    if (source === 'F8_E5M2') return (code & 0x7c) !== 0x7c
    if (source === 'F16') return (code & 0x7c00) !== 0x7c00
    const bits = (source === 'BF16' ? code * 65536 : code) % 2 ** 31
    if (target === 'F16') return Math.abs(float(bits)) < 65520 // halfway between the largest and what would be the next
    return bits < (target === 'BF16' && source === 'F32' ? 0x7f7f8000 : 0x7f800000)
  }

  test.each(Object.keys(golden))('%s is rounded as torch does', async (what) => {
    const [source, target] = what.split(' to ') as [string, keyof typeof dtypes]
    const list = codes(source).map((code) => (fits(code, source, target) ? code : 0))
    const width = source === 'F32' ? 4 : source.startsWith('F8') ? 1 : 2
    const bytes = Buffer.alloc(count * width)
    for (const [i, code] of list.entries()) bytes.writeUIntLE(code, i * width, width)
    const { tensors } = tensorBytes(base)
    tensors[name] = { dtype: source, shape: [4200, 64], bytes }
    const from = join(folder, 'codes.safetensors')
    const to = join(folder, 'rounded.safetensors')
    rewriteTensors(from, tensors)
    await convertModel(from, to, { dtype: dtypes[target], overwrite: true })
    const found = tensorBytes(to).tensors[name]!
    expect(found).toMatchObject({ dtype: target, shape: [4200, 64] })
    expect(createHash('sha256').update(found.bytes).digest('hex')).toBe(golden[what])
  })
})

describe('values that cannot be converted', () => {
  const name = 'model.diffusion_model.out.2.bias'
  const source = writeSmallModel(folder, 'values.safetensors', { dtype: 'f32' })

  const withValue = (value: number) => {
    const { tensors } = tensorBytes(source)
    tensors[name]!.bytes.writeFloatLE(value, 8)
    rewriteTensors(source, tensors)
    return source
  }

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%s is named, and nothing is written', async (value) => {
    for (const [target, dtype] of [
      ['x', 'fp16'],
      ['x.safetensors', undefined],
    ] as const) {
      const error = await convertModel(withValue(value), join(folder, target), { dtype }).catch((e) => e)
      expect(error).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { path: source, tensor: name } })
    }
    expect(readdirSync(folder).filter((file) => file.startsWith('x') || file.startsWith('.'))).toEqual([])
  })

  test('what is beyond fp16 is an error that names a format with room', async () => {
    const error = await convertModel(withValue(-70000), join(folder, 'x'), { dtype: 'fp16' }).catch((e) => e)
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { field: 'dtype', tensor: name, path: source } })
    expect(error.message).toMatch(/-70000.*fp16.*bf16/)
    await convertModel(source, join(folder, 'x.safetensors'), { dtype: 'bf16' })
    expect(tensorBytes(join(folder, 'x.safetensors')).tensors[name]!.bytes.readUInt16LE(4)).toBe(0xc789)
  })
})
