import { randomInt } from 'node:crypto'
import { basename } from 'node:path'
import type { NativeModelInfo } from '../../bindings/addon.js'
import { checkKeys, invalid, optionalBoolean, optionalChoice, optionalFunction, optionalNumber } from '../check.js'
import { checkPromptOptions, type PromptPart, type ResolvedPromptOptions } from '../prompt/index.js'
import { fewStepDefaults, fewStepKind } from '../sampling/index.js'
import { checkVariation, taskKeys } from '../tasks/check.js'
import { checkHires, type CheckedHires } from '../tasks/hires.js'
import type { PreviewOptions, RefineOptions, VariationOptions } from '../tasks/types.js'
import type { GenerateRequest } from '../types.js'
import { checkSizes, checkTensor } from './check-tensor.js'
import { checkSignal } from './load-options.js'
import { type CheckedLora, checkLoraDirectory, checkLoras } from './loras.js'
import { type CheckedSampling, checkSampling, type SamplingDefaults, samplingKeys } from './sampling-options.js'

export const generateKeys = [
  'prompt',
  'negativePrompt',
  'width',
  'height',
  ...samplingKeys,
  'seed',
  'variation',
  'count',
  'noise',
  'rng',
  'loras',
  'loraDirectory',
  'prompting',
  'size',
  ...taskKeys,
  'hires',
  'refine',
  'tiling',
  'preview',
  'tokens',
  'signal',
  'onProgress',
] as const

/** What a pass samples from text. */
export interface CheckedPrompts {
  readonly prompt: string | PromptPart[]
  readonly negativePrompt: string | PromptPart[]
}

/** A request with every default filled in; what it says of images stands in CheckedTask. */
export interface CheckedRequest extends CheckedPrompts {
  readonly width: number
  readonly height: number
  readonly sampling: CheckedSampling
  readonly seed: number
  readonly variation: VariationOptions | undefined
  readonly count: number
  readonly noise: Float32Array | null
  readonly rng: 'philox' | 'torch-cpu'
  readonly loras: CheckedLora[]
  readonly loraDirectory: string | undefined
  readonly prompting: ResolvedPromptOptions
  /** original, crop, target; (height, width) each */
  readonly sizes: Float32Array
  readonly hires: (CheckedHires & CheckedPrompts & { readonly sampling: CheckedSampling; readonly sizes: Float32Array }) | undefined
  readonly refine: Required<RefineOptions> | undefined
  readonly tiling: { readonly x: boolean; readonly y: boolean }
  readonly preview: Required<PreviewOptions> | null
}

const maxPixels = 8192

/**
 * @param usual width and height where the request does not say them
 * @throws      SdxlError ERR_INVALID_ARGUMENT naming the first field that is not what it should be
 */
export function checkGenerateRequest(
  request: GenerateRequest,
  info: NativeModelInfo,
  usual: { width: number; height: number },
): CheckedRequest {
  const width = checkSide('width', request.width ?? usual.width, info.scale)
  const height = checkSide('height', request.height ?? usual.height, info.scale)
  const integer = (field: string, value: unknown, low: number, high: number) =>
    optionalNumber(field, value, `an integer from ${low} to ${high}`, (n) => Number.isSafeInteger(n) && n >= low && n <= high)
  const count = integer('count', request.count, 1, 64) ?? 1
  const seed = integer('seed', request.seed, 0, Number.MAX_SAFE_INTEGER) ?? randomInt(2 ** 32)
  const variation = checkVariation(request.variation, count)
  if (!variation && seed > Number.MAX_SAFE_INTEGER - (count - 1))
    throw invalid('seed', `an integer whose successors for ${count} pictures stay below 2^53`, seed)
  const rng = optionalChoice('rng', request.rng, ['philox', 'torch-cpu'] as const) ?? 'philox'
  const prompts = {
    prompt: checkPrompt('prompt', request.prompt),
    negativePrompt: checkPrompt('negativePrompt', request.negativePrompt ?? ''),
  }
  const loras = checkLoras(request.loras)
  const names = [info.path, info.title, ...loras.map(({ path }) => path), ...tagNames(request.prompt)]
  const sampling = checkSampling(request, info.markers.includes('ztsnr'), distilledDefaults(names))
  const shape = [count, info.latentChannels, height / info.scale, width / info.scale]
  checkSignal('signal', request.signal)
  optionalFunction('onProgress', request.onProgress)
  if (variation && request.noise !== undefined) throw invalid('noise', 'nothing beside variation', request.noise)
  return {
    ...prompts,
    width,
    height,
    sampling,
    seed,
    variation,
    count,
    noise: request.noise === undefined ? null : checkTensor('noise', request.noise, shape).data,
    rng,
    loras,
    loraDirectory: checkLoraDirectory(request.loraDirectory),
    prompting: checkPromptOptions(request.prompting),
    sizes: checkSizes(request.size, height, width),
    hires: checkSecondPass(request, prompts, sampling, { width, height, steps: sampling.steps }, info),
    refine: checkRefine(request.refine, info.hasRefiner),
    tiling: checkTiling(request.tiling),
    preview: checkPreview(request.preview, info),
  }
}

/** Of a few-step model: what the last name says that says something, as a LoRA is put on a model. A folder's name is no model's. */
function distilledDefaults(names: readonly string[]): SamplingDefaults | undefined {
  const found = names.flatMap((name) => fewStepKind(basename(name)) ?? []).at(-1)
  return found && fewStepDefaults(found.kind, found.steps)
}

/** LoRAs that the prompt names, before it is read in full. */
const tagNames = (prompt: unknown): string[] =>
  typeof prompt === 'string' ? [...prompt.matchAll(/<lora:([^:>]+)/g)].map((tag) => tag[1]!) : []

function checkSecondPass(
  request: GenerateRequest,
  prompts: CheckedPrompts,
  first: CheckedSampling,
  size: { width: number; height: number; steps: number },
  info: NativeModelInfo,
): CheckedRequest['hires'] {
  const { hires } = request
  if (hires === undefined) return undefined
  const checked = checkHires(hires, size, info.scale, maxPixels)
  if (request.image !== undefined) throw invalid('hires', 'nothing beside an image', hires)
  if (Array.isArray(first.guidance) && hires.guidance === undefined) {
    throw invalid('hires.guidance', 'a number beside guidance that has one for each step', hires.guidance)
  }
  const sampling = checkSampling(
    {
      ...(first.sigmas || first.timesteps ? {} : { sigmaMin: first.sigmaMin, sigmaMax: first.sigmaMax, rho: first.rho }),
      samplerOptions: hires.sampler === undefined ? first.samplerOptions : {},
      steps: checked.steps,
      sampler: hires.sampler ?? first.sampler,
      scheduler: hires.scheduler ?? first.scheduler,
      style: first.style,
      zeroTerminalSnr: first.zeroTerminalSnr,
      guidance: hires.guidance ?? first.guidance,
      guidanceInterval: first.guidanceInterval,
      guidanceRescale: first.guidanceRescale,
      guidanceProjection: first.guidanceProjection,
    },
    false,
  )
  return {
    ...checked,
    prompt: hires.prompt === undefined ? prompts.prompt : checkPrompt('hires.prompt', hires.prompt),
    negativePrompt: hires.negativePrompt === undefined ? prompts.negativePrompt : checkPrompt('hires.negativePrompt', hires.negativePrompt),
    sampling,
    // Of the larger picture, whatever the first pass is told.
    sizes: checkSizes(undefined, checked.height, checked.width),
  }
}

function checkRefine(options: RefineOptions | false | undefined, hasRefiner: boolean): CheckedRequest['refine'] {
  if (options === false) return undefined
  if (options === undefined && !hasRefiner) return undefined
  const { switchAt, by, aestheticScore, negativeAestheticScore } = options ?? {}
  checkKeys('refine', options ?? {}, ['switchAt', 'by', 'aestheticScore', 'negativeAestheticScore'])
  if (!hasRefiner) throw invalid('refine', 'a model that was loaded with the option refiner', options)
  const score = (field: string, value: unknown) => optionalNumber(field, value, 'a number from 0 to 10', (n) => n >= 0 && n <= 10)
  return {
    switchAt: optionalNumber('refine.switchAt', switchAt, 'a number from 0 to 1', (n) => n >= 0 && n <= 1) ?? 0.8,
    by: optionalChoice('refine.by', by, ['timesteps', 'steps'] as const) ?? 'timesteps',
    aestheticScore: score('refine.aestheticScore', aestheticScore) ?? 6,
    negativeAestheticScore: score('refine.negativeAestheticScore', negativeAestheticScore) ?? 2.5,
  }
}

function checkTiling(value: GenerateRequest['tiling']): CheckedRequest['tiling'] {
  if (value === undefined || typeof value === 'boolean') return { x: value ?? false, y: value ?? false }
  checkKeys('tiling', value, ['x', 'y'])
  return { x: optionalBoolean('tiling.x', value.x) ?? false, y: optionalBoolean('tiling.y', value.y) ?? false }
}

function checkPreview(options: PreviewOptions | undefined, info: NativeModelInfo): CheckedRequest['preview'] {
  if (options === undefined) return null
  checkKeys('preview', options, ['every', 'method'])
  const every = optionalNumber('preview.every', options.every, 'a positive integer', (n) => Number.isInteger(n) && n >= 1)
  if (every === undefined) throw invalid('preview.every', 'a positive integer', every)
  const method = optionalChoice('preview.method', options.method, ['linear', 'taesd', 'vae'] as const) ?? 'linear'
  if (method === 'taesd' && !info.hasTaesd) throw invalid('preview.method', 'a model that was loaded with the option taesd', method)
  return { every, method }
}

/** What the file's metadata says the model was trained for, else SDXL's 1024 × 1024. */
export function modelSize(info: NativeModelInfo): { width: number; height: number } {
  const match = /^(\d{2,4})x(\d{2,4})$/.exec(info.resolution)
  const [width, height] = match ? [Number(match[1]), Number(match[2])] : [1024, 1024]
  return width % info.scale || height % info.scale ? { width: 1024, height: 1024 } : { width, height }
}

function checkSide(field: string, value: unknown, scale: number): number {
  const fits = (n: number) => Number.isInteger(n) && n >= scale && n <= maxPixels && n % scale === 0
  return optionalNumber(field, value, `a multiple of ${scale} from ${scale} to ${maxPixels}`, fits)!
}

function checkPrompt(field: string, value: unknown): string | PromptPart[] {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) throw invalid(field, 'a string or an array of { text, weight? }', value)
  value.forEach((part, i) => {
    checkKeys(`${field}[${i}]`, part, ['text', 'weight'])
    if (typeof part.text !== 'string') throw invalid(`${field}[${i}].text`, 'a string', part.text)
    optionalNumber(`${field}[${i}].weight`, part.weight, 'a finite number')
  })
  return value
}
