import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { generate, loadModel, type LoadOptions, type SdxlError } from '../../lib/index.js'
import { synthesizeCheckpoint } from '../../tools/synthesize-checkpoint.mjs'
import { temporaryFolder } from '../support/files.js'
import { smallSpec } from '../support/small-model.js'
import { rewriteTensors, type TensorBytes, tensorBytes } from '../support/tensor-bytes.js'

// One model in every form that it may come in: each has to predict the same.
const folder = temporaryFolder()
// The whole vocabulary: these models read prompts.
const spec = { ...smallSpec, vocabulary: 49408 }
const single = join(folder, 'whole.safetensors')
const diffusers = join(folder, 'whole')
synthesizeCheckpoint(spec, single, { dtype: 'f16' })
synthesizeCheckpoint(spec, diffusers, { dtype: 'f16', layout: 'diffusers' })
const { tensors: whole } = tensorBytes(single)

let files = 0
function write(tensors: Record<string, TensorBytes>, name = `file-${++files}.safetensors`): string {
  const path = join(folder, name)
  rewriteTensors(path, tensors)
  return path
}
/** Those whose name begins so, without `strip` before it. */
function part(prefix: string, strip = ''): Record<string, TensorBytes> {
  const chosen = Object.entries(whole).filter(([name]) => name.startsWith(prefix))
  return Object.fromEntries(chosen.map(([name, tensor]) => [name.slice(strip.length), tensor]))
}
const without = (...prefixes: string[]) =>
  Object.fromEntries(Object.entries(whole).filter(([name]) => !prefixes.some((prefix) => name.startsWith(prefix))))

/** What the whole way from prompt to pixels gives. */
async function prediction(path: string, options: LoadOptions = {}): Promise<Float32Array> {
  const model = await loadModel(path, options)
  try {
    const conditioning = await model.encodePrompt('a lighthouse')
    const latents = { shape: [1, 4, 8, 8], data: Float32Array.from({ length: 256 }, (_, i) => Math.sin(i)) }
    const predicted = await model.predict({ latents, timestep: 500, conditioning })
    return (await model.decodeTensor(predicted)).data
  } finally {
    await model.close()
  }
}

const wanted = prediction(single)
const failure = (path: string, options: LoadOptions = {}) =>
  loadModel(path, options).then(
    () => undefined,
    (error: SdxlError) => error,
  )
afterAll(() => wanted)

const unetOnly = write(part('model.diffusion_model.'), 'unet.safetensors')
const first = 'conditioner.embedders.0.transformer.'
const second = 'conditioner.embedders.1.model.'
const vae = 'first_stage_model.'

describe('one model gives the same pictures', () => {
  const folderWith = (name: string, change: (path: string) => void) => {
    const path = join(folder, name)
    cpSync(diffusers, path, { recursive: true })
    change(path)
    return path
  }
  const parts = {
    vae: write(part(vae, vae)),
    textEncoder: write(part(first, first), 'clip_l.safetensors'),
    textEncoder2: write(part(second, second)),
  }

  test.each<[what: string, path: () => string, options?: LoadOptions]>([
    ['a folder', () => diffusers],
    [
      'a folder of fp16 variants',
      () =>
        folderWith('variants', (path) => {
          for (const file of ['unet/diffusion_pytorch_model', 'vae/diffusion_pytorch_model', 'text_encoder/model', 'text_encoder_2/model'])
            renameSync(join(path, `${file}.safetensors`), join(path, `${file}.fp16.safetensors`))
        }),
    ],
    [
      'a folder in shards',
      () => {
        const path = join(folder, 'shards')
        synthesizeCheckpoint(spec, path, { dtype: 'f16', layout: 'diffusers', shards: 3 })
        return path
      },
    ],
    [
      'a file with averaged weights and training state',
      () => {
        const one = { dtype: 'F32', shape: [1], bytes: Buffer.alloc(4) }
        const averaged = Object.fromEntries(
          Object.entries(part('model.diffusion_model.', 'model.')).map(([name, tensor]) => [
            `model_ema.${name.replaceAll('.', '')}`,
            tensor,
          ]),
        )
        return write({ ...whole, ...averaged, 'model_ema.decay': one, alphas_cumprod: one, 'first_stage_model.loss.logvar': one })
      },
    ],
    [
      'a file whose second text encoder has the names of transformers',
      () => {
        const { tensors } = tensorBytes(join(diffusers, 'text_encoder_2/model.safetensors'))
        const renamed = Object.fromEntries(
          Object.entries(tensors).map(([name, tensor]) => [`conditioner.embedders.1.transformer.${name}`, tensor]),
        )
        return write({ ...without(second), ...renamed })
      },
    ],
    ['a UNet with the other parts from files of their own', () => unetOnly, parts],
    ['a UNet without its prefix', () => write(part('model.diffusion_model.', 'model.diffusion_model.')), parts],
    ['a UNet with the other parts from a whole file', () => unetOnly, { vae: single, textEncoder: single, textEncoder2: single }],
    ['a UNet with the other parts from a folder', () => unetOnly, { vae: diffusers, textEncoder: diffusers, textEncoder2: diffusers }],
    [
      'a UNet with the other parts from folders of their own',
      () => unetOnly,
      { vae: join(diffusers, 'vae'), textEncoder: join(diffusers, 'text_encoder'), textEncoder2: join(diffusers, 'text_encoder_2') },
    ],
    [
      'a UNet with text encoders in the files of a folder',
      () => unetOnly,
      {
        vae: join(diffusers, 'vae/diffusion_pytorch_model.safetensors'),
        textEncoder: join(diffusers, 'text_encoder/model.safetensors'),
        textEncoder2: join(diffusers, 'text_encoder_2/model.safetensors'),
      },
    ],
    ['a file whose own text encoder is left for another', () => write({ ...whole, ...broken(first) }), { textEncoder: parts.textEncoder }],
  ])('%s', async (_, path, options) => {
    expect(await prediction(path(), options)).toEqual(await wanted)
  })

  /** The same names with a value no model can have. */
  function broken(prefix: string): Record<string, TensorBytes> {
    return Object.fromEntries(
      Object.entries(part(prefix)).map(([name, tensor]) => [name, { ...tensor, bytes: Buffer.alloc(tensor.bytes.length, 0xff) }]),
    )
  }

  test('a file in fp8, but for what rounding does', async () => {
    const path = join(folder, 'fp8.safetensors')
    synthesizeCheckpoint(spec, path, { dtype: 'f8_e4m3' })
    const [found, exact] = [await prediction(path), await wanted]
    let difference = 0
    let energy = 0
    for (const [i, value] of exact.entries()) {
      difference += (found[i]! - value) ** 2
      energy += value ** 2
    }
    // Three bits of mantissa: each weight is off by up to 6 %, and random errors of that size stay below half of the signal.
    expect(difference / energy).toBeGreaterThan(0)
    expect(difference / energy).toBeLessThan(0.25)
  })

  test('through generate(), which keeps models apart by their parts', async () => {
    const request = { prompt: 'a lighthouse', width: 16, height: 16, steps: 1, seed: 1 }
    const { images: a } = await generate({ ...request, model: single })
    const { images: b } = await generate({ ...request, model: unetOnly, ...parts })
    expect(b[0]!.data).toEqual(a[0]!.data)
    await expect(generate({ ...request, model: unetOnly })).rejects.toMatchObject({ code: 'ERR_MODEL_FORMAT' })
  })
})

describe('what is missing is named, with the option to give it by', () => {
  test.each([
    ['text encoders', write(without('conditioner.')), ['text_encoder', 'text_encoder_2'], /options textEncoder, textEncoder2$/],
    ['the first text encoder', write(without(first)), ['text_encoder'], /options textEncoder$/],
    ['a VAE', write(without(vae)), ['vae'], /options vae$/],
    ['a UNet', write(without('model.diffusion_model.')), ['unet'], /and vae$/],
    ['everything but the UNet', unetOnly, ['text_encoder', 'text_encoder_2', 'vae'], /options textEncoder, textEncoder2, vae$/],
  ])('%s', async (_, path, missing, hint) => {
    const error = await failure(path)
    expect(error).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { path, missing } })
    expect(error?.message).toMatch(hint)
  })

  test.each([
    ['textEncoder', join(folder, 'clip_g-only.safetensors'), /first text encoder/],
    ['textEncoder2', unetOnly, /second text encoder/],
    ['vae', unetOnly, /VAE/],
  ] as const)('a file that is no %s', async (option, path, hint) => {
    if (option === 'textEncoder') rewriteTensors(path, part(second))
    const error = await failure(single, { [option]: path })
    expect(error).toMatchObject({ code: 'ERR_MODEL_FORMAT' })
    expect(error?.message).toContain(path)
    expect(error?.message).toMatch(hint)
  })

  test('a text encoder of another width does not fit', async () => {
    const other = join(folder, 'other.safetensors')
    synthesizeCheckpoint({ ...spec, text_encoder: { width: 128, layers: 2, mlp: 128 } }, other, { dtype: 'f16' })
    const error = await failure(single, { textEncoder: other })
    expect(error).toMatchObject({ code: 'ERR_MODEL_FORMAT' })
    expect(String(error?.details.problems)).toMatch(/context.*192.*256|256.*192/)
  })

  test.each(['textEncoder', 'textEncoder2', 'vae'])('an empty path for %s', async (option) => {
    expect(await failure(single, { [option]: '' })).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { field: option } })
  })
})

describe('pickles are refused with the advice to convert them', () => {
  const pickle = Buffer.from('\x80\x02}q\x00X\x05\x00\x00\x00', 'latin1')
  test.each([
    ['model.ckpt', pickle],
    ['model.pt', Buffer.from('PK\x03\x04 and so on', 'latin1')],
    ['model.bin', Buffer.from('anything else')],
    ['model.safetensors', pickle],
  ])('%s', async (name, bytes) => {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    for (const error of [await failure(path), await failure(single, { vae: path }), await failure(single, { textEncoder: path })]) {
      expect(error).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { path } })
      expect(error?.message).toMatch(/convert it to safetensors/)
    }
    rmSync(path)
  })

  test('also in a folder', async () => {
    const path = join(folder, 'pickled')
    cpSync(diffusers, path, { recursive: true })
    rmSync(join(path, 'unet/diffusion_pytorch_model.safetensors'))
    writeFileSync(join(path, 'unet/diffusion_pytorch_model.bin'), pickle)
    const error = await failure(path)
    expect(error).toMatchObject({ code: 'ERR_MODEL_FORMAT' })
    expect(error?.message).toMatch(/diffusion_pytorch_model\.bin.*convert them to safetensors/)
    mkdirSync(join(path, 'again'))
  })
})
