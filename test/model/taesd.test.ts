import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import type { NativeEngine, NativeLoad } from '../../bindings/addon.js'
import { inspectModel } from '../../lib/index.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { temporaryFolder } from '../support/files.js'
import { relativeError } from '../support/measures.js'
import { eulerRequest, loadedEngine } from '../support/native-request.js'
import { readSafetensors } from '../support/safetensors.js'
import { rewriteTensors, type TensorBytes, tensorBytes } from '../support/tensor-bytes.js'

// Against Diffusers' AutoencoderTiny (tools/reference/taesd_goldens.py), in fp32 both, each summing in its own order.
const tolerance = 2e-5

const at = (name: string) => fileURLToPath(new URL(`../golden/taesd/${name}`, import.meta.url))
const golden = readSafetensors(at('values.safetensors'))
const floats = (key: string) => golden[key]!.data as Float32Array
const { tensors: whole } = tensorBytes(at('tiny.safetensors'))
const folder = temporaryFolder()
const model = tinyCheckpoint('tiny-a')

const open: NativeEngine[] = []
afterAll(() => Promise.all(open.map((engine) => engine.close())))
async function load(options: Partial<NativeLoad>, path = model): Promise<NativeEngine> {
  const engine = await loadedEngine(path, options)
  open.push(engine)
  return engine
}

let files = 0
function write(tensors: Record<string, TensorBytes>): string {
  const path = join(folder, `file-${++files}.safetensors`)
  rewriteTensors(path, tensors)
  return path
}
/** The same tensors by other names; those without one are left out. */
function renamed(name: (side: 'decoder' | 'encoder', index: number, rest: string) => string | undefined): Record<string, TensorBytes> {
  return Object.fromEntries(
    Object.entries(whole).flatMap(([old, tensor]) => {
      const [, side, index, rest] = /^(decoder|encoder)\.layers\.(\d+)\.(.*)$/.exec(old)!
      const is = name(side as 'decoder' | 'encoder', Number(index), rest!)
      return is === undefined ? [] : [[is, tensor]]
    }),
  )
}
/** Numbers of the original sequences: the decoder's begins with a layer without tensors. */
const original = (side: string, index: number) => (side === 'decoder' ? index + 1 : index)

const decoder = () => write(renamed((side, index, rest) => (side === 'decoder' ? `${original(side, index)}.${rest}` : undefined)))
const encoder = () => write(renamed((side, index, rest) => (side === 'encoder' ? `${original(side, index)}.${rest}` : undefined)))

async function decode(engine: NativeEngine): Promise<Float32Array[]> {
  const pixels: Float32Array[] = []
  const { shape, data } = golden['decode.plain.latents'] as { shape: number[]; data: Float32Array }
  const [count, , height, width] = shape as [number, number, number, number]
  await engine.decode({ latents: data, count, height, width, pixels: true, tile: 0 }, undefined, (event) => pixels.push(event.pixels!))
  return pixels
}

function checkDecoded(pixels: Float32Array[]) {
  const wanted = floats('decode.plain.pixels')
  const each = wanted.length / pixels.length
  pixels.forEach((picture, i) => expect(relativeError(picture, wanted.subarray(i * each, (i + 1) * each))).toBeLessThan(tolerance))
}

const picture = () => ({ width: 56, height: 40, data: golden['encode.plain.rgb']!.data as Uint8Array })

function diffusersFolder(name: string): string {
  const path = join(folder, name)
  mkdirSync(path, { recursive: true })
  cpSync(at('tiny.safetensors'), join(path, 'diffusion_pytorch_model.safetensors'))
  writeFileSync(join(path, 'config.json'), JSON.stringify({ _class_name: 'AutoencoderTiny', scaling_factor: 1 }))
  return path
}

describe('in place of the VAE', () => {
  test.each<[form: string, path: () => string]>([
    ["a file with Diffusers' names", () => at('tiny.safetensors')],
    ['a Diffusers folder', () => diffusersFolder('taesd')],
    ['a file with both halves under taesd_', () => write(renamed((side, i, rest) => `taesd_${side}.${original(side, i)}.${rest}`))],
    ["a file with the original's two sequences", () => write(renamed((side, i, rest) => `${side}.${original(side, i)}.${rest}`))],
    [
      'a file with scalars of the latents',
      () =>
        write({
          ...whole,
          vae_scale: { dtype: 'F32', shape: [], bytes: Buffer.alloc(4) },
          vae_shift: { dtype: 'F32', shape: [], bytes: Buffer.alloc(4) },
        }),
    ],
  ])('%s', async (_, path) => {
    const engine = await load({ vae: path() })
    checkDecoded(await decode(engine))
    expect(relativeError(await engine.encodeImage(picture()), floats('encode.plain.latents'))).toBeLessThan(tolerance)
  })

  test('a decoder alone decodes, and says that it cannot encode', async () => {
    const engine = await load({ vae: decoder() })
    checkDecoded(await decode(engine))
    await expect(engine.encodeImage(picture())).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining('no encoder'),
    })
  })

  test('an encoder alone is refused', async () => {
    await expect(load({ vae: encoder() })).rejects.toMatchObject({
      code: 'ERR_MODEL_FORMAT',
      message: expect.stringContaining('the decoder is what'),
    })
  })
})

describe('beside the VAE', () => {
  test.each<[form: string, path: () => string]>([
    ['a whole one', () => at('tiny.safetensors')],
    ['a Diffusers folder', () => diffusersFolder('beside')],
    ['a decoder with bare numbers', decoder],
  ])('%s makes the previews and nothing else', async (_, path) => {
    const taesd = await load({ taesd: path() })
    const plain = await load({ vae: path() })
    const previews: Uint8Array[] = []
    const request = eulerRequest(1, { height: 5, width: 7, seeds: Float64Array.of(1), output: 'images' })
    let image: Uint8Array | undefined
    await taesd.generate({ ...request, preview: { every: 1, method: 'taesd' } }, undefined, (event) => {
      if (event.type === 'preview') previews.push(event.rgb)
      if (event.type === 'image') image = event.rgb
    })
    // A plan of one step ends in the denoised estimate, which is what the other model decodes by its TAESD.
    await plain.generate(request, undefined, (event) => {
      if (event.type === 'image') expect(previews).toEqual([event.rgb])
    })
    expect(image).not.toEqual(previews[0])
  })

  test.each<[what: string, path: () => string, code: string, says: string[]]>([
    [
      'a layer is missing',
      () => write(Object.fromEntries(Object.entries(whole).filter(([name]) => name !== 'decoder.layers.3.conv.2.weight'))),
      'ERR_MODEL_FORMAT',
      ['decoder.layers.3.conv.2.weight is missing'],
    ],
    ['the decoder is missing', encoder, 'ERR_MODEL_FORMAT', ['an encoder only']],
    [
      'it is a VAE',
      () => write({ 'first_stage_model.decoder.conv_in.weight': whole['decoder.layers.0.weight']! }),
      'ERR_MODEL_FORMAT',
      ['looked for a TAESD'],
    ],
    ['it is a whole model', () => model, 'ERR_MODEL_FORMAT', ['looked for a TAESD', 'its tensors have names like']],
    ['it is of other latents', () => write(sixteenChannels()), 'ERR_MODEL_UNSUPPORTED', ['16 latent channels', "the model's VAE 4"]],
    ['it is not there', () => join(folder, 'nowhere.safetensors'), 'ERR_MODEL_NOT_FOUND', ['nowhere.safetensors']],
    ['it is a pickle', () => pickle(), 'ERR_MODEL_FORMAT', ['convert it to safetensors']],
  ])('an error where %s', async (_, path, code, says) => {
    const given = path()
    const error = await load({ taesd: given }).then(
      () => undefined,
      (e: Error) => e,
    )
    expect(error).toMatchObject({ code })
    for (const part of [given, ...says]) expect(error!.message).toContain(part)
  })

  test('scale and channels are compared with the VAE', async () => {
    // tiny-b has 4 pixels to a latent.
    await expect(load({ taesd: at('tiny.safetensors') }, tinyCheckpoint('tiny-b'))).rejects.toMatchObject({
      code: 'ERR_MODEL_UNSUPPORTED',
      message: expect.stringContaining('8 pixels per latent'),
    })
  })
})

/** The TAESD of other models: the first layer of the decoder and the last one of the encoder read and give 16 channels. */
function sixteenChannels(): Record<string, TensorBytes> {
  const wider = (name: string, shape: number[]) => {
    const elements = shape.reduce((a, b) => a * b)
    return { [name]: { dtype: 'F16', shape, bytes: Buffer.alloc(2 * elements) } }
  }
  const last = Math.max(...Object.keys(whole).flatMap((name) => (name.startsWith('encoder.layers.') ? [Number(name.split('.')[2])] : [])))
  return {
    ...whole,
    ...wider('decoder.layers.0.weight', [16, 16, 3, 3]),
    ...wider(`encoder.layers.${last}.weight`, [16, 16, 3, 3]),
    ...wider(`encoder.layers.${last}.bias`, [16]),
  }
}

function pickle(): string {
  const path = join(folder, 'taesdxl_decoder.pth')
  writeFileSync(path, Buffer.from('PK\x03\x04 and so on, long enough to be looked at', 'latin1'))
  return path
}

test('inspection takes it for a VAE', async () => {
  expect(await inspectModel(at('tiny.safetensors'))).toMatchObject({ format: 'vae', parts: ['vae'], problems: [] })
  expect(await inspectModel(decoder())).toMatchObject({ format: 'vae', parts: ['vae'], problems: [] })
})
