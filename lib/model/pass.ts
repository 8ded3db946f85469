import type { NativeGenerate, NativeModelInfo, NativeRefiner } from '../../bindings/addon.js'
import type { PromptContext, PromptLayout } from '../prompt/index.js'
import { encodePlan } from '../sampling/encode-plan.js'
import type { SamplingPlan } from '../sampling/index.js'
import { refinerFrom } from '../tasks/refiner-switch.js'
import type { CheckedPrompts, CheckedRequest } from './generate-options.js'
import { nativeLoras } from './loras.js'
import { Branches } from './native-prompt.js'
import { type CheckedSampling, type RunPlan, scheduleSteps } from './sampling-options.js'

/** What a pass draws, as text. */
export interface PassText {
  readonly prompts: CheckedPrompts
  readonly sampling: CheckedSampling
  /** Steps of a first pass, as prompt schedules count; 0 in it. */
  readonly before: number
}

export interface PassPrompts {
  readonly positive: PromptLayout
  /** None where the negative prompt is all zeros. */
  readonly negative: PromptLayout | undefined
}

/** A pass as far as it is known before the engine has done anything. */
export interface PlannedPass extends PassText {
  readonly run: RunPlan
  readonly layouts: PassPrompts
}

/** One run of the denoising loop. */
export interface Pass extends PlannedPass {
  /** original, crop, target; (height, width) each */
  readonly sizes: Float32Array
  /** Pixels. */
  readonly width: number
  readonly height: number
  /** [1 or pictures, channels, height / scale, width / scale] */
  readonly init: Float32Array | null
  readonly noise: Float32Array | null
  /** [height / scale, width / scale] */
  readonly mask: Float32Array | null
  readonly extra: Float32Array | null
  readonly refines: boolean
  readonly output: 'images' | 'latents'
}

type Layout = (prompt: CheckedPrompts['prompt'], context: PromptContext) => PromptLayout

/** A pass's prompts, cut into chunks, with schedules that count the steps the request names. */
export function passPrompts({ prompts, sampling, before }: PassText, { prompting }: CheckedRequest, layout: Layout): PassPrompts {
  const steps = scheduleSteps(sampling)
  const zeroed = prompts.negativePrompt === '' && prompting.zeroEmptyNegative
  return {
    positive: layout(prompts.prompt, { field: 'prompt', negative: false, steps, before }),
    negative: zeroed ? undefined : layout(prompts.negativePrompt, { field: 'negativePrompt', negative: true, steps, before }),
  }
}

/** Image i has the seed's i-th successor, unless it is the variation that differs. */
export const seedsOf = (seed: number, count: number, step: 0 | 1): Float64Array =>
  Float64Array.from({ length: count }, (_, i) => seed + step * i)

export function passRequest(pass: Pass, request: CheckedRequest, info: NativeModelInfo): NativeGenerate {
  const { plan } = pass.run
  const { refine, variation, count } = request
  const from = pass.refines && refine ? refinerFrom(plan, refine) : plan.calls
  const { prompts, branches } = composed(pass, request, { from: 0, to: from })
  return {
    prompts,
    branches,
    rescale: pass.sampling.guidanceRescale,
    projection: pass.sampling.guidanceProjection ?? null,
    plan: encodePlan(plan),
    height: pass.height / info.scale,
    width: pass.width / info.scale,
    seeds: seedsOf(request.seed, count, variation ? 0 : 1),
    rng: request.rng,
    noise: pass.noise,
    variation: variation ? { seeds: seedsOf(variation.seed, count, 1), strength: variation.strength } : null,
    init: pass.init,
    mask: pass.mask,
    extra: pass.extra,
    sizes: pass.sizes,
    refiner: from < plan.calls ? refinerOf(pass, request, from) : null,
    output: pass.output,
    tiling: request.tiling,
    preview: request.preview,
    ...nativeLoras(request.loras, pass.layouts.positive.loras, request.loraDirectory),
  }
}

function composed({ layouts, run: { plan, guidance } }: Pass, { prompting }: CheckedRequest, own: { from: number; to: number }): Branches {
  const branches = new Branches(prompting, plan.calls, own, readsUncond(plan))
  branches.compose(layouts.positive, layouts.negative ?? null, guidance)
  return branches
}

/** Original size and crop as the base model is told, and how good the picture is to be. */
function refinerOf(pass: Pass, request: CheckedRequest, from: number): NativeRefiner {
  const { aestheticScore, negativeAestheticScore } = request.refine!
  const { prompts, branches } = composed(pass, request, { from, to: pass.run.plan.calls })
  const sizes = branches.flatMap(({ unconditional }) => [
    ...pass.sizes.subarray(0, 4),
    unconditional ? negativeAestheticScore : aestheticScore,
  ])
  return { from, prompts, branches, sizes: Float32Array.from(sizes) }
}

const readsUncond = (plan: SamplingPlan): boolean =>
  plan.steps.some(({ call, writes }) =>
    [call?.input ?? [], ...writes.flatMap(({ terms, outside = [] }) => [terms, outside])]
      .flat()
      .some(([, register]) => register === 'uncond'),
  )
