import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inspectModel, loadModel, SdxlError, tinyModel } from '../../lib/index.js'
import { specs } from '../../tools/checkpoint/specs.mjs'
import { synthesizeCheckpoint } from '../../tools/synthesize-checkpoint.mjs'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { temporaryFolder, writeSafetensors } from '../support/files.js'

const folder = temporaryFolder()

const failure = (path: string, options = {}) =>
  loadModel(path, options).then(
    async (model) => {
      await model.close()
      return undefined
    },
    (error: unknown) => error as SdxlError,
  )

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>

/** The tiny synthetic checkpoint with a change to its header or data. */
function changed(name: string, change: (header: Header, data: Buffer) => void): string {
  const file = readFileSync(tinyCheckpoint('tiny-a'))
  const length = Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Header
  const data = Buffer.from(file.subarray(8 + length))
  change(header, data)
  return writeSafetensors(join(folder, `${name}.safetensors`), header, data)
}

const norm = 'model.diffusion_model.out.0.weight'
const conv = 'model.diffusion_model.input_blocks.0.0.weight'

describe('a file that is no model', () => {
  const write = (name: string, bytes: Uint8Array | string) => {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    return path
  }

  test.each<[what: string, path: () => string, code: string, hint: RegExp]>([
    ['absent', () => join(folder, 'nothing.safetensors'), 'ERR_MODEL_NOT_FOUND', /nothing\.safetensors/],
    ['empty', () => write('empty.safetensors', ''), 'ERR_MODEL_FORMAT', /empty/],
    [
      'a pickle',
      () => write('old.ckpt', Buffer.from('\x80\x02}q\x00X\x05\x00\x00\x00', 'latin1')),
      'ERR_MODEL_FORMAT',
      /convert.*safetensors/is,
    ],
    ['a zipped pickle', () => write('new.pt', Buffer.from('PK\x03\x04 and so on', 'latin1')), 'ERR_MODEL_FORMAT', /convert.*safetensors/is],
    [
      'a git-lfs pointer',
      () => write('pointer.safetensors', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n'),
      'ERR_MODEL_FORMAT',
      /lfs/i,
    ],
    ['text', () => write('readme.safetensors', 'hello, I am no model at all'), 'ERR_MODEL_FORMAT', /readme/],
    [
      'a header longer than the file',
      () => write('long.safetensors', Buffer.from([255, 255, 0, 0, 0, 0, 0, 0, 123, 125])),
      'ERR_MODEL_FORMAT',
      /header/,
    ],
    ['broken JSON', () => writeSafetensors(join(folder, 'json.safetensors'), '{"a":', Buffer.alloc(0)), 'ERR_MODEL_FORMAT', /json/i],
    ['an empty folder', () => mkdtempSync(join(folder, 'empty-')), 'ERR_MODEL_FORMAT', /unet/],
  ])('%s', async (_, path, code, hint) => {
    const where = path()
    const error = await failure(where)
    expect(error).toBeInstanceOf(SdxlError)
    expect(error).toMatchObject({ code, details: { path: where } })
    expect(error?.message).toMatch(hint)
    await expect(inspectModel(where)).rejects.toMatchObject({ code })
  })
})

describe('a damaged checkpoint', () => {
  const whole = readFileSync(tinyCheckpoint('tiny-a'))
  test.each([1, 7, 8, 9, 5000, whole.length >> 1, whole.length - 1])('cut off behind %i bytes', async (length) => {
    const path = join(folder, `cut-${length}.safetensors`)
    writeFileSync(path, whole.subarray(0, length))
    expect(await failure(path)).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { path } })
  })

  test('lists everything that is missing, in one error', async () => {
    const path = changed('missing', (header) => {
      // Dropping entries would leave holes in the data: they become tensors nobody asks for.
      header['unrelated.a'] = header[norm]!
      header['unrelated.b'] = header[conv]!
      delete header[norm]
      delete header[conv]
    })
    const error = await failure(path)
    expect(error).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { path } })
    expect(error?.message).toContain('missing.safetensors')
    expect(String(error?.details.problems)).toContain('conv_in.weight')
    expect(String(error?.details.problems)).toContain('conv_norm_out.weight')
  })

  test('names a tensor of the wrong shape, with both shapes', async () => {
    const path = changed('shape', (header) => {
      header[norm]!.shape = [header[norm]!.shape[0]! / 2, 2]
    })
    const error = await failure(path)
    expect(error?.code).toBe('ERR_MODEL_FORMAT')
    expect(String(error?.details.problems)).toMatch(/out\.0\.weight.*\[16, 2\].*\[32\]/)
    expect((await inspectModel(path)).problems.join()).toContain('out.0.weight')
  })

  test('names a tensor that belongs to no SDXL', async () => {
    const path = changed('left-over', (header) => {
      header['model.diffusion_model.surprise.weight'] = header['conditioner.embedders.1.model.logit_scale']!
      delete header['conditioner.embedders.1.model.logit_scale']
    })
    expect(String((await failure(path))?.details.problems)).toContain('surprise.weight')
  })

  test('says of a marker for other noise levels that such models are not supported', async () => {
    const path = changed('edm', (header) => {
      header['edm_vpred.sigma_max'] = header['conditioner.embedders.1.model.logit_scale']!
      delete header['conditioner.embedders.1.model.logit_scale']
    })
    expect(await failure(path)).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED' })
  })

  test('overlapping data', async () => {
    const path = changed('overlap', (header) => {
      header[norm]!.data_offsets = [...header['model.diffusion_model.out.0.bias']!.data_offsets]
    })
    const error = await failure(path)
    expect(error?.code).toBe('ERR_MODEL_FORMAT')
    expect(error?.message).toMatch(/overlap/)
  })

  test.each([norm, conv, 'conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight'])('NaN in %s', async (name) => {
    const path = changed('nan', (header, data) => {
      const [begin, end] = header[name]!.data_offsets
      data.writeFloatLE(Number.NaN, begin + (((end - begin) >> 3) << 2))
    })
    const error = await failure(path)
    expect(error).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { path, tensor: name } })
    expect(error?.message).toMatch(/NaN/)
  })

  test('a dtype that holds no weights', async () => {
    const path = changed('dtype', (header) => {
      header[norm]!.dtype = 'I32'
    })
    expect(await failure(path)).toMatchObject({ code: 'ERR_MODEL_FORMAT' })
  })
})

describe('an incomplete model', () => {
  test.each(['unet', 'text_encoder_2', 'vae'])('a folder without %s says which part is wanted', async (part) => {
    const source = tinyCheckpoint('tiny-a', { layout: 'diffusers' })
    const target = join(folder, `without-${part}`)
    for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath ?? entry.path, entry.name)
      if (!entry.isFile() || path.includes(`/${part}/`)) continue
      mkdirSync(join(target, path.slice(source.length), '..'), { recursive: true })
      copyFileSync(path, join(target, path.slice(source.length)))
    }
    const error = await failure(target)
    expect(error).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { missing: [part] } })
    // A VAE of its own makes the model whole.
    if (part === 'vae') expect(await failure(target, { vae: source })).toBeUndefined()
    rmSync(target, { recursive: true })
  })

  test('refiners and editing models are told from broken files', async () => {
    expect(await failure(tinyCheckpoint('tiny-refiner'))).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED' })
    const inpaint = specs['tiny-inpaint']!
    const editing = join(folder, 'editing.safetensors')
    synthesizeCheckpoint({ ...inpaint, name: 'editing', unet: { ...inpaint.unet, in_channels: 8 } }, editing)
    expect(await failure(editing)).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED', details: { found: 8, wanted: [4, 9] } })
    expect(await inspectModel(tinyCheckpoint('tiny-refiner'))).toMatchObject({ family: 'sdxl-refiner', problems: [] })
  })
})

test('failed loads leave no memory, threads or files behind', async () => {
  const path = join(folder, 'cut-5000.safetensors')
  const nan = changed('nan-again', (header, data) => data.writeFloatLE(Number.NaN, header[conv]!.data_offsets[0]))
  const count = () => [readdirSync('/proc/self/fd').length, readdirSync('/proc/self/task').length]
  const fail = async (times: number) => {
    for (let i = 0; i < times; i++) {
      await failure(path)
      await failure(nan)
    }
  }
  await fail(25) // until the allocator has what it keeps
  const [files, threads] = count()
  const before = process.memoryUsage.rss()
  await fail(25)
  const [filesAfter, threadsAfter] = count()
  // Fifty loads that left something would show as fifty; Node itself may start the rest of its pool meanwhile.
  expect(filesAfter).toBeLessThan(files! + 8)
  expect(threadsAfter).toBeLessThan(threads! + 8)
  // What a load holds when it fails is some 30 MB: 750 if half of them leaked.
  expect(process.memoryUsage.rss() - before).toBeLessThan(120e6)
}, 120_000)

test('and models load as before', async () => {
  expect(await failure(tinyModel)).toBeUndefined()
})
