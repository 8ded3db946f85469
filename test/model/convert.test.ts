import { createHash } from 'node:crypto'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { convertModel, loadModel, tokenize, verifyModel } from '../../lib/index.js'
import { diffusersConfigs } from '../../tools/checkpoint/diffusers-configs.mjs'
import { specs } from '../../tools/checkpoint/specs.mjs'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { temporaryFolder } from '../support/files.js'
import { smallSpec, writeSmallModel } from '../support/small-model.js'
import { filesBelow, rewriteTensors, type TensorBytes, tensorBytes, tensorDifferences } from '../support/tensor-bytes.js'

const folder = temporaryFolder()
const parts = ['unet', 'text_encoder', 'text_encoder_2', 'vae']

/** Tensors of every part of a folder, as part/name. */
function folderTensors(path: string): Record<string, TensorBytes> {
  const all: Record<string, TensorBytes> = {}
  for (const part of parts.filter((name) => existsSync(join(path, name))))
    for (const file of readdirSync(join(path, part)).filter((name) => name.endsWith('.safetensors')))
      for (const [name, tensor] of Object.entries(tensorBytes(join(path, part, file)).tensors)) all[`${part}/${name}`] = tensor
  return all
}

/** Without what no engine reads, which conversions leave out. */
function singleTensors(path: string): Record<string, TensorBytes> {
  const { tensors } = tensorBytes(path)
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => !/logit_scale$|position_ids$/.test(name)))
}

const json = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'))
const hash = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')

let places = 0
/** An empty folder of its own. */
function place(): string {
  const path = join(folder, `place-${++places}`)
  mkdirSync(path)
  return path
}

describe.each(['tiny-a', 'tiny-b', 'tiny-v', 'tiny-inpaint', 'tiny-pruned', 'tiny-refiner'] as const)('%s', (name) => {
  const single = tinyCheckpoint(name, { dtype: 'f16' })
  const diffusers = tinyCheckpoint(name, { layout: 'diffusers', dtype: 'f16' })
  const target = join(folder, name)

  test('as a folder has the tensors of the folder, to the last byte', async () => {
    const result = await convertModel(single, target)
    const found = folderTensors(target)
    expect(tensorDifferences(found, folderTensors(diffusers))).toEqual([])
    expect(result).toMatchObject({ path: target, tensors: Object.keys(found).length })
    expect(result.bytes).toBe(filesBelow(target).reduce((sum, file) => sum + statSync(join(target, file)).size, 0))
  })

  test('as a single file has the tensors of the single file, to the last byte', async () => {
    const file = `${target}.safetensors`
    const result = await convertModel(diffusers, file)
    expect(tensorDifferences(tensorBytes(file).tensors, singleTensors(single))).toEqual([])
    expect(result).toEqual({
      path: file,
      tensors: Object.keys(tensorBytes(file).tensors).length,
      bytes: statSync(file).size,
      sha256: hash(readFileSync(file)),
      warnings: [],
    })
  })

  test('has configurations that describe its structure', () => {
    for (const [file, wanted] of Object.entries(diffusersConfigs(specs[name]!))) {
      const found = json(target, file)
      for (const [field, value] of Object.entries(wanted)) {
        // Of levels without attention the depth is not read: this table says 0 there, the converter 1.
        const depths = (list: unknown) => JSON.stringify(list).replace(/\b0\b/g, '1').replaceAll('[1,1,1]', '1').replaceAll('[1,1]', '1')
        const shown = `${file}: ${field}`
        if (/transformer_layers/.test(field)) expect(depths(found[field]), shown).toBe(depths(value))
        else if (!/tokenizer|^_class_name$|requires_aesthetics_score/.test(field)) expect(found[field], shown).toEqual(value)
      }
    }
    const pipelines: Record<string, string> = {
      'tiny-inpaint': 'StableDiffusionXLInpaintPipeline',
      'tiny-refiner': 'StableDiffusionXLImg2ImgPipeline',
    }
    expect(json(target, 'model_index.json')._class_name).toBe(pipelines[name] ?? 'StableDiffusionXLPipeline')
  })
})

test('both results load, and predict what the source predicts', async () => {
  const source = tinyCheckpoint('tiny-v', { dtype: 'f16' })
  const base = place()
  await convertModel(source, join(base, 'folder'))
  await convertModel(join(base, 'folder'), join(base, 'file.safetensors'))
  const predictions = []
  for (const path of [source, join(base, 'folder'), join(base, 'file.safetensors')]) {
    const model = await loadModel(path)
    expect(model.info.prediction).toBe('v')
    const conditioning = await model.encodePrompt('a lighthouse')
    const latents = { shape: [1, 4, 8, 8], data: Float32Array.from({ length: 256 }, (_, i) => Math.sin(i)) }
    predictions.push((await model.predict({ latents, timestep: 500, conditioning })).data)
    await model.close()
  }
  expect(predictions[1]).toEqual(predictions[0])
  expect(predictions[2]).toEqual(predictions[0])
})

describe('the files of a folder', () => {
  const target = join(folder, 'files')
  const made = convertModel(writeSmallModel(folder, 'for-files.safetensors'), target)

  test('are those that Diffusers and transformers look for, with a list of their sums', async () => {
    const { sha256 } = await made
    const tokenizer = ['merges.txt', 'special_tokens_map.json', 'tokenizer_config.json', 'vocab.json']
    const wanted = [
      'model_index.json',
      'scheduler/scheduler_config.json',
      'text_encoder/config.json',
      'text_encoder/model.safetensors',
      'text_encoder_2/config.json',
      'text_encoder_2/model.safetensors',
      ...tokenizer.map((name) => `tokenizer/${name}`),
      ...tokenizer.map((name) => `tokenizer_2/${name}`),
      'unet/config.json',
      'unet/diffusion_pytorch_model.safetensors',
      'vae/config.json',
      'vae/diffusion_pytorch_model.safetensors',
    ]
    expect(filesBelow(target)).toEqual(['SHA256SUMS', ...wanted])
    const sums = wanted.map((name) => `${hash(readFileSync(join(target, name)))}  ${name}\n`).join('')
    expect(readFileSync(join(target, 'SHA256SUMS'), 'utf8')).toBe(sums)
    expect(sha256).toBe(hash(sums))
  })

  test('include the tokenizer whose ids the engine uses', async () => {
    await made
    const vocabulary = json(target, 'tokenizer', 'vocab.json') as Record<string, number>
    const ids = Object.values(vocabulary).sort((a, b) => a - b) // JavaScript puts "0" … "9" first
    expect(ids).toEqual(Array.from({ length: 49408 }, (_, i) => i))
    expect(vocabulary).toMatchObject({ '!': 0, '<|startoftext|>': 49406, '<|endoftext|>': 49407 })
    for (const word of ['a', 'lighthouse', 'photograph', 'zoë', '9', '!!!']) {
      const [id, ...rest] = tokenize(word)
      if (rest.length === 0) expect(vocabulary[`${Buffer.from(word).toString('latin1')}</w>`] ?? vocabulary[`${word}</w>`], word).toBe(id)
    }
    const merges = readFileSync(join(target, 'tokenizer', 'merges.txt'), 'utf8')
      .trim()
      .split('\n')
    expect(merges.length).toBe(48895)
    expect(merges.slice(0, 2)).toEqual(['#version: 0.2', 'i n'])
    const padding = (name: string) => json(target, name, 'tokenizer_config.json').pad_token
    expect([padding('tokenizer'), padding('tokenizer_2')]).toEqual(['<|endoftext|>', '!'])
  })
})

describe('what a model says of itself', () => {
  test('v-prediction and the zero end of its noise go both ways', async () => {
    const base = place()
    const source = writeSmallModel(base, 'v', { layout: 'diffusers', prediction: 'v' })
    const scheduler = join(source, 'scheduler/scheduler_config.json')
    writeFileSync(scheduler, JSON.stringify({ ...json(scheduler), rescale_betas_zero_snr: true }))
    const file = join(base, 'v.safetensors')
    await convertModel(source, file)
    expect(tensorBytes(file).tensors).toMatchObject({ v_pred: { dtype: 'F32', shape: [0] }, ztsnr: { dtype: 'F32', shape: [0] } })
    await convertModel(file, join(base, 'again'))
    expect(json(base, 'again/scheduler/scheduler_config.json')).toMatchObject({
      prediction_type: 'v_prediction',
      rescale_betas_zero_snr: true,
      timestep_spacing: 'trailing',
    })
  })

  test('metadata goes along, but for hashes of other bytes', async () => {
    const base = place()
    const source = writeSmallModel(base, 'source.safetensors')
    const { tensors } = tensorBytes(source)
    rewriteTensors(source, tensors, { 'modelspec.title': 'a "title"\n', 'modelspec.hash_sha256': '0x0', 'node-sdxl.source': 'old' })
    await convertModel(source, join(base, 'folder'))
    await convertModel(join(base, 'folder'), join(base, 'file.safetensors'))
    const { metadata } = tensorBytes(join(base, 'file.safetensors'))
    expect(metadata).toEqual({
      format: 'pt',
      'modelspec.title': 'a "title"\n',
      'node-sdxl.source': expect.stringMatching(/^[0-9a-f]{64}$/),
    })
  })

  test('configurations and tokenizers of a folder stay as they are in another folder', async () => {
    const base = place()
    const source = writeSmallModel(base, 'source', { layout: 'diffusers', dtype: 'f32' })
    const scheduler = { ...json(source, 'scheduler/scheduler_config.json'), _class_name: 'LCMScheduler', original_inference_steps: 50 }
    writeFileSync(join(source, 'scheduler/scheduler_config.json'), JSON.stringify(scheduler))
    const vae = { ...json(source, 'vae/config.json'), force_upcast: false, scaling_factor: 0.5 }
    writeFileSync(join(source, 'vae/config.json'), JSON.stringify(vae))
    const encoder = { ...json(source, 'text_encoder/config.json'), torch_dtype: 'float32' }
    writeFileSync(join(source, 'text_encoder/config.json'), JSON.stringify(encoder))
    const index = { ...json(source, 'model_index.json'), scheduler: ['diffusers', 'LCMScheduler'], image_encoder: ['transformers', 'Lost'] }
    writeFileSync(join(source, 'model_index.json'), JSON.stringify(index))
    mkdirSync(join(source, 'tokenizer'))
    for (const name of ['vocab.json', 'merges.txt', 'added_tokens.json']) writeFileSync(join(source, 'tokenizer', name), `own ${name}`)

    const target = join(base, 'half')
    await convertModel(source, target, { dtype: 'fp16' })
    expect(json(target, 'scheduler/scheduler_config.json')).toEqual(scheduler)
    expect(json(target, 'vae/config.json')).toEqual(vae)
    expect(json(target, 'text_encoder/config.json')).toEqual({ ...encoder, torch_dtype: undefined })
    expect(json(target, 'model_index.json')).toMatchObject({
      scheduler: ['diffusers', 'LCMScheduler'],
      tokenizer: ['transformers', 'CLIPTokenizer'],
    })
    expect(json(target, 'model_index.json')).not.toHaveProperty('image_encoder')
    expect(readdirSync(join(target, 'tokenizer')).sort()).toEqual(['added_tokens.json', 'merges.txt', 'vocab.json'])
    expect(readFileSync(join(target, 'tokenizer/vocab.json'), 'utf8')).toBe('own vocab.json')
    expect(json(target, 'tokenizer_2/tokenizer_config.json').pad_token).toBe('!')
  })

  test.each([
    ['vae/config.json', { scaling_factor: 0.5 }, /scaling_factor.*0\.5.*0\.13025/],
    ['text_encoder/config.json', { hidden_act: 'gelu' }, /hidden_act.*gelu.*quick_gelu/],
    ['text_encoder_2/config.json', { hidden_act: 'quick_gelu' }, /hidden_act.*quick_gelu/],
    ['scheduler/scheduler_config.json', { _class_name: 'EDMEulerScheduler' }, /EDM/],
    ['scheduler/scheduler_config.json', { prediction_type: 'sample' }, /sample/],
  ])('in %s, where a single file has no place for it, is an error: %o', async (file, change, message) => {
    const base = place()
    const source = writeSmallModel(base, 'source', { layout: 'diffusers' })
    writeFileSync(join(source, file), JSON.stringify({ ...json(source, file), ...change }))
    const error = await convertModel(source, join(base, 'x.safetensors')).catch((e) => e)
    expect(error).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED', message: expect.stringMatching(message) })
    expect(readdirSync(base)).toEqual(['source'])
  })
})

describe('a source in any form', () => {
  test('shards, fp16 file names, and 1 × 1 convolutions in place of matrices', async () => {
    const base = place()
    const plain = writeSmallModel(base, 'plain', { layout: 'diffusers' })
    const source = writeSmallModel(base, 'source', { layout: 'diffusers', shards: 3 })
    for (const part of ['text_encoder', 'text_encoder_2'])
      cpSync(join(source, part, 'model.safetensors'), join(source, part, 'model.fp16.safetensors'))
    for (const part of ['text_encoder', 'text_encoder_2']) rmSync(join(source, part, 'model.safetensors'))
    const vae = join(source, 'vae/diffusion_pytorch_model.safetensors')
    const { tensors } = tensorBytes(vae)
    for (const [name, tensor] of Object.entries(tensors)) if (/attentions.*to_.*weight/.test(name)) tensor.shape.push(1, 1)
    rewriteTensors(vae, tensors)
    await convertModel(source, join(base, 'out'))
    expect(tensorDifferences(folderTensors(join(base, 'out')), folderTensors(plain))).toEqual([])
  })

  test('averaged weights, noise tables and the like are left behind', async () => {
    const base = place()
    const source = writeSmallModel(base, 'source.safetensors')
    const { tensors } = tensorBytes(source)
    const wanted = singleTensors(source)
    const one = { dtype: 'F32', shape: [1], bytes: Buffer.alloc(4) }
    for (const name of ['model_ema.decay', 'model_ema.diffusion_modelout2bias', 'alphas_cumprod', 'optimizer.state']) tensors[name] = one
    rewriteTensors(source, tensors)
    await convertModel(source, join(base, 'out.safetensors'))
    expect(tensorDifferences(tensorBytes(join(base, 'out.safetensors')).tensors, wanted)).toEqual([])
  })

  test('a text encoder whose q, k and v differ in format gets one that holds all of them', async () => {
    const base = place()
    const source = writeSmallModel(base, 'source', { layout: 'diffusers' })
    const file = join(source, 'text_encoder_2/model.safetensors')
    const { tensors } = tensorBytes(file)
    const name = 'text_model.encoder.layers.0.self_attn.k_proj.bias'
    tensors[name] = { ...tensors[name]!, dtype: 'BF16', bytes: Buffer.alloc(tensors[name]!.bytes.length, Buffer.from([0x80, 0x3f])) }
    rewriteTensors(file, tensors)
    await convertModel(source, join(base, 'out.safetensors'))
    const fused = tensorBytes(join(base, 'out.safetensors')).tensors[
      'conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_bias'
    ]!
    const width = smallSpec.text_encoder_2.width
    expect(fused).toMatchObject({ dtype: 'F32', shape: [3 * width] })
    expect(fused.bytes.readFloatLE(4 * width)).toBe(1)
    expect(fused.bytes.readFloatLE(4 * (2 * width - 1))).toBe(1)
  })
})

describe('a target that is there already', () => {
  const base = place()
  const source = writeSmallModel(base, 'source.safetensors')
  const identity = (path: string) => {
    const { ino, mtimeNs, size } = statSync(path, { bigint: true })
    return { ino, mtimeNs, size }
  }

  test.each(['folder', 'file.safetensors'])('from the same source by the same options is recognised: %s', async (name) => {
    const target = join(base, name)
    const first = await convertModel(source, target, { dtype: 'bf16' })
    const before = identity(target)
    const events: string[] = []
    expect(await convertModel(source, target, { dtype: 'bf16', onProgress: ({ phase }) => events.push(phase) })).toEqual(first)
    expect(identity(target)).toEqual(before)
    expect((await verifyModel(target)).sha256).toBe(first.sha256)
    // Elsewhere it is the same source as well, unless it may have been written to since.
    const copy = join(place(), 'elsewhere.safetensors')
    copyFileSync(source, copy)
    utimesSync(copy, 1e9, 1e9)
    expect(await convertModel(copy, target, { dtype: 'bf16' })).toEqual(first)
    utimesSync(copy, new Date(), new Date())
    await expect(convertModel(copy, target, { dtype: 'bf16' })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
    expect(identity(target)).toEqual(before)
    // The same bytes come of it anywhere and at any time.
    expect((await convertModel(copy, join(place(), name), { dtype: 'bf16' })).sha256).toBe(first.sha256)
  })

  test('is told from one by other options, of another source, or of this source before it was changed', async () => {
    const own = place()
    const from = writeSmallModel(own, 'source.safetensors')
    const target = join(own, 'target.safetensors')
    await convertModel(from, target)
    const before = identity(target)
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(/overwrite: true/), details: { path: target } }
    await expect(convertModel(from, target, { dtype: 'fp32' })).rejects.toMatchObject(refused)
    await expect(convertModel(writeSmallModel(own, 'other.safetensors', { seed: 1 }), target)).rejects.toMatchObject(refused)
    const { tensors } = tensorBytes(from)
    tensors['model.diffusion_model.out.2.bias']!.bytes.writeUInt16LE(0x3c00, 0)
    rewriteTensors(from, tensors)
    await expect(convertModel(from, target)).rejects.toMatchObject(refused)
    expect(identity(target)).toEqual(before)
    await convertModel(from, target, { overwrite: true })
    expect(tensorBytes(target).tensors['model.diffusion_model.out.2.bias']!.bytes.readUInt16LE(0)).toBe(0x3c00)
  })

  test('and was damaged since is made anew only when that is asked for', async () => {
    const own = place()
    const file = join(own, 'target.safetensors')
    const target = join(own, 'target')
    const first = await convertModel(source, file)
    const whole = await convertModel(source, target)
    writeFileSync(file, readFileSync(file).subarray(0, 5000))
    rmSync(join(target, 'vae/config.json'))
    for (const path of [file, target]) await expect(convertModel(source, path)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
    expect(await convertModel(source, file, { overwrite: true })).toEqual(first)
    expect(await convertModel(source, target, { overwrite: true })).toEqual(whole)
    expect(readdirSync(own).sort()).toEqual(['target', 'target.safetensors'])
  })

  test('is replaced as a whole: what the old folder had beside the model is gone', async () => {
    const target = join(place(), 'model')
    await convertModel(source, target)
    writeFileSync(join(target, 'notes.txt'), 'old')
    await convertModel(source, target, { dtype: 'fp32', overwrite: true })
    expect(existsSync(join(target, 'notes.txt'))).toBe(false)
    expect(folderTensors(target)['unet/conv_out.bias']!.dtype).toBe('F32')
    expect(readdirSync(join(target, '..'))).toEqual(['model'])
  })

  test.each([
    ['a folder that holds no model', 'target', (path: string) => writeFileSync(join(path, 'mine.txt'), ''), true],
    ['a folder where a file is to be written', 'target.safetensors', (path: string) => writeFileSync(join(path, 'x'), ''), true],
    ['a file where a folder is to be written', 'target', () => {}, false],
  ])('and is %s is never replaced', async (_, name, fill, isFolder) => {
    const target = join(place(), name)
    if (isFolder) mkdirSync(target)
    else writeFileSync(target, 'mine')
    fill(target)
    const error = await convertModel(source, target, { overwrite: true }).catch((e) => e)
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { path: target } })
    expect(readdirSync(join(target, '..'))).toEqual([name])
    expect(statSync(target).isDirectory()).toBe(isFolder)
  })

  test('and is an empty folder is filled', async () => {
    const target = join(place(), 'empty')
    mkdirSync(target)
    await convertModel(source, target)
    expect(existsSync(join(target, 'model_index.json'))).toBe(true)
  })

  test('is not the source, nor around it', async () => {
    await expect(convertModel(source, source, { overwrite: true })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
    const model = writeSmallModel(base, 'around', { layout: 'diffusers' })
    await expect(convertModel(model, model, { dtype: 'fp32', overwrite: true })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
    copyFileSync(source, join(model, 'inside.safetensors'))
    const error = await convertModel(join(model, 'inside.safetensors'), model, { overwrite: true }).catch((e) => e)
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(/source lies in the target/) })
    expect(existsSync(join(model, 'inside.safetensors'))).toBe(true)
  })
})

describe('a conversion that ends early', () => {
  const source = writeSmallModel(folder, 'ends-early.safetensors')
  const reason = new Error('enough')

  test.each(['target', 'target.safetensors'])('leaves nothing, and rejects with the reason: %s', async (name) => {
    const base = place()
    const target = join(base, name)
    await expect(convertModel(source, target, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    const onProgress = ({ loaded, total }: { loaded: number; total: number }) => {
      if (loaded > total / 3 && loaded < total) controller.abort(reason)
    }
    // Slow enough for the signal to arrive while it runs: fp32 of the largest model there is here.
    const large = tinyCheckpoint('tiny-a', { dtype: 'f16' })
    await expect(convertModel(large, target, { dtype: 'fp32', signal: controller.signal, onProgress })).rejects.toBe(reason)
    await expect(
      convertModel(large, target, {
        onProgress: () => {
          throw reason
        },
      }),
    ).rejects.toBe(reason)
    expect(readdirSync(base)).toEqual([])
    // What was to be replaced is still there.
    const first = await convertModel(source, target)
    const again = new AbortController()
    await expect(
      convertModel(large, target, { overwrite: true, signal: again.signal, onProgress: () => again.abort(reason) }),
    ).rejects.toBe(reason)
    expect(await convertModel(source, target)).toEqual(first)
    expect(readdirSync(base)).toEqual([name])
  })

  test('by the end of its process leaves what the next one clears away', async () => {
    const base = place()
    const old = new Date(Date.now() - 11 * 60_000)
    const abandoned = join(base, '.target.0123456789abcdef.partial')
    mkdirSync(join(abandoned, 'unet'), { recursive: true })
    writeFileSync(join(abandoned, 'unet/part'), 'half')
    const busy = join(base, '.target.fedcba9876543210.partial')
    mkdirSync(busy)
    writeFileSync(join(busy, 'part'), 'half') // written to just now, so another process is at work
    const other = join(base, '.other.0123456789abcdef.partial')
    writeFileSync(other, 'half')
    for (const path of [join(abandoned, 'unet/part'), join(abandoned, 'unet'), abandoned, other, busy]) utimesSync(path, old, old)
    await convertModel(source, join(base, 'target'))
    expect(readdirSync(base).sort()).toEqual(['.other.0123456789abcdef.partial', '.target.fedcba9876543210.partial', 'target'])
  })
})

test('conversions to one target at a time agree', async () => {
  const source = writeSmallModel(folder, 'at-once.safetensors')
  for (const name of ['target', 'target.safetensors']) {
    const target = join(place(), name)
    const results = await Promise.all(Array.from({ length: 4 }, () => convertModel(source, target)))
    for (const result of results) expect(result).toEqual(results[0])
    expect(readdirSync(join(target, '..'))).toEqual([name])
  }
})

test('progress counts the bytes of the tensors, part by part', async () => {
  const source = writeSmallModel(folder, 'progress.safetensors')
  const events: { phase: string; loaded: number; total: number }[] = []
  await convertModel(source, join(place(), 'x'), { onProgress: (event) => events.push(event) })
  const bytes = Object.values(singleTensors(source)).reduce((sum, tensor) => sum + tensor.bytes.length, 0)
  expect(new Set(events.map(({ total }) => total))).toEqual(new Set([bytes]))
  expect([...new Set(events.map(({ phase }) => phase))]).toEqual([...parts, 'ready'])
  for (const [i, { loaded }] of events.entries()) expect(loaded).toBeGreaterThanOrEqual(events[i - 1]?.loaded ?? 0)
  expect(events.at(-1)).toEqual({ phase: 'ready', loaded: bytes, total: bytes })
})

describe('arguments', () => {
  const source = writeSmallModel(folder, 'arguments.safetensors')
  test.each<[what: string, call: () => Promise<unknown>, code: string]>([
    ['an absent source', () => convertModel(join(folder, 'nothing'), join(folder, 'x')), 'ERR_MODEL_NOT_FOUND'],
    ['an absent folder', () => convertModel(source, join(folder, 'no/where')), 'ERR_INVALID_ARGUMENT'],
    ['a path that is none', () => convertModel(source, 7 as never), 'ERR_INVALID_ARGUMENT'],
    ['an empty path', () => convertModel('', 'x'), 'ERR_INVALID_ARGUMENT'],
    ['another format', () => convertModel(source, join(folder, 'x'), { dtype: 'fp8' as never }), 'ERR_INVALID_ARGUMENT'],
    ['another layout', () => convertModel(source, join(folder, 'x'), { layout: 'onnx' as never }), 'ERR_INVALID_ARGUMENT'],
    ['an unknown option', () => convertModel(source, join(folder, 'x'), { speed: 1 } as never), 'ERR_INVALID_ARGUMENT'],
    ['overwrite: "yes"', () => convertModel(source, join(folder, 'x'), { overwrite: 'yes' as never }), 'ERR_INVALID_ARGUMENT'],
    ['no signal', () => convertModel(source, join(folder, 'x'), { signal: {} as never }), 'ERR_INVALID_ARGUMENT'],
  ])('%s', async (_, call, code) => {
    await expect(call()).rejects.toMatchObject({ name: 'SdxlError', code })
    expect(existsSync(join(folder, 'x'))).toBe(false)
  })

  test('layout may contradict the name', async () => {
    const base = place()
    await convertModel(source, join(base, 'file.bin'), { layout: 'single-file' })
    expect(statSync(join(base, 'file.bin')).isFile()).toBe(true)
    await convertModel(source, join(base, 'folder.safetensors'), { layout: 'diffusers' })
    expect(statSync(join(base, 'folder.safetensors')).isDirectory()).toBe(true)
  })
})
