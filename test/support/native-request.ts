import type { NativeEngine, NativeGenerate, NativeLoad } from '../../bindings/addon.js'
import { loadAddon } from '../../bindings/load.js'
import { samplingPlan, sigmas } from '../../lib/index.js'
import { Branches } from '../../lib/model/native-prompt.js'
import { checkPromptOptions, layoutPrompt } from '../../lib/prompt/index.js'
import { encodePlan } from '../../lib/sampling/encode-plan.js'

const options = checkPromptOptions(undefined)

/** What has to be said to load a checkpoint into an engine. */
export const loadRequest = (path: string, rest: Partial<NativeLoad> = {}): NativeLoad => ({
  path,
  vae: '',
  device: 'cpu',
  precision: 'fp32',
  threads: 0,
  memoryBudget: 0,
  embeddings: [],
  ...rest,
})

export const newEngine = (): NativeEngine => new (loadAddon().Engine)()

/** An engine with a model in it. To be closed. */
export async function loadedEngine(path: string, rest: Partial<NativeLoad> = {}): Promise<NativeEngine> {
  const engine = newEngine()
  await engine.load(loadRequest(path, rest))
  return engine
}

/** Both prompts over the calls of a plan, as `generate` composes them. */
export function branchesOf(
  texts: { prompt: string; negativePrompt: string },
  guidance: number | readonly number[],
  calls: number,
  part: { from?: number; to?: number; unconditional?: boolean } = {},
): Branches {
  const branches = new Branches(options, calls, { from: part.from ?? 0, to: part.to ?? calls }, part.unconditional)
  const layout = (text: string, negative: boolean) => layoutPrompt(text, options, { field: 'prompt', negative, steps: calls })
  const each = typeof guidance === 'number' ? guidance : Float64Array.from(guidance)
  branches.compose(layout(texts.prompt, false), layout(texts.negativePrompt, true), each)
  return branches
}

/** A request for latents from noise, with everything else left out. */
export function latentsRequest(
  rest: Pick<NativeGenerate, 'prompts' | 'branches' | 'plan' | 'height' | 'width' | 'seeds'> & Partial<NativeGenerate>,
): NativeGenerate {
  return {
    rescale: 0,
    rng: 'philox',
    noise: null,
    variation: null,
    init: null,
    mask: null,
    extra: null,
    sizes: Float32Array.of(64, 64, 0, 0, 64, 64),
    refiner: null,
    output: 'latents',
    loras: [],
    loraDirectory: '',
    ...rest,
  }
}

/** A request for so many steps of Euler's method without guidance. */
export function eulerRequest(
  steps: number,
  rest: Pick<NativeGenerate, 'height' | 'width' | 'seeds'> & Partial<NativeGenerate>,
): NativeGenerate {
  const plan = samplingPlan('euler', sigmas('normal', steps))
  const { prompts, branches } = branchesOf({ prompt: 'a red fox', negativePrompt: '' }, 1, plan.calls)
  return latentsRequest({ prompts, branches, plan: encodePlan(plan), ...rest })
}

/** Latents, or pictures as bytes, of a request. */
export async function draw(engine: NativeEngine, request: NativeGenerate): Promise<{ latents?: Float32Array; rgb: Uint8Array[] }> {
  const rgb: Uint8Array[] = []
  const { latents } = await engine.generate(request, undefined, (event) => {
    if (event.type === 'image') rgb.push(event.rgb)
  })
  return { latents, rgb }
}
