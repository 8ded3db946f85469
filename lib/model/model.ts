import { setImmediate } from 'node:timers/promises'
import type { NativeEngine, NativeModelInfo, NativePrompt } from '../../bindings/addon.js'
import { checkKeys, invalid, optionalNumber } from '../check.js'
import { SdxlError } from '../errors.js'
import { createImage, type Image, type ImageInput, readImage } from '../image/index.js'
import { Job, type JobContext, onAbort } from '../job.js'
import { addon, nativeCall } from '../native-call.js'
import {
  checkPromptOptions,
  layoutPrompt,
  type PromptOptions,
  type PromptPart,
  type PromptReport,
  type ResolvedPromptOptions,
} from '../prompt/index.js'
import { encodePlan, stepCount } from '../sampling/encode-plan.js'
import type {
  Conditioning,
  GenerateEvent,
  GenerateRequest,
  GenerateResult,
  GenerationJob,
  LoadOptions,
  Model,
  ModelInfo,
  SizeConditioning,
  Tensor,
} from '../types.js'
import { type CheckedRequest, checkGenerateRequest, checkSizes, checkTensor } from './generate-options.js'
import { infotext } from './infotext.js'
import { checkLoadOptions } from './load-options.js'
import { warmUp } from './warm-up.js'

/**
 * Loads a checkpoint: a safetensors file with UNet, both text encoders and VAE, or a folder as Diffusers saves it.
 *
 * @throws (rejects) SdxlError ERR_MODEL_NOT_FOUND, ERR_MODEL_FORMAT with all problems of the file in `details.problems`,
 *                   ERR_MODEL_UNSUPPORTED, ERR_DEVICE_UNAVAILABLE, ERR_OUT_OF_MEMORY, ERR_INVALID_ARGUMENT, ERR_NATIVE_LOAD;
 *                   the signal's reason when aborted
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<Model> {
  const request = checkLoadOptions(path, options)
  await setImmediate() // loading the addon takes a turn of the event loop of its own
  const engine = new (addon().Engine)()
  const stop = new AbortController()
  const release = onAbort(options.signal, (reason) => stop.abort(reason))
  // What a user's callback throws ends the loading: nobody could catch it where it is called.
  const onProgress = (progress: { phase: string; loaded: number; total: number }) => {
    try {
      options.onProgress?.(progress)
    } catch (error) {
      stop.abort(error)
    }
  }
  try {
    const [info] = await Promise.all([nativeCall(stop.signal, (cancellation) => engine.load(request, cancellation, onProgress)), warmUp()])
    stop.signal.throwIfAborted()
    return new LoadedModel(engine, info)
  } catch (error) {
    await engine.close()
    throw error
  } finally {
    release()
  }
}

/** Latents are as the UNet sees them (already scaled) and (n, channels, height / scale, width / scale) everywhere. */
export class LoadedModel implements Model {
  readonly #engine: NativeEngine
  readonly #native: NativeModelInfo
  #closed: Promise<void> | undefined
  /** Called once, when the model closes. */
  onClose: (() => void) | undefined

  constructor(engine: NativeEngine, native: NativeModelInfo) {
    this.#engine = engine
    this.#native = native
  }

  get info(): ModelInfo {
    const { path, family, prediction, device, precision, backend, reason, unet, textEncoder, textEncoder2, vae, weightBytes } = this.#native
    return {
      path,
      family,
      prediction,
      device,
      precision,
      backend,
      reason,
      parameters: { unet, textEncoder, textEncoder2, vae },
      memory: { weights: weightBytes, peak: this.#engine.peakBytes() },
    }
  }

  generate(request: GenerateRequest): GenerationJob {
    return new Job((context) => this.run(request, context, 0), request?.onProgress)
  }

  /** The body of a job. `load`: milliseconds already spent on loading the model for it. */
  async run(request: GenerateRequest, { signal, emit }: JobContext, load: number): Promise<GenerateResult> {
    const begun = performance.now()
    this.#assertOpen()
    const checked = checkGenerateRequest(request, this.#native)
    const stop = new AbortController()
    const releases = [signal, request.signal].map((source) => onAbort(source, (reason) => stop.abort(reason)))
    try {
      return await this.#generate(checked, stop.signal, emit, begun, load)
    } finally {
      for (const release of releases) release()
    }
  }

  async #generate(
    request: CheckedRequest,
    signal: AbortSignal,
    emit: (event: GenerateEvent) => void,
    begun: number,
    load: number,
  ): Promise<GenerateResult> {
    const { scale } = this.#native
    const positive = toNative(request.prompt, request.prompting, 'prompt')
    const negative = toNative(request.negativePrompt, request.prompting, 'negativePrompt')
    const zeroed = request.negativePrompt === '' && request.prompting.zeroEmptyNegative
    const steps = stepCount(request.plan)
    const seeds = Float64Array.from({ length: request.count }, (_, i) => request.seed + i)
    const parameters = describe(request, this.#native)
    const images: Image[] = []

    const timings = await nativeCall(signal, (cancellation) =>
      this.#engine.generate(
        {
          positive: positive.native,
          negative: zeroed ? null : negative.native,
          plan: encodePlan(request.plan),
          guidance: request.guidance,
          height: request.height / scale,
          width: request.width / scale,
          seeds,
          rng: request.rng,
          noise: request.noise,
          sizes: request.sizes,
        },
        cancellation,
        (event) => {
          if (signal.aborted) return
          if (event.type === 'step') {
            const { index, sigma, milliseconds } = event
            return emit({ type: 'step', step: index + 1, steps, sigma, milliseconds })
          }
          const seed = seeds[event.index]!
          const image = createImage({
            width: request.width,
            height: request.height,
            data: event.rgb,
            seed,
            parameters: infotext({ ...parameters, seed }),
          })
          images.push(image)
          emit({ type: 'image', index: event.index, image })
        },
      ),
    )
    // An abort that came after the engine's last look still ends the job: its events were dropped.
    signal.throwIfAborted()
    const { encode, denoise, decode } = timings
    return {
      images,
      seed: request.seed,
      timings: { load, encode, denoise, decode, total: load + performance.now() - begun },
      tokens: positive.report,
      parameters,
      warnings: [
        ...positive.report.diagnostics,
        ...(zeroed ? [] : negative.report.diagnostics),
        ...timings.warnings.map((message) => ({ code: 'W_RENORM', message })),
        ...(this.#native.markers.includes('ztsnr') ? [zeroTerminalSnr] : []),
      ],
    }
  }

  async encodePrompt(prompt: string | PromptPart[], options: PromptOptions = {}): Promise<Conditioning> {
    this.#assertOpen()
    const { native, report } = toNative(prompt, checkPromptOptions(options, 'options'), 'prompt')
    const { tokens, context, pooled } = await nativeCall(undefined, () => this.#engine.encodePrompt(native))
    return {
      context: { shape: [1, tokens, this.#native.contextWidth], data: context },
      pooled: { shape: [1, this.#native.pooledWidth], data: pooled },
      report,
    }
  }

  async predict(input: { latents: Tensor; timestep: number; conditioning: Conditioning; size?: SizeConditioning }): Promise<Tensor> {
    this.#assertOpen()
    checkKeys('input', input, ['latents', 'timestep', 'conditioning', 'size'])
    const { latentChannels, contextWidth, pooledWidth, scale } = this.#native
    const latents = checkTensor('latents', input.latents, [0, latentChannels, 0, 0])
    const [count, , height, width] = latents.shape as [number, number, number, number]
    if (optionalNumber('timestep', input.timestep, 'a finite number') === undefined)
      throw invalid('timestep', 'a finite number', input.timestep)
    checkKeys('conditioning', input.conditioning, ['context', 'pooled', 'report'])
    const context = checkTensor('conditioning.context', input.conditioning.context, [0, 0, contextWidth])
    const [prompts, tokens] = context.shape as [number, number, number]
    if (prompts !== 1 && prompts !== count) throw invalid('conditioning.context.shape[0]', `1 or the number of latents, ${count}`, prompts)
    const pooled = checkTensor('conditioning.pooled', input.conditioning.pooled, [prompts, pooledWidth])
    const data = await nativeCall(undefined, () =>
      this.#engine.predict({
        latents: latents.data,
        count,
        height,
        width,
        timestep: input.timestep,
        context: context.data,
        pooled: pooled.data,
        prompts,
        tokens,
        sizes: checkSizes(input.size, height * scale, width * scale),
      }),
    )
    return { shape: [...latents.shape], data }
  }

  async decode(latents: Tensor): Promise<Image[]> {
    const images: Image[] = []
    await this.#decode(latents, false, (event, width, height) => images.push(createImage({ width, height, data: event.rgb! })))
    return images
  }

  async decodeTensor(latents: Tensor): Promise<Tensor> {
    let result: Tensor | undefined
    await this.#decode(latents, true, ({ index, pixels }, width, height) => {
      const count = latents.shape[0]!
      result ??= { shape: [count, 3, height, width], data: new Float32Array(count * 3 * height * width) }
      result.data.set(pixels!, index * 3 * height * width)
    })
    return result!
  }

  async #decode(
    latents: Tensor,
    pixels: boolean,
    onImage: (event: { index: number; rgb?: Uint8Array; pixels?: Float32Array }, width: number, height: number) => void,
  ): Promise<void> {
    this.#assertOpen()
    const { shape, data } = checkTensor('latents', latents, [0, this.#native.latentChannels, 0, 0])
    const [count, , height, width] = shape as [number, number, number, number]
    const { scale } = this.#native
    await nativeCall(undefined, () =>
      this.#engine.decode({ latents: data, count, height, width, pixels, tile: 0 }, undefined, (event) =>
        onImage(event, width * scale, height * scale),
      ),
    )
  }

  async encode(image: ImageInput): Promise<Tensor> {
    this.#assertOpen()
    const { width, height, data } = await readImage(image)
    const { scale, latentChannels } = this.#native
    for (const [side, pixels] of Object.entries({ width, height })) {
      if (pixels % scale) throw invalid(`image.${side}`, `a multiple of ${scale}`, pixels)
    }
    const latents = await nativeCall(undefined, () => this.#engine.encodeImage({ width, height, data }))
    return { shape: [1, latentChannels, height / scale, width / scale], data: latents }
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = this.#engine.close()
      this.onClose?.()
    }
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #assertOpen(): void {
    if (this.#closed) throw new SdxlError('ERR_CLOSED', `The model ${this.#native.path} is closed`, { path: this.#native.path })
  }
}

const zeroTerminalSnr = {
  code: 'W_ZTSNR',
  message: 'the model was trained to zero terminal SNR; this version samples it from the ordinary largest noise level',
}

function toNative(
  prompt: string | PromptPart[],
  options: ResolvedPromptOptions,
  field: 'prompt' | 'negativePrompt',
): { native: NativePrompt; report: PromptReport } {
  const { chunks, report } = layoutPrompt(prompt, options, { field, negative: field === 'negativePrompt' })
  const join = <T extends Int32Array | Float32Array>(array: T, part: (i: number) => T): T => {
    for (let i = 0; i < chunks.length; i++) array.set(part(i), i * 77)
    return array
  }
  const length = chunks.length * 77
  return {
    report,
    native: {
      ids: join(new Int32Array(length), (i) => chunks[i]!.ids),
      ids2: join(new Int32Array(length), (i) => chunks[i]!.ids2),
      weights: join(new Float32Array(length), (i) => chunks[i]!.weights),
      weights2: join(new Float32Array(length), (i) => chunks[i]!.weights2),
      emphasis: options.emphasis,
      clipSkip: options.clipSkip,
    },
  }
}

/** Everything needed to repeat the pictures, as plain data that `generate` takes. */
function describe(request: CheckedRequest, info: NativeModelInfo): Record<string, unknown> {
  const { noise, sizes, plan: _, ...rest } = request
  const [originalHeight, originalWidth, top, left, targetHeight, targetWidth] = sizes
  const shape = [request.count, info.latentChannels, request.height / info.scale, request.width / info.scale]
  return {
    model: info.path,
    ...rest,
    size: { original: [originalHeight, originalWidth], crop: [top, left], target: [targetHeight, targetWidth] },
    ...(noise ? { noise: { shape, data: noise } } : {}),
    // fp32 is what arithmetic has anyway.
    ...(info.precision === 'fp32' ? {} : { precision: info.precision }),
  }
}
