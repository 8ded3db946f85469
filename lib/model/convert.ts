import { resolve } from 'node:path'
import { packageFile } from '../../bindings/package-root.js'
import { checkKeys, nonEmptyString, optionalBoolean, optionalChoice, optionalFunction } from '../check.js'
import { addon } from '../native-call.js'
import type { ConvertOptions, ConvertResult } from '../types.js'
import { fileWork } from './file-work.js'
import { checkSignal } from './load-options.js'
import { checkLoras } from './loras.js'

/**
 * Writes a model in another layout, in another number format, or both: a single safetensors file with the names of the original code, as
 * A1111 and ComfyUI load it, or a folder as Diffusers loads it, with configurations and tokenizers.
 *
 * The result appears as a whole or not at all. A target that was made of the same source, unchanged since, by the same options is left
 * alone and its values are returned. Memory stays at some megabytes whatever the model's size.
 *
 * @param from a single file or a Diffusers folder: SDXL, a finetune of another depth, the refiner, an inpainting or editing model
 * @param to a file or folder in a folder that exists
 * @throws (rejects) SdxlError ERR_MODEL_NOT_FOUND; ERR_MODEL_FORMAT for a source that is damaged, incomplete or holds NaN;
 *                   ERR_MODEL_UNSUPPORTED for a model that the target layout cannot express; ERR_INVALID_ARGUMENT for options, for a target
 *                   that exists and is something else, and for a disk without space (`details.wanted` and `details.free`, in bytes);
 *                   the signal's reason when aborted
 */
export async function convertModel(from: string, to: string, options: ConvertOptions = {}): Promise<ConvertResult> {
  nonEmptyString('from', from)
  nonEmptyString('to', to)
  checkKeys('options', options, ['layout', 'dtype', 'overwrite', 'loras', 'signal', 'onProgress'])
  const layout = optionalChoice('layout', options.layout, ['diffusers', 'single-file'])
  const request = {
    from: resolve(from),
    to: resolve(to),
    layout: layout ?? (/\.safetensors$/i.test(to) ? 'single-file' : 'diffusers'),
    dtype: optionalChoice('dtype', options.dtype, ['fp16', 'bf16', 'fp32']) ?? ('' as const),
    overwrite: optionalBoolean('overwrite', options.overwrite) ?? false,
    loras: checkLoras(options.loras),
    merges: packageFile('lib', 'prompt', 'data', 'clip-merges.txt'),
  }
  checkSignal('signal', options.signal)
  optionalFunction('onProgress', options.onProgress)
  const { remarks, ...result } = await fileWork(options, (cancellation, onProgress) =>
    addon().convertModel(request, cancellation, onProgress),
  )
  return { path: to, ...result, warnings: remarks.map((message) => ({ code: 'W_LORA_UNMATCHED', message })) }
}
