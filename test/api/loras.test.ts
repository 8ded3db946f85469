import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Conditioning, generate, type GenerateRequest, loadModel, SdxlError } from '../../lib/index.js'
import { specs } from '../../tools/checkpoint/specs.mjs'
import { checkpointTensors } from '../../tools/checkpoint/tensors.mjs'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { kohya, lokr, loraFolder, small, tinyModelForLoras } from '../support/lora-drawing.js'
import { temporaryFolder, writeSafetensors } from '../support/files.js'

const temporary = temporaryFolder()
const loraDirectory = loraFolder

/** A file of tensors that hold `value`. */
function writeLora(name: string, shapes: Record<string, number[]>, { value = 0.01, metadata = {} } = {}): string {
  const header: Record<string, object> = { __metadata__: metadata }
  let end = 0
  for (const [key, shape] of Object.entries(shapes)) {
    const begin = end
    end += 4 * shape.reduce((a, b) => a * b, 1)
    header[key] = { dtype: 'F32', shape, data_offsets: [begin, end] }
  }
  return writeSafetensors(join(temporary, name), header, new Uint8Array(new Float32Array(end / 4).fill(value).buffer))
}

const { loaded, draw, pixels } = tinyModelForLoras()

describe('warnings', () => {
  test('come again with a set that was used before', async () => {
    const loras = [{ path: writeLora('strange.safetensors', { ...one, 'bundle_emb.x.clip_l': [2, 64], 'lora_unet_nothing.alpha': [1] }) }]
    const [first, again] = [await draw({ loras }), await draw({ loras })]
    expect(first.warnings).toMatchObject([{ code: 'W_LORA_UNMATCHED' }])
    expect(again.warnings).toEqual(first.warnings)
    expect((await draw()).warnings).toEqual([])
  })

  test('name file and tensors that change nothing', async () => {
    const path = writeLora('extra.safetensors', { ...one, 'bundle_emb.x.clip_l': [2, 64], 'lora_unet_out_0.alpha': [1] })
    const { warnings } = await draw({ loras: [{ path }] })
    expect(warnings).toMatchObject([{ code: 'W_LORA_UNMATCHED', message: expect.stringContaining(path) }])
    expect(warnings[0]!.message).toMatch(/2 of its tensors.*bundle_emb\.x\.clip_l.*lora_unet_out_0\.alpha/)
  })

  test('of many tensors name a few', async () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`bundle_emb.${i}.clip_l`, [1, 64]]))
    const { warnings } = await draw({ loras: [{ path: writeLora('many.safetensors', { ...one, ...many }) }] })
    expect(warnings[0]!.message).toMatch(/200 of its tensors/)
    expect(warnings[0]!.message.length).toBeLessThan(temporary.length + 400)
  })

  // Another file's key, and the layer of the tiny model that it fits.
  const one = { 'lora_unet_conv_in.lora_down.weight': [1, 4, 3, 3], 'lora_unet_conv_in.lora_up.weight': [32, 1, 1, 1] }
})

describe('a file that cannot be used', () => {
  const down = 'lora_unet_time_embedding_linear_1.lora_down.weight' // 32 -> 128
  const up = down.replace('down', 'up')
  const keys = 'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k'
  const cut = (name: string, from: string, length: number) => {
    const path = join(temporary, name)
    writeFileSync(path, readFileSync(from).subarray(0, length))
    return path
  }

  test.each<[what: string, path: () => string, code: string, message: RegExp]>([
    ['that is not there', () => join(temporary, 'nothing.safetensors'), 'ERR_MODEL_NOT_FOUND', /nothing\.safetensors/],
    ['that is a folder', () => temporary, 'ERR_MODEL_NOT_FOUND', /node-sdxl-test/],
    ['that is empty', () => cut('empty.safetensors', kohya, 0), 'ERR_LORA_FORMAT', /empty\.safetensors/],
    ['cut off in its header', () => cut('header.safetensors', kohya, 100), 'ERR_LORA_FORMAT', /header\.safetensors/],
    ['cut off in its data', () => cut('data.safetensors', kohya, 30_000), 'ERR_LORA_FORMAT', /data\.safetensors/],
    ['that is text', () => writeText('text.safetensors', 'a LoRA, in words'), 'ERR_LORA_FORMAT', /text\.safetensors/],
    ['that is a pickle', () => writeText('old.pt', 'PK\x03\x04 and so on'), 'ERR_LORA_FORMAT', /safetensors/],
    ['with an up and no down', () => writeLora('half.safetensors', { [up]: [128, 2] }), 'ERR_LORA_FORMAT', /linear_1.*lora_down/],
    ['with ranks that differ', () => writeLora('ranks.safetensors', { [up]: [128, 2], [down]: [3, 32] }), 'ERR_LORA_FORMAT', /rank 3/],
    [
      'with NaN in it',
      () => writeLora('nan.safetensors', { [up]: [128, 2], [down]: [2, 32] }, { value: Number.NaN }),
      'ERR_LORA_FORMAT',
      /NaN/,
    ],
    ['of no tensors', () => writeLora('none.safetensors', {}), 'ERR_LORA_FORMAT', /no tensors/],
    [
      'for Stable Diffusion 1',
      () => writeLora('sd1.safetensors', { [`${keys}.lora_up.weight`]: [320, 4], [`${keys}.lora_down.weight`]: [4, 768] }),
      'ERR_LORA_MISMATCH',
      /Stable Diffusion 1.*\[.*768\].*\[.*192\]|Stable Diffusion 1.*\[.*192\].*\[.*768\]/,
    ],
    [
      'for SDXL itself, which this tiny model is not',
      () => writeLora('sdxl.safetensors', { [`${keys}.lora_up.weight`]: [640, 4], [`${keys}.lora_down.weight`]: [4, 2048] }),
      'ERR_LORA_MISMATCH',
      /SDXL base.*2048/,
    ],
    [
      'for Flux',
      () => {
        const key = 'lora_unet_single_blocks_0_linear1'
        return writeLora('flux.safetensors', { [`${key}.lora_up.weight`]: [21504, 1], [`${key}.lora_down.weight`]: [1, 3072] })
      },
      'ERR_LORA_MISMATCH',
      /Flux/,
    ],
    [
      'that is a model’s own',
      () =>
        writeLora('model.safetensors', { 'model.diffusion_model.out.2.weight': [4, 32, 3, 3], 'model.diffusion_model.out.2.bias': [4] }),
      'ERR_LORA_MISMATCH',
      /no LoRA/,
    ],
  ])('%s', async (_, path, code, message) => {
    const loras = [{ path: path() }]
    const latents = { shape: [1, 4, 8, 8], data: new Float32Array(256) }
    const calls = [
      () => draw({ loras: [{ path: kohya }, ...loras] }),
      () => loaded.model.encodePrompt('a red fox', { loras }),
      () => loaded.model.predict({ latents, timestep: 1, conditioning, loras }),
    ]
    for (const call of calls) {
      const error = await call().then(
        () => undefined,
        (reason: unknown) => reason as SdxlError,
      )
      expect(error).toBeInstanceOf(SdxlError)
      expect(error).toMatchObject({ code, details: { path: loras[0]!.path } })
      expect(error!.message).toMatch(message)
    }
  })
  let conditioning: Conditioning
  let plain: Uint8Array
  beforeAll(async () => {
    conditioning = await loaded.model.encodePrompt('a red fox')
    plain = await pixels()
  })

  test('after all of them the model works as before', async () => {
    expect(await pixels()).toEqual(plain)
  })

  function writeText(name: string, text: string): string {
    const path = join(temporary, name)
    writeFileSync(path, text, 'latin1')
    return path
  }
})

describe('options', () => {
  const cases: [field: string, loras: unknown][] = [
    ['loras', 'style.safetensors'],
    ['loras', { path: kohya }],
    ['loras', null],
    ['loras[0]', [null]],
    ['loras[0]', [kohya]],
    ['loras[0].path', [{}]],
    ['loras[0].path', [{ path: '' }]],
    ['loras[0].path', [{ path: 7 }]],
    ['loras[0].weight', [{ path: kohya, weight: '1' }]],
    ['loras[1].weight', [{ path: kohya }, { path: kohya, weight: Number.NaN }]],
    ['loras[0].unet', [{ path: kohya, unet: Number.POSITIVE_INFINITY }]],
    ['loras[0].textEncoder', [{ path: kohya, textEncoder: null }]],
    ['loras[0].strength', [{ path: kohya, strength: 1 }]],
  ]
  test.each(cases)('%s = %j is refused by name', async (field, loras) => {
    const wanted = { code: 'ERR_INVALID_ARGUMENT', details: { field } }
    await expect(draw({ loras } as never)).rejects.toMatchObject(wanted)
    await expect(loaded.model.encodePrompt('a', { loras } as never)).rejects.toMatchObject(wanted)
    const latents = { shape: [1, 4, 8, 8], data: new Float32Array(256) }
    await expect(
      loaded.model.predict({ latents, timestep: 1, conditioning: await loaded.model.encodePrompt('a'), loras } as never),
    ).rejects.toMatchObject(wanted)
  })

  test('a strength that makes values too large is refused, with the layer', async () => {
    const plain = await pixels()
    for (const weight of [1e38, 1e39])
      await expect(draw({ loras: [{ path: lokr, weight }] })).rejects.toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        details: { field: expect.stringContaining('loras') },
      })
    expect(await pixels()).toEqual(plain)
    const halves = await loadModel(tinyCheckpoint('tiny-a', { dtype: 'f16' }), { precision: 'fp16' })
    await expect(halves.generate({ ...small, loras: [{ path: lokr, weight: 1e6 }] })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      details: { field: 'loras', parameter: expect.stringMatching(/\.weight$/) },
    })
    await halves.close()
  })

  test.each([[7], [''], [null], [['loras']]])('loraDirectory = %j is refused', async (folder) => {
    await expect(draw({ loraDirectory: folder } as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      details: { field: 'loraDirectory' },
    })
  })

  test('no LoRAs, in words', async () => {
    expect(await pixels({ loras: [] })).toEqual(await pixels({ loras: undefined, loraDirectory: undefined }))
    expect(await pixels({ loras: [], loraDirectory })).toEqual(await pixels())
  })
})

describe('what a LoRA acts on', () => {
  const textOnly = [{ path: kohya, unet: 0 }]

  test('the negative prompt’s encoding as well', async () => {
    // A prompt of weight 0 leaves the negative one alone.
    const alone = async (changes: Partial<GenerateRequest>) => (await draw({ prompt: 'a red fox :0', ...changes })).images[0]!.data
    const negativePrompt = 'blurry, dark'
    const plain = await alone({ negativePrompt })
    expect(await alone({ negativePrompt, prompt: 'a blue star :0' })).toEqual(plain)
    expect(await alone({ negativePrompt, loras: textOnly })).not.toEqual(plain)
    // An empty one is zeros, which no text encoder has a part in.
    expect(await alone({ loras: textOnly })).toEqual(await alone({}))
  })

  test('every text of a schedule', async () => {
    for (const prompt of ['[a red fox:a blue star:1]', '[a red fox|a blue star]', 'a red fox AND a blue star'])
      expect(await pixels({ prompt, loras: textOnly })).not.toEqual(await pixels({ prompt }))
  })

  test('only its own request', async () => {
    const plain = await pixels()
    const [first, second, third] = await Promise.all([draw(), draw({ loras: textOnly }), draw()])
    expect(first!.images[0]!.data).toEqual(plain)
    expect(second!.images[0]!.data).not.toEqual(plain)
    expect(third!.images[0]!.data).toEqual(plain)
  })

  test('every picture of a batch alike', async () => {
    const loras = [
      { path: lokr, weight: 0.5 },
      { path: kohya, weight: 0.5 },
    ]
    const { images } = await draw({ loras, count: 3 })
    for (const [i, image] of images.entries()) expect(await pixels({ loras, seed: small.seed + i })).toEqual(image.data)
  })
})

/** Every weight of the UNet anew: as many bytes as the UNet has, for files of that kind are merged. */
function writeWholeUnet(name: string): string {
  const weights = checkpointTensors(specs['tiny-a']!).unet.filter(({ shape }) => shape.length > 1)
  const key = (weight: string) => `lora_unet_${weight.replace(/\.weight$/, '').replaceAll('.', '_')}.diff`
  return writeLora(name, Object.fromEntries(weights.map(({ name: weight, shape }) => [key(weight), shape])))
}

test('LoRAs beyond the memory budget are an error, and the model goes on', async () => {
  const loras = [{ path: writeWholeUnet('everything.safetensors') }]
  const tight = await loadModel(tinyCheckpoint('tiny-a'), {
    precision: 'fp32',
    memory: { budget: loaded.model.info.memory.weights + 16e6 },
  })
  const wanted = (await tight.generate(small)).images[0]!.data
  await expect(tight.generate({ ...small, loras })).rejects.toMatchObject({
    code: 'ERR_OUT_OF_MEMORY',
    details: { limit: expect.any(Number), wanted: expect.any(Number) },
  })
  expect((await tight.generate(small)).images[0]!.data).toEqual(wanted)
  expect((await tight.generate({ ...small, loras: [{ path: lokr }] })).images[0]!.data).toEqual(await pixels({ loras: [{ path: lokr }] }))
  await tight.close()
  expect(await pixels({ loras })).not.toEqual(wanted) // where there is room, it works
})

test('LoRAs that were used before make room for others within the memory budget', async () => {
  const path = writeWholeUnet('whole.safetensors')
  const { weights } = loaded.model.info.memory
  const model = await loadModel(tinyCheckpoint('tiny-a'), { precision: 'fp32' })
  await model.generate(small)
  const plain = model.info.memory.peak
  const drawn = await model.generate({ ...small, loras: [{ path }] })
  const set = model.info.memory.peak - plain
  expect(set).toBeGreaterThan(weights / 4) // it counts
  expect(drawn.images[0]!.data).toEqual(await pixels({ loras: [{ path }] }))
  await model.close()

  const budget = plain + Math.round(1.5 * set)
  const tight = await loadModel(tinyCheckpoint('tiny-a'), { precision: 'fp32', memory: { budget } })
  for (const weight of [1, 0.5, -1, 1]) {
    const { images } = await tight.generate({ ...small, loras: [{ path, weight }] })
    expect(images[0]!.data).toEqual(await pixels({ loras: [{ path, weight }] }))
  }
  expect(tight.info.memory.peak).toBeLessThanOrEqual(budget)
  await tight.close()
})

test('a PEFT folder is another LoRA when its configuration changes', async () => {
  const folder = join(temporary, 'peft')
  mkdirSync(folder)
  const module = 'base_model.model.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q'
  const { shape } = checkpointTensors(specs['tiny-a']!).unet.find(({ name }) => `base_model.model.${name}` === `${module}.weight`)!
  const path = writeLora('peft/adapter_model.safetensors', {
    [`${module}.lora_A.weight`]: [1, shape[1]!],
    [`${module}.lora_B.weight`]: [shape[0]!, 1],
  })
  const withAlpha = (alpha: number) => {
    writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ r: 1, lora_alpha: alpha }))
    return pixels({ loras: [{ path }] })
  }
  const [weak, strong, again] = [await withAlpha(1), await withAlpha(1000), await withAlpha(1)]
  expect(strong).not.toEqual(weak)
  expect(again).toEqual(weak)
})

describe('a result', () => {
  test('says what the LoRAs cost', async () => {
    expect((await draw({ loras: [{ path: lokr, weight: 0.123 }] })).timings.loras).toBeGreaterThan(0)
  })

  test('repeats itself by its parameters', async () => {
    const loras = [
      { path: lokr, weight: 0.5 },
      { path: kohya, unet: 0.3 },
    ]
    const first = await draw({ prompt: 'a red fox <lora:ia3:0.4>', loras, loraDirectory })
    expect(first.parameters).toMatchObject({
      loras: [
        { path: lokr, unet: 0.5, textEncoder: 0.5 },
        { path: kohya, unet: 0.3, textEncoder: 1 },
      ],
      loraDirectory,
    })
    const again = await generate(JSON.parse(JSON.stringify(first.parameters)) as never)
    expect(again.images[0]!.data).toEqual(first.images[0]!.data)
    const without = await draw()
    expect((await generate(JSON.parse(JSON.stringify(without.parameters)) as never)).images[0]!.data).toEqual(without.images[0]!.data)
  })

  test('through generate() as through a model', async () => {
    const request = { ...small, prompt: 'a red fox <lora:lokr>', loraDirectory, loras: [{ path: kohya, weight: 0.5 }] }
    const { images } = await generate({ model: tinyCheckpoint('tiny-a'), precision: 'fp32', ...request })
    expect(images[0]!.data).toEqual((await loaded.model.generate(request)).images[0]!.data)
  })
})
