import { resolve } from 'node:path'
import { checkKeys, invalid, nonEmptyString, optionalFunction } from '../check.js'
import { addon } from '../native-call.js'
import type { ModelVerification, VerifyOptions } from '../types.js'
import { fileWork } from './file-work.js'
import { checkSignal } from './load-options.js'

/**
 * Reads a model to its last byte: bounds, overlaps and formats of every header, NaN and infinite values in every tensor, and the SHA-256.
 * For any safetensors file and for folders of them; a list SHA256SUMS in a folder is held against its files. What a model consists of is
 * not looked at here but by `inspectModel`.
 *
 * @throws (rejects) SdxlError ERR_MODEL_NOT_FOUND for what cannot be read, ERR_INVALID_ARGUMENT; the signal's reason when aborted
 */
export async function verifyModel(path: string, options: VerifyOptions = {}): Promise<ModelVerification> {
  nonEmptyString('path', path)
  checkKeys('options', options, ['sha256', 'signal', 'onProgress'])
  const { sha256 = '', signal } = options
  if (typeof sha256 !== 'string' || !/^([0-9a-f]{64})?$/i.test(sha256) || (options.sha256 !== undefined && sha256 === ''))
    throw invalid('sha256', '64 hexadecimal digits', sha256)
  checkSignal('signal', signal)
  optionalFunction('onProgress', options.onProgress)
  const request = { path: resolve(path), sha256: sha256.toLowerCase() }
  const result = await fileWork(options, (cancellation, onProgress) => addon().verifyModel(request, cancellation, onProgress))
  return { ok: result.problems.length === 0, ...result }
}
