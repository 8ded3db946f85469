import { setImmediate } from 'node:timers/promises'
import type { NativeEngine, NativeModelInfo } from '../../bindings/addon.js'
import { checkKeys, invalid, optionalNumber } from '../check.js'
import { SdxlError } from '../errors.js'
import { createImage, type Image, type ImageInput, readImage } from '../image/index.js'
import { Job, type JobContext, onAbort } from '../job.js'
import { addon, nativeCall } from '../native-call.js'
import {
  checkPromptOptions,
  layoutPrompt,
  type PromptContext,
  type PromptLayout,
  type PromptOptions,
  type PromptPart,
  type ResolvedPromptOptions,
} from '../prompt/index.js'
import { type CheckedTask, checkTask } from '../tasks/check.js'
import { prepare, readSource, type Source } from '../tasks/prepare.js'
import type {
  Conditioning,
  GenerateRequest,
  GenerateResult,
  GenerationJob,
  LoadOptions,
  LoraSpec,
  Model,
  ModelInfo,
  SizeConditioning,
  Tensor,
} from '../types.js'
import { watched } from '../watched.js'
import { checkSizes, checkTensor } from './check-tensor.js'
import { checkGenerateRequest, generateKeys, modelSize } from './generate-options.js'
import { Generation } from './generation.js'
import { checkLoadOptions, checkSignal } from './load-options.js'
import { checkLoras, nativeLoras } from './loras.js'
import { nativePrompt } from './native-prompt.js'
import { Turns } from './turns.js'
import { warmUp } from './warm-up.js'

/**
 * Loads a checkpoint: a safetensors file with UNet, both text encoders and VAE, or a folder as Diffusers saves it.
 *
 * @throws (rejects) SdxlError ERR_MODEL_NOT_FOUND, ERR_MODEL_FORMAT with all problems of the file in `details.problems`,
 *                   ERR_MODEL_UNSUPPORTED, ERR_DEVICE_UNAVAILABLE, ERR_OUT_OF_MEMORY, ERR_INVALID_ARGUMENT, ERR_NATIVE_LOAD;
 *                   the signal's reason when aborted
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<Model> {
  const { native, embeddingNames } = checkLoadOptions(path, options)
  await setImmediate() // loading the addon takes a turn of the event loop of its own
  const engine = new (addon().Engine)()
  try {
    const info = await watched(options, async (signal, onProgress) => {
      const load = nativeCall(signal, (cancellation) => engine.load(native, cancellation, onProgress))
      const [loaded] = await Promise.all([load, warmUp()])
      signal.throwIfAborted()
      return loaded
    })
    return new LoadedModel(engine, info, embeddingNames, native.refiner ?? '')
  } catch (error) {
    await engine.close()
    throw error
  }
}

/** Latents are as the UNet sees them (already scaled) and (n, channels, height / scale, width / scale) everywhere. */
export class LoadedModel implements Model {
  readonly #engine: NativeEngine
  readonly #native: NativeModelInfo
  readonly #turns = new Turns()
  #closed: Promise<void> | undefined
  /** Called once, when the model closes. */
  onClose: (() => void) | undefined

  readonly #embeddings: Record<string, number>

  /** @param refiner the path it was loaded from; "": none */
  constructor(
    engine: NativeEngine,
    native: NativeModelInfo,
    embeddingNames: readonly string[],
    private readonly refiner: string,
  ) {
    this.#engine = engine
    this.#native = native
    this.#embeddings = Object.fromEntries(embeddingNames.map((name, i) => [name, native.embeddings[i]!]))
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
      embeddings: { ...this.#embeddings },
    }
  }

  generate(request: GenerateRequest): GenerationJob {
    return new Job((context) => this.run(request, context, 0), request?.onProgress)
  }

  /** The body of a job. `load`: milliseconds already spent on loading the model for it. */
  async run(request: GenerateRequest, { signal, emit }: JobContext, load: number): Promise<GenerateResult> {
    const begun = performance.now()
    this.#assertOpen()
    checkKeys('request', request, generateKeys)
    checkSignal('signal', request.signal)
    const task = checkTask(request, request.style)
    const stop = new AbortController()
    const releases = [signal, request.signal].map((source) => onAbort(source, (reason) => stop.abort(reason)))
    const plan = async () => {
      const source = task && (await readSource(task))
      const checked = checkGenerateRequest(request, this.#native, this.#usualSize(task, source))
      const start = task && source && { task, ...(await prepare(source, checked.width, checked.height, task)) }
      const model = { engine: this.#engine, info: this.#native, refiner: this.refiner, layout: this.#layout.bind(this) }
      return new Generation(model, checked, start, stop.signal, emit)
    }
    const draw = (generation: Generation) => {
      this.#assertOpen() // it may have closed while this job waited
      return generation.run()
    }
    try {
      const { inChannels, latentChannels } = this.#native
      const several = task !== undefined || request.hires !== undefined || inChannels > latentChannels
      const turn = several ? this.#turns.take.bind(this.#turns) : this.#turns.wait.bind(this.#turns)
      const { timings, ...result } = await turn(stop.signal, plan(), draw)
      return { ...result, timings: { load, ...timings, total: load + performance.now() - begun } }
    } finally {
      for (const release of releases) release()
    }
  }

  /** The image's own, unless only a part of it is drawn. */
  #usualSize(task: CheckedTask | undefined, source: Source | undefined): { width: number; height: number } {
    if (!task || !source || task.inpaint.onlyMasked) return modelSize(this.#native)
    const { scale } = this.#native
    const whole = (pixels: number) => Math.max(Math.floor(pixels / scale), 1) * scale
    return { width: whole(source.image.width), height: whole(source.image.height) }
  }

  async encodePrompt(prompt: string | PromptPart[], options: PromptOptions & { loras?: LoraSpec[] } = {}): Promise<Conditioning> {
    this.#assertOpen()
    const resolved = checkPromptOptions(options, 'options', ['loras'])
    const loras = nativeLoras(checkLoras(options.loras))
    const { subs, report } = this.#layout(prompt, resolved, { field: 'prompt', negative: false, steps: 1000 })
    const { texts } = subs[0]!.schedule[0]!
    const { tokens, context, pooled, warnings } = await nativeCall(undefined, () =>
      this.#engine.encodePrompt({ ...nativePrompt(texts, resolved), ...loras }),
    )
    return {
      context: { shape: [1, tokens, this.#native.contextWidth], data: context },
      pooled: { shape: [1, this.#native.pooledWidth], data: pooled },
      report: { ...report, diagnostics: [...report.diagnostics, ...(report.texts ? [firstTextOnly] : []), ...warnings] },
    }
  }

  #layout(prompt: string | PromptPart[], options: ResolvedPromptOptions, context: PromptContext): PromptLayout {
    return layoutPrompt(prompt, options, { ...context, embeddings: this.#embeddings })
  }

  async predict(input: {
    latents: Tensor
    timestep: number
    conditioning: Conditioning
    size?: SizeConditioning
    loras?: LoraSpec[]
  }): Promise<Tensor> {
    this.#assertOpen()
    checkKeys('input', input, ['latents', 'timestep', 'conditioning', 'size', 'loras'])
    const { latentChannels, inChannels, contextWidth, pooledWidth, scale } = this.#native
    const latents = checkTensor('latents', input.latents, [0, inChannels, 0, 0])
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
        ...nativeLoras(checkLoras(input.loras)),
      }),
    )
    return { shape: [count, latentChannels, height, width], data }
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

const firstTextOnly = {
  code: 'W_FIRST_TEXT',
  message: 'A conditioning is one text: of schedules and AND only what holds at the first step is in it.',
}
