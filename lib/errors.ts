/** Stable error codes; `details` says which file, field or tensor, what was wanted and what was found. */
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
