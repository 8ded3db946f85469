import { nonEmptyString } from '../check.js'
import { addon, nativeCall } from '../native-call.js'
import type { ModelInspection } from '../types.js'

/**
 * Says what a model file or folder is. Reads headers only, so it takes milliseconds.
 *
 * @throws (rejects) SdxlError ERR_MODEL_NOT_FOUND, ERR_MODEL_FORMAT for a damaged or foreign file
 */
export async function inspectModel(path: string): Promise<ModelInspection> {
  nonEmptyString('path', path)
  return nativeCall(undefined, () => addon().inspect(path)) as Promise<ModelInspection>
}
