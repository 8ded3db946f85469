import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generate, inspectModel, listDevices, loadModel, type Model, SdxlError, tinyModel } from '../../lib/index.js'

let model: Model
beforeAll(async () => {
  model = await loadModel(tinyModel)
})
afterAll(() => model.close())

const rejection = (promise: PromiseLike<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as SdxlError,
  )

describe.each<[field: string, value: unknown]>([
  ['prompt', undefined],
  ['prompt', 42],
  ['prompt', null],
  ['negativePrompt', {}],
  ['width', 100],
  ['width', 0],
  ['width', '512'],
  ['height', 8200],
  ['height', Number.NaN],
  ['steps', 0],
  ['steps', 2.5],
  ['steps', -1],
  ['guidance', Number.POSITIVE_INFINITY],
  ['guidance', '7'],
  ['sampler', 'eular'],
  ['sampler', 3],
  ['scheduler', 'carras'],
  ['seed', -1],
  ['seed', 2 ** 53],
  ['seed', 1.5],
  ['count', 0],
  ['count', 65],
  ['rng', 'mersenne'],
  ['noise', [1, 2, 3]],
  ['prompting', 'a1111'],
  ['size', { original: [1] }],
  ['signal', {}],
  ['onProgress', 'log'],
])('generate with %s = %o', (field, value) => {
  test('rejects with ERR_INVALID_ARGUMENT that names the field', async () => {
    const error = await rejection(model.generate({ prompt: 'a red circle', [field]: value } as never))
    expect(error).toBeInstanceOf(SdxlError)
    expect(error?.code).toBe('ERR_INVALID_ARGUMENT')
    expect(error?.message).toContain(field)
    expect(String(error?.details.field)).toContain(field)
  })
})

test('a seed leaves room for every picture of the batch', async () => {
  const error = await rejection(model.generate({ prompt: '', seed: Number.MAX_SAFE_INTEGER, count: 2 }))
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { field: 'seed' } })
})

describe('unknown options', () => {
  test.each([
    ['of generate', () => model.generate({ prompt: '', stepz: 3 } as never), 'stepz'],
    ['of generate()', () => generate({ model: tinyModel, prompt: '', negative_prompt: '' } as never), 'negative_prompt'],
    ['of prompting', () => model.generate({ prompt: '', prompting: { clip_skip: 2 } } as never), 'prompting.clip_skip'],
    ['of size', () => model.generate({ prompt: '', size: { origin: [1, 1] } } as never), 'size.origin'],
    ['of a prompt part', () => model.generate({ prompt: [{ txt: 'a' }] } as never), 'prompt[0].txt'],
    ['of loadModel', () => loadModel(tinyModel, { dtype: 'fp16' } as never), 'dtype'],
    ['of memory', () => loadModel(tinyModel, { memory: { limit: 1 } } as never), 'memory.limit'],
  ])('%s are named, with what is allowed', async (_, call, name) => {
    const error = await rejection(call())
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { field: name } })
    expect(error?.details.allowed).toBeInstanceOf(Array)
  })

  test('no request at all', async () => {
    expect(await rejection(model.generate(undefined as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
    expect(await rejection(generate(undefined as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
  })
})

describe('loadModel', () => {
  test.each([
    ['precision', { precision: 'fp8' }],
    ['threads', { threads: 0 }],
    ['threads', { threads: 1.5 }],
    ['memory.budget', { memory: { budget: -1 } }],
    ['memory.offload', { memory: { offload: 'blocks' } }],
    ['memory.offload', { memory: { offload: true } }],
    ['device', { device: 'gpu' }],
    ['vae', { vae: '' }],
    ['model', undefined],
  ])('checks %s', async (field, options) => {
    const error = await rejection(loadModel(options ? tinyModel : (7 as never), options as never))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { field } })
  })

  test('a device that is not there is refused, not replaced', async () => {
    for (const device of ['cuda', 'cuda:1'] as const)
      expect(await rejection(loadModel(tinyModel, { device }))).toMatchObject({ code: 'ERR_DEVICE_UNAVAILABLE', details: { device } })
    const auto = await loadModel(tinyModel, { device: 'auto' })
    expect(auto.info).toMatchObject({
      device: 'cpu',
      precision: expect.stringMatching(/^(fp32|bf16)$/),
      family: 'sdxl',
      prediction: 'epsilon',
    })
    expect(auto.info.reason).toBeTruthy()
    await auto.close()
  })

  test('memory.offload has no effect on the CPU', async () => {
    const without = await loadModel(tinyModel, { device: 'cpu' })
    for (const offload of ['none', 'model', 'layers'] as const) {
      const model = await loadModel(tinyModel, { device: 'cpu', memory: { offload } })
      expect(model.info.memory.weights).toBe(without.info.memory.weights)
      await model.close()
    }
    await without.close()
  })
})

describe('the parts', () => {
  const conditioning = () => model.encodePrompt('a red circle')
  const latents = { shape: [1, 4, 16, 16], data: new Float32Array(1024) }

  test.each([
    ['latents.shape', { latents: { shape: [1, 3, 16, 16], data: new Float32Array(768) } }],
    ['latents.data', { latents: { shape: [1, 4, 16, 16], data: new Float32Array(1000) } }],
    ['latents', { latents: undefined }],
    ['timestep', { timestep: Number.NaN }],
    ['timestep', { timestep: undefined }],
  ])('predict checks %s', async (field, change) => {
    const error = await rejection(model.predict({ latents, timestep: 1, conditioning: await conditioning(), ...change } as never))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { field } })
  })

  test('predict checks the conditioning', async () => {
    const good = await conditioning()
    const narrow = { ...good, context: { shape: [1, 77, 100], data: new Float32Array(7700) } }
    expect(await rejection(model.predict({ latents, timestep: 1, conditioning: narrow }))).toMatchObject({
      details: { field: 'conditioning.context.shape' },
    })
    const two = { ...good, context: { shape: [2, 77, 192], data: new Float32Array(2 * 77 * 192) } }
    expect(await rejection(model.predict({ latents, timestep: 1, conditioning: two }))).toMatchObject({
      details: { field: 'conditioning.context.shape[0]' },
    })
  })

  test('one conditioning serves every latent', async () => {
    const data = Float32Array.from({ length: 2048 }, (_, i) => Math.sin(i))
    const both = await model.predict({ latents: { shape: [2, 4, 16, 16], data }, timestep: 500, conditioning: await conditioning() })
    const second = await model.predict({
      latents: { shape: [1, 4, 16, 16], data: data.slice(1024) },
      timestep: 500,
      conditioning: await conditioning(),
    })
    expect(both.data.slice(1024)).toEqual(second.data)
  })

  test('decode rounds what decodeTensor gives', async () => {
    const some = { shape: [2, 4, 9, 5], data: Float32Array.from({ length: 360 }, (_, i) => Math.cos(i)) }
    const pictures = await model.decode(some)
    const { shape, data } = await model.decodeTensor(some)
    expect(shape).toEqual([2, 3, 72, 40])
    expect(pictures.map(({ width, height }) => [width, height])).toEqual([
      [40, 72],
      [40, 72],
    ])
    const size = 72 * 40
    for (const p of [0, 1, 777, size - 1]) {
      for (let c = 0; c < 3; c++) {
        const value = Math.min(Math.max(data[(3 + c) * size + p]! / 2 + 0.5, 0), 1) * 255
        expect(Math.abs(pictures[1]!.data[3 * p + c]! - value)).toBeLessThanOrEqual(0.5001)
      }
    }
  })

  test('encode takes any picture of fitting size', async () => {
    const [picture] = await model.decode({ shape: [1, 4, 4, 6], data: new Float32Array(96) })
    const direct = await model.encode(picture!)
    expect(direct.shape).toEqual([1, 4, 4, 6])
    expect((await model.encode(await picture!.png())).data).toEqual(direct.data)
    expect((await model.encode(`data:image/png;base64,${await picture!.toBase64()}`)).data).toEqual(direct.data)
    const error = await rejection(model.encode({ width: 12, height: 8, data: new Uint8Array(288) }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { field: 'image.width' } })
  })

  test('latents that are no numbers are an error, not a picture', async () => {
    const error = await rejection(model.decode({ shape: [1, 4, 2, 2], data: new Float32Array(16).fill(Number.NaN) }))
    expect(error).toBeInstanceOf(SdxlError)
  })
})

test('listDevices names what can be used and why not', async () => {
  const devices = await listDevices()
  expect(devices.find((d) => d.id === 'cpu')).toMatchObject({ kind: 'cpu', usable: true })
  expect(devices.find((d) => d.id === 'cpu')?.features).toContain('plain')
  for (const device of devices.filter((d) => !d.usable)) expect(device.reason).toBeTruthy()
})

test('inspectModel reads the header of the tiny model', async () => {
  expect(await inspectModel(tinyModel)).toMatchObject({
    format: 'single-file',
    family: 'sdxl',
    dtype: 'fp16',
    problems: [],
    metadata: { 'modelspec.title': 'tiny shapes' },
  })
})
