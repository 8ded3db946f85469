import type { NativeEngine, NativeModelInfo } from '../../bindings/addon.js'
import { invalid } from '../check.js'
import { SdxlError } from '../errors.js'
import { createImage, type Image, mapBytes, type Pixels, type Raster, resize } from '../image/index.js'
import { writeInfotext } from '../infotext/index.js'
import { nativeCall } from '../native-call.js'
import type { PromptContext, PromptLayout, ResolvedPromptOptions } from '../prompt/index.js'
import { stepCount } from '../sampling/encode-plan.js'
import type { CheckedTask } from '../tasks/check.js'
import { inpaintPlan, startPlan } from '../tasks/inpaint-plan.js'
import { latentMask, wholeMask } from '../tasks/latent-mask.js'
import type { Prepared } from '../tasks/prepare.js'
import { cropPlanes, resizePlanes } from '../tasks/resize-latents.js'
import { partialRun, secondPassRun } from '../tasks/strength.js'
import type { LatentUpscaler } from '../tasks/types.js'
import type { GenerateEvent, GenerateResult } from '../types.js'
import { describe } from './describe.js'
import type { CheckedPrompts, CheckedRequest } from './generate-options.js'
import { type Pass, type PassText, type PlannedPass, passPrompts, passRequest, seedsOf } from './pass.js'
import { mostSteps, type RunPlan, runPlanOf, scheduleSteps, withSgmNoise } from './sampling-options.js'

/** What a generation has of its model. */
export interface Engine {
  readonly engine: NativeEngine
  readonly info: NativeModelInfo
  /** Path; "": none */
  readonly refiner: string
  layout(prompt: CheckedPrompts['prompt'], options: ResolvedPromptOptions, context: PromptContext): PromptLayout
}

/** The pictures of a request that has some. */
export interface Start extends Prepared {
  readonly task: CheckedTask
}

interface PassResult {
  readonly latents?: Float32Array
  readonly pictures: readonly Pixels[]
}

/** A result without what only the caller knows of its times. */
export type Unclocked = Omit<GenerateResult, 'timings'> & { readonly timings: Omit<GenerateResult['timings'], 'load' | 'total'> }

/** A generation: its passes, one after the other, and what they cost. */
export class Generation {
  readonly #model: Engine
  readonly #request: CheckedRequest
  readonly #start: Start | undefined
  readonly #signal: AbortSignal
  readonly #emit: (event: GenerateEvent) => void
  readonly #timings = { loras: 0, encode: 0, denoise: 0, decode: 0 }
  readonly #warnings: GenerateResult['warnings'] = []
  readonly #images: Image[] = []
  readonly #first: PlannedPass
  readonly #second: PlannedPass | undefined
  readonly #steps: number
  #stepsBefore = 0
  readonly #parameters: Record<string, unknown>

  /** @throws SdxlError ERR_INVALID_ARGUMENT for what of a checked request does not go together, before the engine is asked for anything */
  constructor(model: Engine, request: CheckedRequest, start: Start | undefined, signal: AbortSignal, emit: (event: GenerateEvent) => void) {
    this.#model = model
    this.#request = request
    this.#start = start
    this.#signal = signal
    this.#emit = emit
    const { sampling, hires } = request
    const run = start ? this.#fromImage(start) : this.#fromNoise(runPlanOf(sampling, sampling.steps, sampling.steps))
    this.#first = this.#planned({ prompts: request, sampling, before: 0 }, run)
    this.#second = hires && this.#planned({ prompts: hires, sampling: hires.sampling, before: scheduleSteps(sampling) }, hiresRun(hires))
    this.#steps = stepCount(run.plan) + (this.#second ? stepCount(this.#second.run.plan) : 0)
    const { positive, negative } = this.#first.layouts
    this.#parameters = describe(request, start?.task, model, positive.report, negative?.report)
  }

  async run(): Promise<Unclocked> {
    const start = this.#start
    const result = await this.#pass(await this.#firstPass(), this.#second ? undefined : async (pixels) => start?.finish(pixels) ?? pixels)
    if (this.#second) {
      this.#stepsBefore = stepCount(this.#first.run.plan)
      await this.#pass(await this.#secondPass(this.#second, result), async (pixels) => pixels)
    }
    // An abort that came after the engine's last look still ends the job: its events were dropped.
    this.#signal.throwIfAborted()
    const { positive, negative } = this.#first.layouts
    return {
      images: this.#images,
      seed: this.#request.seed,
      timings: this.#timings,
      tokens: positive.report,
      parameters: this.#parameters,
      warnings: [...positive.report.diagnostics, ...(negative?.report.diagnostics ?? []), ...once(this.#warnings)],
    }
  }

  #planned(text: PassText, run: RunPlan): PlannedPass {
    const layouts = passPrompts(text, this.#request, (prompt, context) => this.#model.layout(prompt, this.#request.prompting, context))
    return { ...text, run, layouts }
  }

  async #firstPass(): Promise<Pass> {
    const { width, height, sizes, hires, noise } = this.#request
    const start = this.#start
    const extra = await this.#extra(start, width, height)
    const init = start ? await this.#encode(start.image) : null
    const mask = start?.mask ? await latentMask(start.mask, start.task.inpaint.mode, this.#latents(width, height)) : null
    const output = hires && isLatent(hires.upscaler) ? 'latents' : 'images'
    return { ...this.#first, sizes, width, height, noise, refines: !hires, init, mask, extra, output }
  }

  #fromNoise(run: RunPlan): RunPlan {
    return this.#request.sampling.sgmNoiseMultiplier ? withSgmNoise(run) : run
  }

  #fromImage({ task, mask }: Start): RunPlan {
    const { strength, stepArithmetic, inpaint } = task
    const { mode, fill } = inpaint
    const { sampling } = this.#request
    const { steps, run } = partialRun(sampling.steps, strength, stepArithmetic, sampling.sampler, 'strength', mostSteps)
    if (stepArithmetic === 'comfy' && (sampling.sigmas || sampling.timesteps)) {
      throw invalid('stepArithmetic', '"a1111" or "diffusers" beside levels of your own', stepArithmetic)
    }
    const planned = runPlanOf(sampling, steps, run)
    // At full strength ComfyUI starts as from noise, but keeps the image in it; Diffusers does for a whole mask, and leaves the image out.
    if (!mask) return stepArithmetic === 'comfy' && steps === run ? this.#fromNoise(planned) : planned
    // Diffusers leaves everything to a model that was trained for it.
    const plan = mode === 'diffusers' && this.#inpaints ? planned.plan : inpaintPlan(planned.plan, mode, planned.last)
    if (fill === 'noise' || fill === 'nothing') return { ...planned, plan: startPlan(plan, fill) }
    if (mode === 'diffusers' && strength === 1) return this.#fromNoise({ ...planned, plan: startPlan(plan, 'noise alone') })
    return mode === 'comfy' && steps === run ? this.#fromNoise({ ...planned, plan }) : { ...planned, plan }
  }

  get #inpaints(): boolean {
    const { inChannels, latentChannels } = this.#model.info
    return inChannels > latentChannels
  }

  /** Mask and masked picture for a model that reads them beside the latents; all masked where there is nothing to keep. */
  async #extra(start: Start | undefined, width: number, height: number): Promise<Float32Array | null> {
    const { inChannels, latentChannels, path } = this.#model.info
    if (!this.#inpaints) return null
    if (inChannels !== 2 * latentChannels + 1) {
      throw new SdxlError(
        'ERR_MODEL_UNSUPPORTED',
        `${path} reads ${inChannels} channels; drawing is supported with ${latentChannels} and, of inpainting models, ${2 * latentChannels + 1}`,
        { path, channels: inChannels },
      )
    }
    const latents = this.#latents(width, height)
    const plane = latents.width * latents.height
    const mask = start?.mask ? wholeMask(start.mask, latents) : new Float32Array(plane).fill(1)
    const image = start?.image ?? { width, height, channels: 3, data: new Uint8Array(width * height * 3) }
    const hidden = start?.mask ? await mapBytes(start.mask.data, (value) => (value >= 128 ? 1 : 0)) : new Uint8Array(width * height).fill(1)
    const kept = await this.#encode(image, hidden)
    const extra = new Float32Array(mask.length + kept.length)
    extra.set(mask)
    extra.set(kept, mask.length)
    return extra
  }

  /** @param hidden [height, width], 1 where a pixel counts as mid-grey */
  async #encode({ width, height, data }: Raster, hidden?: Uint8Array): Promise<Float32Array> {
    const begun = performance.now()
    const { tiling } = this.#request
    const latents = await nativeCall(this.#signal, () => this.#model.engine.encodeImage({ width, height, data, hidden, tiling }))
    this.#timings.encode += performance.now() - begun
    return latents
  }

  async #secondPass(planned: PlannedPass, { latents, pictures }: PassResult): Promise<Pass> {
    const { width, height, sizes, upscaler } = this.#request.hires!
    const init = isLatent(upscaler) ? await this.#upscaleLatents(latents!, upscaler) : await this.#upscalePictures(pictures)
    const extra = await this.#extra(undefined, width, height)
    return { ...planned, sizes, width, height, noise: null, refines: true, init, mask: null, extra, output: 'images' }
  }

  async #upscaleLatents(latents: Float32Array, upscaler: LatentUpscaler): Promise<Float32Array> {
    const { count, width, height, hires } = this.#request
    const planes = { planes: count * this.#model.info.latentChannels, ...this.#latents(width, height), data: latents }
    const { scaled } = hires!
    return this.#middle((await resizePlanes(planes, this.#latents(scaled.width, scaled.height), upscaler)).data)
  }

  async #upscalePictures(pictures: readonly Pixels[]): Promise<Float32Array> {
    const { scaled, upscaler } = this.#request.hires!
    const all: Float32Array[] = []
    for (const picture of pictures) {
      const larger = await resize({ ...picture, channels: 3 }, scaled.width, scaled.height, upscaler === 'nearest' ? 'nearest' : 'lanczos')
      all.push(await this.#encode(larger))
    }
    const together = new Float32Array(all.length * all[0]!.length)
    all.forEach((latents, i) => together.set(latents, i * latents.length))
    return this.#middle(together)
  }

  /** Of what was scaled, the part that is drawn. */
  #middle(data: Float32Array): Float32Array {
    const { scaled, width, height } = this.#request.hires!
    const [from, to] = [this.#latents(scaled.width, scaled.height), this.#latents(width, height)]
    const planes = data.length / (from.width * from.height)
    const [left, top] = [Math.floor((from.width - to.width) / 2), Math.floor((from.height - to.height) / 2)]
    return cropPlanes({ planes, ...from, data }, left, top, to).data
  }

  #latents(width: number, height: number): { width: number; height: number } {
    const { scale } = this.#model.info
    return { width: width / scale, height: height / scale }
  }

  /** @param finish makes the result's pictures of those of the pass; without it they are only handed on */
  async #pass(pass: Pass, finish: ((pixels: Pixels) => Promise<Pixels>) | undefined): Promise<PassResult> {
    const request = this.#request
    const seeds = seedsOf(request.seed, request.count, request.variation ? 0 : 1)
    const pictures: Pixels[] = []
    // Pictures are finished one after the other, while the engine goes on with the next.
    let finished = Promise.resolve()
    const result = await nativeCall(this.#signal, (cancellation) =>
      this.#model.engine.generate(passRequest(pass, request, this.#model.info), cancellation, (event) => {
        if (this.#signal.aborted) return
        if (event.type === 'step') {
          const { index, sigma, milliseconds } = event
          return this.#emit({ type: 'step', step: this.#stepsBefore + index + 1, steps: this.#steps, sigma, milliseconds })
        }
        const seed = seeds[event.index]!
        if (event.type === 'preview') {
          const { width, height, rgb, step } = event
          return this.#emit({ type: 'preview', step: this.#stepsBefore + step + 1, image: createImage({ width, height, data: rgb, seed }) })
        }
        const picture = { width: pass.width, height: pass.height, data: event.rgb }
        pictures.push(picture)
        if (!finish) return
        const { index } = event
        finished = finished.then(async () => this.#finished(index, seed, await finish(picture)))
        finished.catch(() => {}) // Awaited below, unless the engine fails before.
      }),
    )
    await finished
    for (const part of ['loras', 'encode', 'denoise', 'decode'] as const) this.#timings[part] += result[part]
    this.#warnings.push(...result.warnings)
    return { latents: result.latents, pictures }
  }

  #finished(index: number, seed: number, pixels: Pixels): void {
    if (this.#signal.aborted) return
    const { variation } = this.#request
    const own = { ...this.#parameters, seed, ...(variation ? { variation: { ...variation, seed: variation.seed + index } } : {}) }
    const image = createImage({ ...pixels, seed, parameters: writeInfotext(own) })
    this.#images.push(image)
    this.#emit({ type: 'image', index, image })
  }
}

function hiresRun({ sampling, strength }: NonNullable<CheckedRequest['hires']>): RunPlan {
  const { steps, run } = secondPassRun(sampling.steps, strength, sampling.sampler, sampling.style, mostSteps)
  return runPlanOf(sampling, steps, run)
}

/** Without what both passes warn of. */
const once = (warnings: GenerateResult['warnings']): GenerateResult['warnings'] =>
  warnings.filter(({ code, message }, i) => warnings.findIndex((other) => other.code === code && other.message === message) === i)

const isLatent = (upscaler: string): upscaler is LatentUpscaler => upscaler.startsWith('latent')
