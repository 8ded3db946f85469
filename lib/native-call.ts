import type { Addon, NativeCancellation } from '../bindings/addon.js'
import { AddonLoadError, loadAddon } from '../bindings/load.js'
import { type ErrorCode, SdxlError } from './errors.js'

/**
 * The native addon, loaded at first use.
 * @throws SdxlError ERR_NATIVE_LOAD with every path that was tried, why it failed, and what to do
 */
export function addon(): Addon {
  try {
    return loadAddon()
  } catch (error) {
    if (error instanceof AddonLoadError) throw new SdxlError('ERR_NATIVE_LOAD', error.message, error.details)
    throw error
  }
}

/**
 * Makes a call of the addon that an AbortSignal can stop. Rejects with the signal's reason once the engine has stopped, and with an
 * SdxlError, whose stack leads to the caller, for everything else.
 */
export async function nativeCall<T>(signal: AbortSignal | undefined, call: (cancellation: NativeCancellation) => Promise<T>): Promise<T> {
  signal?.throwIfAborted()
  const cancellation = new (addon().Cancellation)()
  const stop = () => cancellation.cancel()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    return await call(cancellation)
  } catch (error) {
    throw translate(error, signal)
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

function translate(error: unknown, signal: AbortSignal | undefined): unknown {
  const { code, message, details } = error as { code?: string; message: string; details?: Record<string, unknown> }
  if (code === 'CANCELLED') return signal?.aborted ? signal.reason : new SdxlError('ERR_CLOSED', 'The model was closed while this call ran')
  if (code?.startsWith('ERR_')) return new SdxlError(code as ErrorCode, message, details)
  return error
}
