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
import { type Prepared, prepare, type Source } from '../tasks/prepare.js'
import { cropPlanes, resizePlanes } from '../tasks/resize-latents.js'
import { partialRun, secondPassRun } from '../tasks/strength.js'
import type { LatentUpscaler } from '../tasks/types.js'
import type { GenerateEvent, GenerateResult } from '../types.js'
import { describe } from './describe.js'
import type { CheckedPrompts, CheckedRequest } from './generate-options.js'
import { type Pass, type PassPrompts, type PassText, passPrompts, passRequest, seedsOf } from './pass.js'
import { mostSteps, type RunPlan, runPlanOf, scheduleSteps, withSgmNoise } from './sampling-options.js'

/** What a generation has of its model. */
export interface Engine {
  readonly engine: NativeEngine
  readonly info: NativeModelInfo
  /** Path; "": none */
  readonly refiner: string
  layout(prompt: CheckedPrompts['prompt'], options: ResolvedPromptOptions, context: PromptContext): PromptLayout
}

interface PassResult {
  readonly latents?: Float32Array
  readonly pictures: readonly Pixels[]
}

/** A result without what only the caller knows of its times. */
export type Unclocked = Omit<GenerateResult, 'timings'> & { readonly timings: Omit<GenerateResult['timings'], 'load' | 'total'> }

/** A generation under way: its passes, one after the other, and what they cost. */
export class Generation {
  readonly #model: Engine
  readonly #request: CheckedRequest
  readonly #signal: AbortSignal
  readonly #emit: (event: GenerateEvent) => void
  readonly #timings = { loras: 0, encode: 0, denoise: 0, decode: 0 }
  readonly #warnings: GenerateResult['warnings'] = []
  readonly #images: Image[] = []
  #steps = 0
  #stepsBefore = 0
  #parameters: Record<string, unknown> = {}

  constructor(model: Engine, request: CheckedRequest, signal: AbortSignal, emit: (event: GenerateEvent) => void) {
    this.#model = model
    this.#request = request
    this.#signal = signal
    this.#emit = emit
  }

  /** @param source of the task */
  async run(task: CheckedTask | undefined, source: Source | undefined): Promise<Unclocked> {
    const request = this.#request
    const prepared = task && source ? await prepare(source, request.width, request.height, task) : undefined
    const first = await this.#firstPass(task, prepared)
    const second = request.hires ? runPlanOf(request.hires.sampling, ...this.#hiresSteps(request.hires)) : undefined
    this.#steps = stepCount(first.run.plan) + (second ? stepCount(second.plan) : 0)

    const prompts = this.#prompts(first)
    const { positive, negative } = prompts
    const morePrompts = second && this.#prompts(this.#secondText())
    this.#parameters = describe(request, task, this.#model, positive.report, negative?.report)
    const result = await this.#pass(first, prompts, second ? undefined : async (pixels) => prepared?.finish(pixels) ?? pixels)
    if (second && morePrompts) {
      this.#stepsBefore = stepCount(first.run.plan)
      await this.#pass(await this.#secondPass(second, result), morePrompts, async (pixels) => pixels)
    }
    // An abort that came after the engine's last look still ends the job: its events were dropped.
    this.#signal.throwIfAborted()
    return {
      images: this.#images,
      seed: request.seed,
      timings: this.#timings,
      tokens: positive.report,
      parameters: this.#parameters,
      warnings: [...positive.report.diagnostics, ...(negative?.report.diagnostics ?? []), ...once(this.#warnings)],
    }
  }

  async #firstPass(task: CheckedTask | undefined, prepared: Prepared | undefined): Promise<Pass> {
    const { sampling, width, height, sizes, hires, noise } = this.#request
    const latents = this.#latents(width, height)
    const usual = { prompts: this.#request, sampling, before: 0, sizes, width, height, noise, refines: !hires, init: null, mask: null }
    const output = hires && isLatent(hires.upscaler) ? 'latents' : 'images'
    const extra = await this.#extra(prepared, width, height)
    if (!task || !prepared) return { ...usual, run: this.#fromNoise(runPlanOf(sampling, sampling.steps, sampling.steps)), extra, output }

    const run = this.#fromImage(task, prepared.mask !== undefined)
    const init = await this.#encode(prepared.image)
    const mask = prepared.mask ? await latentMask(prepared.mask, task.inpaint.mode, latents) : null
    return { ...usual, run, init, mask, extra, output }
  }

  #fromNoise(run: RunPlan): RunPlan {
    return this.#request.sampling.sgmNoiseMultiplier ? withSgmNoise(run) : run
  }

  #fromImage({ strength, stepArithmetic, inpaint: { mode, fill } }: CheckedTask, masked: boolean): RunPlan {
    const { sampling } = this.#request
    const { steps, run } = partialRun(sampling.steps, strength, stepArithmetic, sampling.sampler, 'strength', mostSteps)
    if (stepArithmetic === 'comfy' && (sampling.sigmas || sampling.timesteps)) {
      throw invalid('stepArithmetic', '"a1111" or "diffusers" beside levels of your own', stepArithmetic)
    }
    const planned = runPlanOf(sampling, steps, run)
    // At full strength ComfyUI starts as from noise, but keeps the image in it; Diffusers does for a whole mask, and leaves the image out.
    if (!masked) return stepArithmetic === 'comfy' && steps === run ? this.#fromNoise(planned) : planned
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
  async #extra(prepared: Prepared | undefined, width: number, height: number): Promise<Float32Array | null> {
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
    const mask = prepared?.mask ? wholeMask(prepared.mask, latents) : new Float32Array(plane).fill(1)
    const image = prepared?.image ?? { width, height, channels: 3, data: new Uint8Array(width * height * 3) }
    const hidden = prepared?.mask
      ? await mapBytes(prepared.mask.data, (value) => (value >= 128 ? 1 : 0))
      : new Uint8Array(width * height).fill(1)
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

  #hiresSteps({ sampling, strength }: NonNullable<CheckedRequest['hires']>): [steps: number, run: number] {
    const { steps, run } = secondPassRun(sampling.steps, strength, sampling.sampler, sampling.style, mostSteps)
    return [steps, run]
  }

  #secondText(): PassText {
    const hires = this.#request.hires!
    return { prompts: hires, sampling: hires.sampling, before: scheduleSteps(this.#request.sampling) }
  }

  async #secondPass(run: RunPlan, { latents, pictures }: PassResult): Promise<Pass> {
    const hires = this.#request.hires!
    const { width, height, sizes } = hires
    return {
      ...this.#secondText(),
      run,
      sizes,
      width,
      height,
      init: isLatent(hires.upscaler) ? await this.#upscaleLatents(latents!, hires.upscaler) : await this.#upscalePictures(pictures),
      noise: null,
      mask: null,
      extra: await this.#extra(undefined, width, height),
      refines: true,
      output: 'images',
    }
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

  #prompts(pass: PassText): PassPrompts {
    return passPrompts(pass, this.#request, (prompt, context) => this.#model.layout(prompt, this.#request.prompting, context))
  }

  /** @param finish makes the result's pictures of those of the pass; without it they are only handed on */
  async #pass(pass: Pass, prompts: PassPrompts, finish: ((pixels: Pixels) => Promise<Pixels>) | undefined): Promise<PassResult> {
    const request = this.#request
    const seeds = seedsOf(request.seed, request.count, request.variation ? 0 : 1)
    const pictures: Pixels[] = []
    // Pictures are finished one after the other, while the engine goes on with the next.
    let finished = Promise.resolve()
    const result = await nativeCall(this.#signal, (cancellation) =>
      this.#model.engine.generate(passRequest(pass, request, prompts, this.#model.info), cancellation, (event) => {
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

/** Without what both passes warn of. */
const once = (warnings: GenerateResult['warnings']): GenerateResult['warnings'] =>
  warnings.filter(({ code, message }, i) => warnings.findIndex((other) => other.code === code && other.message === message) === i)

const isLatent = (upscaler: string): upscaler is LatentUpscaler => upscaler.startsWith('latent')
