/**
 * Stable error codes; `details` says which file, field or tensor, what was wanted and what was found.
 *
 * - `ERR_DEVICE_UNAVAILABLE`: the device asked for is not there or cannot be used; the message is the reason that `listDevices()` gives.
 * - `ERR_OUT_OF_MEMORY`: with the bytes wanted and free or allowed. The model stays usable, for something smaller.
 * - `ERR_CRASHED`: a GPU has stopped working for this process, for example after a hardware fault. Every later call of the model rejects with
 *   it and the first reason. Close it and every other model of that GPU and load anew; where that is refused with the same code, only a new
 *   process helps. `generate` with a path closes the models it keeps by itself.
 */
export type ErrorCode =
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_MODEL_NOT_FOUND'
  | 'ERR_MODEL_FORMAT'
  | 'ERR_MODEL_UNSUPPORTED'
  | 'ERR_LORA_FORMAT'
  | 'ERR_LORA_MISMATCH'
  | 'ERR_PROMPT'
  | 'ERR_DEVICE_UNAVAILABLE'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_NATIVE_LOAD'
  | 'ERR_CLOSED'
  | 'ERR_CRASHED'
  | 'ERR_INTERNAL'

/** Every failure of this library, except an aborted call, which rejects with the signal's own reason. */
export class SdxlError extends Error {
  override readonly name = 'SdxlError'
  readonly code: ErrorCode
  readonly details: Record<string, unknown>

  constructor(code: ErrorCode, message: string, details: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.details = details
  }
}
