import type { NativeLoad } from '../../bindings/addon.js'
import { checkKeys, invalid, nonEmptyString, optionalChoice, optionalFunction, optionalNumber } from '../check.js'
import type { LoadOptions } from '../types.js'

const precisions = ['auto', 'fp32', 'fp16', 'bf16'] as const
export const loadOptionKeys = [
  'device',
  'precision',
  'vae',
  'textEncoder',
  'textEncoder2',
  'refiner',
  'taesd',
  'prediction',
  'threads',
  'memory',
  'embeddings',
  'signal',
  'onProgress',
] as const

export function checkSignal(field: string, signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid(field, 'an AbortSignal', signal)
}

export interface CheckedLoad {
  readonly native: NativeLoad
  /** Of native.embeddings. */
  readonly embeddingNames: readonly string[]
}

/** @throws SdxlError ERR_INVALID_ARGUMENT naming the first option that is not what it should be */
export function checkLoadOptions(path: unknown, options: LoadOptions): CheckedLoad {
  nonEmptyString('model', path)
  checkKeys('options', options, loadOptionKeys)
  const { device = 'auto', threads, memory, vae } = options
  if (typeof device !== 'string' || !/^(auto|cpu|cuda(:\d+)?)$/.test(device)) {
    throw invalid('device', '"auto", "cpu", "cuda" or "cuda:" and a number', device)
  }
  const count = optionalNumber('threads', threads, 'an integer from 1 to 1024', (n) => Number.isInteger(n) && n >= 1 && n <= 1024)
  if (memory !== undefined) checkKeys('memory', memory, ['budget', 'offload'])
  const budget = optionalNumber('memory.budget', memory?.budget, 'a positive number of bytes', (n) => Number.isSafeInteger(n) && n > 0)
  for (const part of ['vae', 'textEncoder', 'textEncoder2', 'refiner', 'taesd'] as const) {
    if (options[part] !== undefined) nonEmptyString(part, options[part])
  }
  const embeddings = options.embeddings ?? {}
  if (typeof embeddings !== 'object' || Array.isArray(embeddings)) throw invalid('embeddings', 'an object', embeddings)
  for (const [name, file] of Object.entries(embeddings)) nonEmptyString(`embeddings.${name}`, file)
  checkSignal('signal', options.signal)
  optionalFunction('onProgress', options.onProgress)
  const native = {
    path: path as string,
    vae: vae ?? '',
    textEncoder: options.textEncoder ?? '',
    textEncoder2: options.textEncoder2 ?? '',
    refiner: options.refiner ?? '',
    taesd: options.taesd ?? '',
    prediction: optionalChoice('prediction', options.prediction, ['epsilon', 'v'] as const) ?? ('' as const),
    device,
    precision: optionalChoice('precision', options.precision, precisions) ?? 'auto',
    threads: count ?? 0,
    memoryBudget: budget ?? 0,
    offload: optionalChoice('memory.offload', memory?.offload, ['none', 'model', 'layers'] as const) ?? ('none' as const),
    embeddings: Object.values(embeddings),
  }
  return { native, embeddingNames: Object.keys(embeddings) }
}
