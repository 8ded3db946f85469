import { randomInt } from 'node:crypto'
import type { NativeModelInfo } from '../../bindings/addon.js'
import { checkKeys, invalid, optionalChoice, optionalFunction, optionalNumber } from '../check.js'
import { checkPromptOptions, type PromptPart, type ResolvedPromptOptions } from '../prompt/index.js'
import { type SamplingPlan, samplingPlan, sigmas } from '../sampling/index.js'
import type { GenerateRequest, SizeConditioning, Tensor } from '../types.js'
import { checkSignal } from './load-options.js'
import { type CheckedLora, checkLoraDirectory, checkLoras } from './loras.js'

export const generateKeys = [
  'prompt',
  'negativePrompt',
  'width',
  'height',
  'steps',
  'guidance',
  'sampler',
  'scheduler',
  'seed',
  'count',
  'noise',
  'rng',
  'loras',
  'loraDirectory',
  'prompting',
  'size',
  'tokens',
  'signal',
  'onProgress',
] as const

/** A request with every default filled in. */
export interface CheckedRequest {
  prompt: string | PromptPart[]
  negativePrompt: string | PromptPart[]
  width: number
  height: number
  steps: number
  guidance: number
  sampler: string
  scheduler: string
  seed: number
  count: number
  noise: Float32Array | null
  rng: 'philox' | 'torch-cpu'
  loras: CheckedLora[]
  loraDirectory: string | undefined
  prompting: ResolvedPromptOptions
  /** original, crop, target; (height, width) each */
  sizes: Float32Array
  plan: SamplingPlan
}

const maxPixels = 8192

/** @throws SdxlError ERR_INVALID_ARGUMENT naming the first field that is not what it should be */
export function checkGenerateRequest(request: GenerateRequest, info: NativeModelInfo): CheckedRequest {
  checkKeys('request', request, generateKeys)
  const [defaultWidth, defaultHeight] = defaultSize(info)
  const width = checkSide('width', request.width ?? defaultWidth, info.scale)
  const height = checkSide('height', request.height ?? defaultHeight, info.scale)
  const integer = (field: string, value: unknown, low: number, high: number) =>
    optionalNumber(field, value, `an integer from ${low} to ${high}`, (n) => Number.isSafeInteger(n) && n >= low && n <= high)
  const steps = integer('steps', request.steps, 1, 1000) ?? 30
  const count = integer('count', request.count, 1, 64) ?? 1
  const seed = integer('seed', request.seed, 0, Number.MAX_SAFE_INTEGER) ?? randomInt(2 ** 32)
  if (seed > Number.MAX_SAFE_INTEGER - (count - 1))
    throw invalid('seed', `an integer whose successors for ${count} pictures stay below 2^53`, seed)
  const guidance = optionalNumber('guidance', request.guidance, 'a finite number') ?? 7
  const rng = optionalChoice('rng', request.rng, ['philox', 'torch-cpu'] as const) ?? 'philox'
  const sampler = request.sampler ?? 'euler'
  const scheduler = request.scheduler ?? 'normal'
  const shape = [count, info.latentChannels, height / info.scale, width / info.scale]
  checkSignal('signal', request.signal)
  optionalFunction('onProgress', request.onProgress)
  return {
    prompt: checkPrompt('prompt', request.prompt),
    negativePrompt: checkPrompt('negativePrompt', request.negativePrompt ?? ''),
    width,
    height,
    steps,
    guidance,
    sampler,
    scheduler,
    seed,
    count,
    noise: request.noise === undefined ? null : checkTensor('noise', request.noise, shape).data,
    rng,
    loras: checkLoras(request.loras),
    loraDirectory: checkLoraDirectory(request.loraDirectory),
    prompting: checkPromptOptions(request.prompting),
    sizes: checkSizes(request.size, height, width),
    plan: samplingPlan(sampler, sigmas(scheduler, steps)),
  }
}

/** What the file's metadata says the model was trained for, else SDXL's 1024 × 1024. */
function defaultSize(info: NativeModelInfo): [width: number, height: number] {
  const match = /^(\d{2,4})x(\d{2,4})$/.exec(info.resolution)
  const [width, height] = match ? [Number(match[1]), Number(match[2])] : [1024, 1024]
  return width % info.scale || height % info.scale ? [1024, 1024] : [width, height]
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

/** `shape` gives the sizes wanted; 0 stands for any positive one. */
export function checkTensor(field: string, value: Tensor, shape: readonly number[]): Tensor {
  checkKeys(field, value, ['shape', 'data'])
  const found = value.shape
  const fits =
    Array.isArray(found) &&
    found.length === shape.length &&
    shape.every((n, i) => (n ? found[i] === n : Number.isInteger(found[i]) && found[i]! > 0))
  if (!fits) {
    const shown = shape.map((n) => n || 'any').join(', ')
    throw invalid(`${field}.shape`, `[${shown}]`, Array.isArray(found) ? `[${found.join(', ')}]` : found)
  }
  const elements = found.reduce((a, b) => a * b, 1)
  if (!(value.data instanceof Float32Array) || value.data.length !== elements)
    throw invalid(`${field}.data`, `a Float32Array of ${elements} values`, value.data)
  return value
}

/** @returns original, crop and target, (height, width) each */
export function checkSizes(size: SizeConditioning | undefined, height: number, width: number): Float32Array {
  if (size !== undefined) checkKeys('size', size, ['original', 'crop', 'target'])
  const pair = (field: string, value: unknown, fallback: [number, number]): [number, number] => {
    if (value === undefined) return fallback
    const fits = Array.isArray(value) && value.length === 2 && value.every((n) => typeof n === 'number' && Number.isFinite(n) && n >= 0)
    if (!fits) throw invalid(field, 'a pair (height, width) of numbers ≥ 0', value)
    return value as [number, number]
  }
  return Float32Array.from([
    ...pair('size.original', size?.original, [height, width]),
    ...pair('size.crop', size?.crop, [0, 0]),
    ...pair('size.target', size?.target, [height, width]),
  ])
}
