import type { NativeCancellation, NativeProgress } from '../../bindings/addon.js'
import { onAbort } from '../job.js'
import { addon, nativeCall } from '../native-call.js'

let running = 0
const endWork = () => addon().endFileWork()

/** A long native call that a signal ends, and an error of the user's own callback as well: nobody could catch it where it is called. */
export async function fileWork<T>(
  options: { signal?: AbortSignal; onProgress?: (progress: NativeProgress) => void },
  call: (cancellation: NativeCancellation, onProgress: (progress: NativeProgress) => void) => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  const release = onAbort(options.signal, (reason) => stop.abort(reason))
  const onProgress = (progress: NativeProgress) => {
    if (stop.signal.aborted) return
    try {
      options.onProgress?.(progress)
    } catch (error) {
      stop.abort(error)
    }
  }
  // process.exit() would otherwise leave half a model on the disk.
  if (running++ === 0) process.on('exit', endWork)
  try {
    return await nativeCall(stop.signal, (cancellation) => call(cancellation, onProgress))
  } finally {
    if (--running === 0) process.off('exit', endWork)
    release()
  }
}
