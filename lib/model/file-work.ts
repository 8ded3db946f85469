import type { NativeCancellation, NativeProgress } from '../../bindings/addon.js'
import { addon, nativeCall } from '../native-call.js'
import { watched } from '../watched.js'

let running = 0
const endWork = () => addon().endFileWork()

/** A long native call on files, which a signal or an error of the user's own callback ends. */
export async function fileWork<T>(
  options: { signal?: AbortSignal; onProgress?: (progress: NativeProgress) => void },
  call: (cancellation: NativeCancellation, onProgress: (progress: NativeProgress) => void) => Promise<T>,
): Promise<T> {
  // process.exit() would otherwise leave half a model on the disk.
  if (running++ === 0) process.on('exit', endWork)
  try {
    return await watched(options, (signal, onProgress) => nativeCall(signal, (cancellation) => call(cancellation, onProgress)))
  } finally {
    if (--running === 0) process.off('exit', endWork)
  }
}
