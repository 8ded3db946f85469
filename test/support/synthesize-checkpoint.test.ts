import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parameterCounts } from '../../tools/synthesize-checkpoint.mjs'
import { tinyCheckpoint } from './checkpoints.mjs'

interface Entry {
  dtype: string
  shape: number[]
  data_offsets: [number, number]
}

/** A deliberately small reader of well-formed files, so that this test rests on nothing it might be testing. */
function open(path: string) {
  const bytes = readFileSync(path)
  const start = 8 + Number(bytes.readBigUInt64LE())
  const { __metadata__, ...tensors } = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, Entry>
  const data = (name: string) => {
    const entry = tensors[name]
    if (!entry) throw new Error(`no tensor "${name}"`)
    return bytes.subarray(start + entry.data_offsets[0], start + entry.data_offsets[1])
  }
  return { tensors, metadata: __metadata__ as unknown as Record<string, string>, data, end: bytes.length - start }
}

const floats = (bytes: Buffer) => new Float32Array(Uint8Array.from(bytes).buffer)

describe('the full-size spec', () => {
  it('has the parameter counts of SDXL base', () => {
    expect(parameterCounts('full')).toEqual({ unet: 2567463684, textEncoder: 123060480, textEncoder2: 694659840, vae: 83653863 })
  })
})

describe('a synthetic checkpoint', () => {
  const single = open(tinyCheckpoint('tiny-a'))
  const folder = tinyCheckpoint('tiny-a', { layout: 'diffusers' })

  it.each(['f32', 'f16', 'f8_e4m3'] as const)('in %s is a gapless safetensors file of aligned tensors', (dtype) => {
    const file = open(tinyCheckpoint('tiny-b', { dtype }))
    const bytes: Record<string, number> = { I64: 8, F32: 4, F16: 2, F8_E4M3: 1 }
    for (const tensor of Object.values(file.tensors)) expect(tensor.data_offsets[0] % (bytes[tensor.dtype] ?? Number.NaN)).toBe(0)
    const ranges = Object.values(file.tensors)
      .map((tensor) => tensor.data_offsets)
      .sort((a, b) => a[0] - b[0] || a[1] - b[1])
    expect(ranges[0]?.[0]).toBe(0)
    for (const [i, range] of ranges.entries()) expect(range[1]).toBe(ranges[i + 1]?.[0] ?? file.end)
  })

  it('holds the same values in both layouts', () => {
    const unet = open(join(folder, 'unet/diffusion_pytorch_model.safetensors'))
    const vae = open(join(folder, 'vae/diffusion_pytorch_model.safetensors'))
    expect(single.data('model.diffusion_model.out.2.weight').equals(unet.data('conv_out.weight'))).toBe(true)
    expect(
      single.data('first_stage_model.decoder.up.0.block.1.conv1.weight').equals(vae.data('decoder.up_blocks.3.resnets.1.conv1.weight')),
    ).toBe(true)
  })

  it('fuses the attention of the second encoder and transposes its projection', () => {
    const encoder = open(join(folder, 'text_encoder_2/model.safetensors'))
    const parts = ['q', 'k', 'v'].map((part) => encoder.data(`text_model.encoder.layers.2.self_attn.${part}_proj.weight`))
    const prefix = 'conditioner.embedders.1.model'
    expect(single.data(`${prefix}.transformer.resblocks.2.attn.in_proj_weight`).equals(Buffer.concat(parts))).toBe(true)
    const [inputs, outputs] = [128, 96]
    expect(single.tensors[`${prefix}.text_projection`]?.shape).toEqual([inputs, outputs])
    const file = floats(single.data(`${prefix}.text_projection`))
    const source = floats(encoder.data('text_projection.weight'))
    const transposed = file.map((_, i) => source[(i % outputs) * inputs + Math.floor(i / outputs)] ?? Number.NaN)
    expect(file).toEqual(transposed)
  })

  it('rounds to the nearest half', () => {
    const half = open(tinyCheckpoint('tiny-a', { dtype: 'f16' }))
    const name = 'model.diffusion_model.time_embed.0.weight'
    const exact = floats(single.data(name))
    const codes = new Uint16Array(Uint8Array.from(half.data(name)).buffer)
    for (const [i, code] of codes.entries()) {
      const exponent = (code >> 10) & 31
      const magnitude = exponent ? (1024 + (code & 1023)) * 2 ** (exponent - 25) : (code & 1023) * 2 ** -24
      const unit = 2 ** (Math.max(exponent, 1) - 25)
      // Half a unit in the last place is the bound of rounding to nearest; any other rounding breaks it somewhere in 4096 values.
      expect(Math.abs((code >> 15 ? -magnitude : magnitude) - (exact[i] ?? Number.NaN))).toBeLessThanOrEqual(unit / 2)
    }
  })

  it('depends on the seed', () => {
    const other = open(tinyCheckpoint('tiny-b', { seed: 1, dtype: 'f8_e4m3' }))
    const usual = open(tinyCheckpoint('tiny-b', { dtype: 'f8_e4m3' }))
    const name = 'model.diffusion_model.input_blocks.0.0.weight'
    expect(other.data(name).equals(usual.data(name))).toBe(false)
  })

  it('splits the UNet into shards with an index', () => {
    const sharded = tinyCheckpoint('tiny-a', { layout: 'diffusers', shards: 3 })
    const text = readFileSync(join(sharded, 'unet/diffusion_pytorch_model.safetensors.index.json'), 'utf8')
    const index = JSON.parse(text) as { metadata: { total_size: number }; weight_map: Record<string, string> }
    expect(new Set(Object.values(index.weight_map)).size).toBe(3)
    expect(index.metadata.total_size).toBe(4 * parameterCounts('tiny-a').unet)
    for (const file of new Set(Object.values(index.weight_map))) {
      const listed = Object.keys(index.weight_map).filter((name) => index.weight_map[name] === file)
      expect(Object.keys(open(join(sharded, 'unet', file)).tensors).sort()).toEqual(listed.sort())
    }
  })

  it('carries the marker of v-prediction only where it belongs', () => {
    const marked = open(tinyCheckpoint('tiny-v'))
    expect(marked.tensors.v_pred).toMatchObject({ dtype: 'F32', shape: [0] })
    expect(single.tensors).not.toHaveProperty('v_pred')
  })

  it('is written once', () => {
    const path = tinyCheckpoint('tiny-a')
    const before = statSync(path)
    expect(tinyCheckpoint('tiny-a')).toBe(path)
    expect(statSync(path)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs })
  })
})
