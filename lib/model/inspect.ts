import { nonEmptyString } from '../check.js'
import { addon, nativeCall } from '../native-call.js'
import type { ModelInspection } from '../types.js'

/**
 * Says what a model file or folder is: which models it is one of or belongs to, which parts it has, and what keeps it from being used.
 * Reads headers only, so it takes milliseconds.
 *
 * @throws (rejects) SdxlError ERR_MODEL_NOT_FOUND, ERR_MODEL_FORMAT for a damaged or foreign file
 */
export async function inspectModel(path: string): Promise<ModelInspection> {
  nonEmptyString('path', path)
  const { variant, prediction, ...rest } = await nativeCall(undefined, () => addon().inspect(path))
  // What nothing is said about is left out.
  return { ...rest, ...(variant && { variant }), ...(prediction && { prediction }) } as ModelInspection
}
