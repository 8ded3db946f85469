import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type GenerateRequest,
  generate,
  type Image,
  loadModel,
  type Model,
  readParameters,
  type SdxlError,
  tinyModel,
} from '../../lib/index.js'
import { psnr } from '../support/measures.js'

const fast = { prompt: 'a red circle on a blue background', steps: 4, guidance: 4, seed: 5 }
const side = 128

let model: Model
let picture: Image
/** What the VAE keeps of it. */
let reconstructed: Image
beforeAll(async () => {
  model = await loadModel(tinyModel)
  picture = (await model.generate({ ...fast, prompt: 'a yellow star on a black background', steps: 8 })).images[0]!
  reconstructed = (await model.decode(await model.encode(picture)))[0]!
})
afterAll(() => model.close())

/** White in the left half. */
const leftHalf = (width = side, height = side) => {
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; ++y) data.fill(255, y * width * 3, (y * width + width / 2) * 3)
  return { width, height, data }
}
const draw = async (request: Partial<GenerateRequest>) => (await model.generate({ ...fast, ...request })).images[0]!
const columns = ({ width, height, data }: Image, from: number, to: number) => {
  const found: number[] = []
  for (let y = 0; y < height; ++y) found.push(...data.subarray((y * width + from) * 3, (y * width + to) * 3))
  return Uint8Array.from(found)
}
const rejection = (promise: PromiseLike<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as SdxlError,
  )

describe('img2img', () => {
  test('keeps the more of the image the less its strength', async () => {
    const near = [0.1, 0.5, 1].map(async (strength) => psnr((await draw({ image: picture, strength })).data, reconstructed.data))
    const [little, half, all] = await Promise.all(near)
    expect(little).toBeGreaterThan(half!)
    expect(half).toBeGreaterThan(all!)
    // One step of four from the lowest noise level, 0.03.
    expect(little).toBeGreaterThan(25)
  })

  test.each([
    ['a1111', 0.5, 3],
    ['a1111', 0, 1],
    ['a1111', 1, 4],
    ['diffusers', 0.5, 2],
    ['diffusers', 1, 4],
    ['comfy', 0.5, 4],
    ['comfy', 1, 4],
  ] as const)('in %s arithmetic does %f of 4 steps in %i', async (stepArithmetic, strength, steps) => {
    let last = 0
    const { images } = await model.generate({
      ...fast,
      image: picture,
      strength,
      stepArithmetic,
      onProgress: (event) => {
        if (event.type !== 'step') return
        expect(event.steps).toBe(steps)
        last = event.step
      },
    })
    expect(images).toHaveLength(1)
    expect(last).toBe(steps)
  })

  test('has the size of the image, rounded down, or is fitted to another', async () => {
    const odd = { width: 61, height: 44, data: new Uint8Array(61 * 44 * 3).fill(90) }
    expect(await draw({ image: odd })).toMatchObject({ width: 56, height: 40 })
    for (const resizeMode of ['stretch', 'crop', 'fill'] as const) {
      expect(await draw({ image: picture, width: 96, height: 64, resizeMode })).toMatchObject({ width: 96, height: 64 })
    }
  })

  test('takes a batch, and is the same in it as alone', async () => {
    const { images } = await model.generate({ ...fast, image: picture, count: 2, sampler: 'euler_a' })
    const second = await draw({ image: picture, seed: 6, sampler: 'euler_a' })
    expect(images[1]!.data).toEqual(second.data)
    expect(images[0]!.data).not.toEqual(second.data)
  })
})

describe('inpainting', () => {
  test.each(['a1111', 'comfy', 'diffusers'] as const)('in the mode %s repaints what is white and keeps the rest', async (mode) => {
    const image = await draw({ image: picture, mask: leftHalf(), strength: 1, inpaint: { mode, blur: 0 } })
    // But for A1111 latents are kept: the pixels come out of the VAE again, whose attention and norms see all of the picture.
    const original = mode === 'a1111' ? picture : reconstructed
    const [kept, wanted] = [columns(image, 80, side), columns(original, 80, side)]
    if (mode === 'a1111') expect(kept).toEqual(wanted)
    else expect(psnr(kept, wanted)).toBeGreaterThan(18)
    expect(psnr(columns(image, 0, 48), columns(original, 0, 48))).toBeLessThan(15)
  })

  test('puts back the pixels of the image where it is asked to', async () => {
    const image = await draw({ image: picture, mask: leftHalf(), inpaint: { mode: 'diffusers', paste: true } })
    expect(columns(image, 64, side)).toEqual(columns(picture, 64, side))
    const soft = await draw({ image: picture, mask: leftHalf(), inpaint: { blur: 4 } })
    // A blur of 4 reaches 10 pixels.
    expect(columns(soft, 75, side)).toEqual(columns(picture, 75, side))
    expect(columns(soft, 64, 75)).not.toEqual(columns(picture, 64, 75))
  })

  test('turns the mask around', async () => {
    const image = await draw({ image: picture, mask: leftHalf(), inpaint: { invert: true, blur: 0 } })
    expect(columns(image, 0, 64)).toEqual(columns(picture, 0, 64))
    expect(columns(image, 64, side)).not.toEqual(columns(picture, 64, side))
  })

  test('starts from what it is told', async () => {
    const all = ['original', 'fill', 'noise', 'nothing'] as const
    const images = await Promise.all(all.map((fill) => draw({ image: picture, mask: leftHalf(), strength: 0.6, inpaint: { fill } })))
    for (const [i, image] of images.entries()) {
      expect(columns(image, 80, side)).toEqual(columns(picture, 80, side))
      for (const other of images.slice(i + 1)) expect(image.data).not.toEqual(other.data)
    }
  })

  test('draws the masked part alone, larger, and pastes it back', async () => {
    const large = { width: 200, height: 160, data: new Uint8Array(200 * 160 * 3).map((_, i) => (i * 7) % 251) }
    const mask = { width: 200, height: 160, data: new Uint8Array(200 * 160 * 3) }
    for (let y = 40; y < 60; ++y) mask.data.fill(255, (y * 200 + 150) * 3, (y * 200 + 170) * 3)
    const image = await draw({ image: large, mask, inpaint: { onlyMasked: { padding: 8 }, blur: 0 } })
    expect(image).toMatchObject({ width: 200, height: 160 })
    let changed = 0
    for (let i = 0; i < 200 * 160; ++i) {
      const same = [0, 1, 2].every((c) => image.data[i * 3 + c] === large.data[i * 3 + c])
      if (mask.data[i * 3] === 0) expect(same).toBe(true)
      else changed += same ? 0 : 1
    }
    expect(changed).toBeGreaterThan(350)
  })

  test('takes the alpha channel for the mask', async () => {
    const { default: sharp } = await import('sharp')
    const alpha = Buffer.alloc(side * side, 255)
    for (let y = 0; y < side; ++y) alpha.fill(0, y * side, y * side + side / 2)
    const clear = await sharp(picture.data, { raw: { width: side, height: side, channels: 3 } })
      .joinChannel(alpha, { raw: { width: side, height: side, channels: 1 } })
      .png()
      .toBuffer()
    const byAlpha = await draw({ image: clear, inpaint: { useAlpha: true } })
    expect(byAlpha.data).toEqual((await draw({ image: picture, mask: leftHalf() })).data)
  })
})

test('outpainting adds to the picture and keeps it', async () => {
  const image = await draw({ image: picture, outpaint: { right: 32, top: 16 }, inpaint: { blur: 0 } })
  expect(image).toMatchObject({ width: 160, height: 144 })
  for (let y = 0; y < side; y += 9) {
    const row = image.data.subarray((y + 16) * 160 * 3, ((y + 16) * 160 + side) * 3)
    expect(row).toEqual(picture.data.subarray(y * side * 3, (y + 1) * side * 3))
  }
})

test('variations lie between two seeds', async () => {
  const at = (strength: number) => draw({ variation: { seed: 77, strength } })
  expect((await at(0)).data).toEqual((await draw({})).data)
  expect((await at(1)).data).toEqual((await draw({ seed: 77 })).data)
  const middle = await at(0.3)
  expect(middle.data).not.toEqual((await at(0)).data)
  const { images } = await model.generate({ ...fast, count: 2, variation: { seed: 76, strength: 0.3 } })
  expect(images.map(({ seed }) => seed)).toEqual([5, 5])
  expect(images[1]!.data).toEqual(middle.data)
  expect(await readParameters(images[1]!)).toMatchObject({ seed: 5, variation: { seed: 77, strength: 0.3 } })
})

describe('hires', () => {
  test.each(['latent', 'Latent (bicubic antialiased)', 'latent (nearest-exact)', 'lanczos', 'nearest'] as const)(
    'with %s',
    async (upscaler) => {
      const steps: number[] = []
      const { images, timings } = await model.generate({
        ...fast,
        hires: { scale: 1.5, upscaler: upscaler as 'latent', steps: 3, strength: 0.6 },
        onProgress: (event) => {
          if (event.type === 'step') steps.push(event.step, event.steps)
        },
      })
      expect(images[0]).toMatchObject({ width: 192, height: 192 })
      expect(images).toHaveLength(1)
      expect(steps).toEqual([1, 7, 2, 7, 3, 7, 4, 7, 5, 7, 6, 7, 7, 7])
      expect(timings.denoise).toBeGreaterThan(0)
      const first = await draw({})
      // The second pass keeps what the first drew.
      const { default: sharp } = await import('sharp')
      const back = await sharp(images[0]!.data, { raw: { width: 192, height: 192, channels: 3 } })
        .resize(side, side)
        .raw()
        .toBuffer()
      expect(psnr(back, first.data)).toBeGreaterThan(12)
    },
  )

  test('to a size of its own, with its own sampling and prompt', async () => {
    const hires = { width: 160, height: 128, sampler: 'euler_a', guidance: 2, prompt: 'a green square', negativePrompt: 'red', steps: 2 }
    const image = await draw({ hires })
    expect(image).toMatchObject({ width: 160, height: 128 })
    expect(await draw({ hires: { height: 160, steps: 1 } })).toMatchObject({ width: 160, height: 160 })
  })

  test('gives the same picture in a batch as alone', async () => {
    for (const upscaler of ['latent', 'lanczos'] as const) {
      const hires = { scale: 1.25, steps: 2, upscaler }
      const { images } = await model.generate({ ...fast, count: 2, hires })
      expect(images[1]!.data).toEqual((await draw({ seed: 6, hires })).data)
    }
  })
})

describe('guidance', () => {
  test('by the step, and within an interval', async () => {
    const usual = await draw({})
    expect((await draw({ guidance: [4, 4, 4, 4] })).data).toEqual(usual.data)
    const half = await draw({ guidance: [4, 4, 1, 1] })
    expect(half.data).not.toEqual(usual.data)
    expect((await draw({ guidanceInterval: [0, 0.5] })).data).toEqual(half.data)
    expect((await draw({ guidanceInterval: [0, 1] })).data).toEqual(usual.data)
    expect((await draw({ guidanceInterval: [0, 0] })).data).toEqual((await draw({ guidance: 1 })).data)
  })

  test('is projected', async () => {
    const usual = await draw({})
    // With all of the part along the estimate, no limit and no momentum it is ordinary guidance, computed in another order.
    expect(psnr((await draw({ guidanceProjection: { eta: 1, limit: 0, momentum: 0 } })).data, usual.data)).toBeGreaterThan(50)
    expect(psnr((await draw({ guidanceProjection: {} })).data, usual.data)).toBeLessThan(50)
  })

  test('is rescaled', async () => {
    expect((await draw({ guidanceRescale: 0.7 })).data).not.toEqual((await draw({})).data)
  })
})

describe('noise levels', () => {
  test('of one’s own', async () => {
    const { sigmas } = await import('../../lib/index.js')
    const usual = await draw({ scheduler: 'karras' })
    expect((await draw({ steps: undefined, sigmas: sigmas('karras', 4) })).data).toEqual(usual.data)
    const { images, parameters } = await model.generate({ ...fast, steps: undefined, timesteps: [999, 749, 499, 249] })
    expect(parameters).toMatchObject({ steps: 4, timesteps: [999, 749, 499, 249] })
    expect((await generate(parameters as never)).images[0]!.data).toEqual(images[0]!.data)
    expect((await draw({ scheduler: 'karras', rho: 3 })).data).not.toEqual(usual.data)
  })

  test('of a zero terminal signal-to-noise ratio', async () => {
    expect((await draw({ zeroTerminalSnr: true })).data).not.toEqual((await draw({})).data)
  })
})

test('tiling makes opposite edges fit', async () => {
  // Rows at the top and bottom differ no more than rows next to each other anywhere else.
  const seam = (image: Image, axis: 'x' | 'y') => {
    let [across, inside] = [0, 0]
    for (let i = 0; i < side; ++i) {
      for (let c = 0; c < 3; ++c) {
        const at = (j: number) => image.data[(axis === 'x' ? i * side + j : j * side + i) * 3 + c]!
        across += Math.abs(at(0) - at(side - 1))
        inside += Math.abs(at(side / 2) - at(side / 2 - 1))
      }
    }
    return across / Math.max(inside, 1)
  }
  const request = { prompt: 'a striped pattern', seed: 11, steps: 6 }
  const both = await draw({ ...request, tiling: true })
  const across = await draw({ ...request, tiling: { x: true } })
  expect(across.data).not.toEqual(both.data)
  expect((await draw({ ...request, tiling: { x: false } })).data).toEqual((await draw(request)).data)
  expect(seam(both, 'x')).toBeLessThan(seam(await draw(request), 'x') + 1)
})

describe('previews', () => {
  test.each([
    ['linear', 16],
    ['vae', side],
  ] as const)('by %s come after every second step', async (method, size) => {
    const seen: [number, number][] = []
    const images: Image[] = []
    for await (const event of model.generate({ ...fast, preview: { every: 2, method } })) {
      if (event.type !== 'preview') continue
      seen.push([event.step, event.image.width])
      images.push(event.image)
    }
    expect(seen).toEqual([
      [2, size],
      [4, size],
    ])
    const final = await draw({})
    // The last estimate is the picture.
    if (method === 'vae') expect(images[1]!.data).toEqual(final.data)
  })
})

describe('a job that ends early', () => {
  test.each([
    ['from an image', { image: undefined as never }, 1],
    ['in its second pass', { hires: { scale: 1.25, steps: 3 } }, 5],
  ] as const)('%s rejects with the reason', async (_, request, at) => {
    const stop = new AbortController()
    const given = 'hires' in request ? request : { image: picture, mask: leftHalf() }
    const job = model.generate({
      ...fast,
      ...given,
      signal: stop.signal,
      onProgress: (event) => event.type === 'step' && event.step >= at && stop.abort(new Error('enough')),
    })
    expect(await rejection(job)).toMatchObject({ message: 'enough' })
    expect(await rejection(model.generate({ ...fast, ...given, signal: AbortSignal.abort(new Error('before')) }))).toMatchObject({
      message: 'before',
    })
  })
})

describe('parameters', () => {
  const mask = leftHalf()
  const cases: [string, Partial<GenerateRequest>][] = [
    ['img2img', { strength: 0.6, stepArithmetic: 'diffusers', resizeMode: 'crop' }],
    ['inpainting', { mask, strength: 0.9, inpaint: { blur: 2, fill: 'noise', onlyMasked: { padding: 4 } } }],
    ['outpainting', { outpaint: { left: 8 }, inpaint: { mode: 'comfy' } }],
    ['hires', { image: undefined, hires: { scale: 1.25, steps: 2, upscaler: 'lanczos', prompt: 'a star', guidance: 3 } }],
    [
      'sampling',
      {
        image: undefined,
        sampler: 'euler_a',
        samplerOptions: { eta: 0.5 },
        guidanceInterval: [0.25, 1],
        guidanceRescale: 0.3,
        tiling: { x: true },
      },
    ],
  ]
  test.each(cases)('of %s repeat the picture, and so does the text in its file', async (_, request) => {
    const given = { ...fast, image: picture, ...request }
    const { images, parameters } = await model.generate(given)
    expect((await generate(parameters as never)).images[0]!.data).toEqual(images[0]!.data)
    const read = await readParameters(await images[0]!.png())
    const { image, mask: repainted } = given as GenerateRequest
    const again = await model.generate({ ...read!, image, mask: repainted })
    expect(again.images[0]!.data).toEqual(images[0]!.data)
  })
})

describe('what does not fit', () => {
  const cases: [field: string, request: object][] = [
    ['image', { mask: leftHalf() }],
    ['image', { strength: 0.5 }],
    ['image', { outpaint: { left: 8 } }],
    ['image', { image: 'nowhere.png' }],
    ['image', { image: { width: 2, height: 2, data: new Uint8Array(12) }, inpaint: { useAlpha: true } }],
    ['strength', { image: leftHalf(), strength: 1.5 }],
    ['strength', { image: leftHalf(), strength: 0.1, stepArithmetic: 'diffusers' }],
    ['strength', { image: leftHalf(), strength: 0.001, stepArithmetic: 'comfy' }],
    ['mask', { image: leftHalf(), mask: leftHalf(64, 64) }],
    ['mask', { image: leftHalf(), inpaint: { blur: 3 } }],
    [
      'mask',
      { image: leftHalf(), mask: { width: side, height: side, data: new Uint8Array(side * side * 3) }, inpaint: { onlyMasked: true } },
    ],
    ['resizeMode', { image: leftHalf(), resizeMode: 'cover' }],
    ['stepArithmetic', { image: leftHalf(), stepArithmetic: 'forge' }],
    ['inpaint.mode', { image: leftHalf(), mask: leftHalf(), inpaint: { mode: 'forge' } }],
    ['inpaint.blur', { image: leftHalf(), mask: leftHalf(), inpaint: { blur: -1 } }],
    ['inpaint.fill', { image: leftHalf(), mask: leftHalf(), inpaint: { fill: 'grey' } }],
    ['inpaint.onlyMasked.padding', { image: leftHalf(), mask: leftHalf(), inpaint: { onlyMasked: { padding: 1.5 } } }],
    ['inpaint.useAlpha', { image: leftHalf(), mask: leftHalf(), inpaint: { useAlpha: true } }],
    ['inpaint.feather', { image: leftHalf(), mask: leftHalf(), inpaint: { feather: 1 } }],
    ['outpaint', { image: leftHalf(), outpaint: {} }],
    ['outpaint.left', { image: leftHalf(), outpaint: { left: -8 } }],
    ['variation.seed', { variation: { strength: 0.5 } }],
    ['variation.strength', { variation: { seed: 1, strength: 2 } }],
    ['noise', { variation: { seed: 1, strength: 0.5 }, noise: { shape: [1, 4, 16, 16], data: new Float32Array(1024) } }],
    ['hires', { image: leftHalf(), hires: {} }],
    ['hires', { hires: { scale: 16 }, width: 1024 }],
    ['hires.scale', { hires: { scale: 0.5 } }],
    ['hires.scale', { hires: { scale: 2, width: 256 } }],
    ['hires.width', { hires: { width: 100 } }],
    ['hires.upscaler', { hires: { upscaler: 'ESRGAN' } }],
    ['hires.guidance', { guidance: [1, 2, 3, 4], hires: {} }],
    ['hires.prompt', { hires: { prompt: 3 } }],
    ['hires.seed', { hires: { seed: 3 } }],
    ['guidance', { guidance: [1, 2] }],
    ['guidance[1]', { guidance: [1, 'x', 3, 4] }],
    ['guidanceInterval', { guidanceInterval: [0.5, 0.2] }],
    ['guidanceRescale', { guidanceRescale: 2 }],
    ['guidanceRescale', { guidanceRescale: 0.5, guidanceProjection: {} }],
    ['guidanceProjection.eta', { guidanceProjection: { eta: 2 } }],
    ['guidanceProjection.norm', { guidanceProjection: { norm: 2 } }],
    ['style', { style: 'forge' }],
    ['samplerOptions', { samplerOptions: 3 }],
    ['sigmas', { steps: undefined, sigmas: [1] }],
    ['sigmas[1]', { steps: undefined, sigmas: [1, 2, 0] }],
    ['steps', { sigmas: [3, 2, 0] }],
    ['scheduler', { steps: undefined, sigmas: [3, 2, 0], scheduler: 'karras' }],
    ['timesteps', { steps: undefined, sigmas: [3, 2, 0], timesteps: [3] }],
    ['timesteps[1]', { steps: undefined, timesteps: [3, 3] }],
    ['sigmaMin', { sigmaMin: -1 }],
    ['zeroTerminalSnr', { zeroTerminalSnr: 'yes' }],
    ['refine', { refine: { switchAt: 0.5 } }],
    ['tiling', { tiling: 'x' }],
    ['tiling.z', { tiling: { z: true } }],
    ['preview.every', { preview: {} }],
    ['preview.method', { preview: { every: 1, method: 'fast' } }],
    ['preview.method', { preview: { every: 1, method: 'taesd' } }],
  ]
  test.each(cases)('%s in %o is named', async (field, request) => {
    const error = await rejection(model.generate({ ...fast, ...request } as never))
    expect(error).toMatchObject({ name: 'SdxlError', code: 'ERR_INVALID_ARGUMENT', details: { field } })
    expect(error!.message).toContain(field)
  })

  test.each([
    ['refiner', { refiner: '' }],
    ['taesd', { taesd: 3 }],
    ['prediction', { prediction: 'x0' }],
  ])('%s of loadModel', async (field, options) => {
    expect(await rejection(loadModel(tinyModel, options as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { field } })
  })
})
