import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inspectModel, tinyModel } from '../../lib/index.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { temporaryFolder } from '../support/files.js'
import { smallSpec } from '../support/small-model.js'
import { rewriteTensors, tensorBytes } from '../support/tensor-bytes.js'
import { synthesizeCheckpoint } from '../../tools/synthesize-checkpoint.mjs'

const folder = temporaryFolder()

let files = 0
/** A file of tensors of these shapes. Only headers are read, so one format and no values will do. */
function file(shapes: Record<string, number[]>, metadata: Record<string, string> = {}): string {
  const path = join(folder, `file-${++files}.safetensors`)
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const bytes = Buffer.alloc(shape.reduce((a, b) => a * b, 1))
    return [name, { dtype: 'F8_E4M3', shape, bytes }] as const
  })
  rewriteTensors(path, Object.fromEntries(tensors), metadata)
  return path
}

/** A file with some of the tensors of a synthetic model, under other names. */
function part(source: string, rename: (name: string) => string | undefined): string {
  const path = join(folder, `file-${++files}.safetensors`)
  const { tensors } = tensorBytes(source)
  const chosen = Object.entries(tensors).flatMap(([name, tensor]) => {
    const renamed = rename(name)
    return renamed === undefined ? [] : [[renamed, tensor] as const]
  })
  rewriteTensors(path, Object.fromEntries(chosen))
  return path
}

const behind = (prefix: string) => (name: string) => (name.startsWith(prefix) ? name.slice(prefix.length) : undefined)
const only = (prefix: string) => (name: string) => (name.startsWith(prefix) ? name : undefined)
const all = ['unet', 'text_encoder', 'text_encoder_2', 'vae']
const small = join(folder, 'small.safetensors')
synthesizeCheckpoint(smallSpec, small, { dtype: 'bf16' })

describe('whole models', () => {
  test.each([
    ['tiny-a', { family: 'sdxl', parts: all }],
    ['tiny-v', { family: 'sdxl', parts: all, prediction: 'v' }],
    ['tiny-inpaint', { family: 'sdxl', variant: 'inpainting', parts: all }],
    ['tiny-refiner', { family: 'sdxl-refiner', parts: ['unet', 'text_encoder_2', 'vae'] }],
    ['tiny-pruned', { family: 'sdxl', parts: all }],
  ] as const)('%s in both layouts', async (name, wanted) => {
    const single = await inspectModel(tinyCheckpoint(name, { dtype: 'f16' }))
    expect(single).toMatchObject({ format: 'single-file', dtype: 'fp16', problems: [], ...wanted })
    const diffusers = await inspectModel(tinyCheckpoint(name, { layout: 'diffusers', dtype: 'f16' }))
    expect(diffusers).toMatchObject({ format: 'diffusers', dtype: 'fp16', problems: [], ...wanted })
    for (const found of [single, diffusers]) expect('variant' in found).toBe('variant' in wanted)
    expect(single).not.toHaveProperty('prediction', 'epsilon') // nothing in the file says so
    expect(diffusers.prediction).toBe(name === 'tiny-v' ? 'v' : 'epsilon')
  })

  test.each([
    ['ssd-1b', [0, 2, 4], [[4, 4, 10], [2, 1, 1], 0]],
    ['vega', [0, 1, 2], [[2, 2, 2], [1, 1, 1], 0]],
    [undefined, [0, 3, 4], [[4, 4, 4], [3, 3, 3], 0]],
  ] as const)('%s by the depth of its transformers and the middle without any', async (variant, down, up) => {
    const unet = {
      ...smallSpec.unet,
      layers_per_block: 2,
      channels: [32, 64, 64],
      transformer_depth: down,
      transformer_depth_up: up,
      mid_depth: null,
    }
    const path = join(folder, `${variant}.safetensors`)
    synthesizeCheckpoint({ ...smallSpec, unet }, path, { dtype: 'f8_e4m3' })
    expect(await inspectModel(path)).toMatchObject({ family: 'sdxl', dtype: 'fp8_e4m3', problems: [], ...(variant && { variant }) })
  })

  test('the one that ships with the package', async () => {
    expect(await inspectModel(tinyModel)).toMatchObject({
      format: 'single-file',
      family: 'sdxl',
      metadata: { 'modelspec.title': 'tiny shapes' },
    })
  })

  test('an editing model has eight channels', async () => {
    const path = join(folder, 'edit.safetensors')
    synthesizeCheckpoint({ ...smallSpec, unet: { ...smallSpec.unet, in_channels: 8 } }, path, { dtype: 'f8_e4m3' })
    expect(await inspectModel(path)).toMatchObject({ family: 'sdxl', variant: 'instruct-pix2pix', problems: [] })
  })
})

describe('parts of an SDXL model', () => {
  test('a UNet alone, with and without its prefix, lacks the others', async () => {
    for (const path of [part(small, only('model.diffusion_model.')), part(small, behind('model.diffusion_model.'))]) {
      const found = await inspectModel(path)
      expect(found).toMatchObject({ format: 'single-file', family: 'sdxl', dtype: 'bf16', parts: ['unet'] })
      expect(found.problems.join()).toMatch(/text_encoder .*text_encoder_2 .*vae /)
    }
  })

  test('a VAE alone is one, with its own name for it', async () => {
    for (const path of [part(small, only('first_stage_model.')), part(small, behind('first_stage_model.'))])
      expect(await inspectModel(path)).toMatchObject({ format: 'vae', family: 'unknown', parts: ['vae'], problems: [] })
    const { tensors } = tensorBytes(part(small, behind('first_stage_model.')))
    const said = join(folder, 'said.safetensors')
    rewriteTensors(said, tensors, { 'modelspec.architecture': 'stable-diffusion-xl-v1-base/vae' })
    expect(await inspectModel(said)).toMatchObject({ format: 'vae', family: 'sdxl' })
    delete tensors['decoder.conv_in.bias']
    rewriteTensors(said, tensors)
    expect((await inspectModel(said)).problems.join()).toMatch(/decoder\.conv_in\.bias is missing/)
  })

  test('text encoders without a UNet', async () => {
    const found = await inspectModel(part(small, only('conditioner.')))
    expect(found).toMatchObject({ format: 'single-file', family: 'sdxl', parts: ['text_encoder', 'text_encoder_2'] })
    expect(found.problems.join()).toMatch(/unet.*vae/)
  })

  test('averaged weights and training state are no problem', async () => {
    const { tensors } = tensorBytes(small)
    const path = join(folder, 'extra.safetensors')
    const one = { dtype: 'F32', shape: [1], bytes: Buffer.alloc(4) }
    rewriteTensors(path, { ...tensors, 'model_ema.decay': one, 'denoiser.sigmas': one, betas: one })
    expect(await inspectModel(path)).toMatchObject({ family: 'sdxl', parts: all, problems: [] })
  })
})

const block = 'input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight'

describe('models of other families', () => {
  test.each<[family: string, format: string, shapes: Record<string, number[]>]>([
    [
      'sd1',
      'single-file',
      {
        'cond_stage_model.transformer.text_model.final_layer_norm.weight': [768],
        [`model.diffusion_model.${block}`]: [4, 768],
        'model.diffusion_model.input_blocks.0.0.weight': [1, 4, 3, 3],
      },
    ],
    ['sd2', 'single-file', { 'cond_stage_model.model.ln_final.weight': [1024], [`model.diffusion_model.${block}`]: [4, 1024] }],
    ['sd1', 'single-file', { 'model.diffusion_model.input_blocks.0.0.weight': [1, 4, 3, 3], [`model.diffusion_model.${block}`]: [4, 768] }],
    [
      'sd2',
      'single-file',
      { 'conv_in.weight': [1, 4, 3, 3], 'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight': [4, 1024] },
    ],
    ['sd3', 'single-file', { 'model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight': [3, 1] }],
    ['sd3', 'single-file', { 'transformer_blocks.0.attn.add_k_proj.weight': [1, 1] }],
    ['flux', 'single-file', { 'double_blocks.0.img_attn.qkv.weight': [3, 1] }],
    ['flux', 'single-file', { 'model.diffusion_model.double_blocks.0.img_attn.qkv.weight': [3, 1] }],
    ['flux', 'single-file', { 'single_transformer_blocks.0.proj_out.weight': [1, 1] }],
    ['unknown', 'unknown', { 'control_model.input_blocks.0.0.weight': [1, 4, 3, 3] }],
    ['unknown', 'unknown', { 'controlnet_cond_embedding.conv_in.weight': [1, 3, 3, 3], 'conv_in.weight': [1, 4, 3, 3] }],
    ['unknown', 'unknown', { 'ip_adapter.1.to_k_ip.weight': [1, 2048], 'image_proj.proj.weight': [1, 1] }],
    ['unknown', 'unknown', { 'decoder.conv_in.conv.weight': [1, 1, 1, 1, 1] }],
    ['unknown', 'unknown', { anything: [1] }],
    ['unknown', 'unknown', {}],
  ])('%s, %s: %o', async (family, format, shapes) => {
    expect(await inspectModel(file(shapes))).toMatchObject({ family, format, tensors: Object.keys(shapes).length })
  })

  test.each([
    ['StableDiffusion3Pipeline', 'sd3'],
    ['FluxPipeline', 'flux'],
    ['StableDiffusionPipeline', 'sd1'],
  ])('a folder of %s', async (pipeline, family) => {
    const path = join(folder, pipeline)
    const write = (name: string, content: Buffer | string) => {
      mkdirSync(dirname(join(path, name)), { recursive: true })
      writeFileSync(join(path, name), content)
    }
    write('model_index.json', JSON.stringify({ _class_name: pipeline }))
    mkdirSync(join(path, 'text_encoder'))
    rewriteTensors(join(path, 'text_encoder/model.safetensors'), { 'shared.weight': { dtype: 'F16', shape: [1], bytes: Buffer.alloc(2) } })
    if (family === 'sd1') {
      const weight = { dtype: 'F16', shape: [2, 768], bytes: Buffer.alloc(2 * 2 * 768) }
      mkdirSync(join(path, 'unet'))
      rewriteTensors(join(path, 'unet/diffusion_pytorch_model.safetensors'), {
        'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight': weight,
      })
    }
    expect(await inspectModel(path)).toMatchObject({ format: 'diffusers', family })
  })
})

describe('adapters', () => {
  const kohya = 'lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k'
  const peft = 'unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_v'
  test.each<[family: string, shapes: Record<string, number[]>, metadata?: Record<string, string>]>([
    ['sdxl', { [`${kohya}.lora_down.weight`]: [4, 2048], [`${kohya}.lora_up.weight`]: [64, 4] }],
    ['sdxl', { [`${kohya}.lora_down.weight`]: [4, 2048, 1, 1] }],
    ['sdxl', { [`${peft}.lora_A.weight`]: [4, 2048], [`${peft}.lora_B.weight`]: [64, 4] }],
    ['sdxl', { 'unet.mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora.down.weight': [4, 2048] }],
    ['sdxl', { [`${kohya}.hada_w1_a`]: [64, 4], [`${kohya}.hada_w1_b`]: [4, 2048] }],
    ['sdxl', { [`${kohya}.lokr_w1`]: [4, 32], [`${kohya}.lokr_w2_a`]: [16, 4], [`${kohya}.lokr_w2_b`]: [4, 64] }],
    ['sdxl', { 'lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight': [4, 1280] }],
    ['sdxl', { 'lora_unet_output_blocks_0_1_transformer_blocks_1_ff_net_2.lora_down.weight': [4, 5120] }],
    ['sdxl-refiner', { [`${kohya}.lora_down.weight`]: [4, 1280] }],
    ['sd1', { [`${kohya}.lora_down.weight`]: [4, 768] }],
    ['sd2', { [`${kohya}.lora_down.weight`]: [4, 1024] }],
    ['sd1', { 'lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight': [4, 768] }, { ss_base_model_version: 'sd_v1' }],
    ['unknown', { 'lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight': [4, 768] }],
    ['sd3', { 'transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight': [4, 1536] }],
    ['flux', { 'lora_unet_double_blocks_0_img_attn_proj.lora_down.weight': [4, 3072] }],
    ['flux', { 'transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight': [4, 3072] }],
  ])('a LoRA for %s: %o', async (family, shapes, metadata) => {
    expect(await inspectModel(file(shapes, metadata))).toMatchObject({ format: 'lora', family, problems: [] })
  })

  test.each<[family: string, shapes: Record<string, number[]>]>([
    ['sdxl', { clip_l: [4, 768], clip_g: [4, 1280] }],
    ['sd1', { emb_params: [4, 768] }],
    ['sd2', { emb_params: [1, 1024] }],
    ['sd1', { '<my-style>': [768] }],
    ['sd2', { '<my-style>': [3, 1024] }],
  ])('an embedding for %s: %o', async (family, shapes) => {
    expect(await inspectModel(file(shapes))).toMatchObject({ format: 'embedding', family })
  })
})

test('it reads headers only: milliseconds for a file of gigabytes', async () => {
  const path = join(folder, 'sparse.safetensors')
  // Eight gigabytes that the file system does not keep, behind the header of a model.
  const { tensors } = tensorBytes(small)
  const padding = 8 * 2 ** 30
  const header: Record<string, unknown> = {}
  let offset = 0
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors))
    header[name] = { dtype, shape, data_offsets: [offset, (offset += bytes.length)] }
  header['model_ema.weight'] = { dtype: 'F16', shape: [padding / 2], data_offsets: [offset, offset + padding] }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  writeFileSync(path, Buffer.concat([length, text]))
  truncateSync(path, 8 + text.length + offset + padding)
  const begun = performance.now()
  expect(await inspectModel(path)).toMatchObject({ family: 'sdxl', problems: [], bytes: offset + padding })
  // It takes some 5 ms; reading the data would take seconds.
  expect(performance.now() - begun).toBeLessThan(500)
})
