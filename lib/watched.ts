import { onAbort } from './job.js'

/**
 * Long work that `signal` ends, and an error of the user's own `onProgress` as well: nobody could catch it where it is called. Rejects with
 * what either gave once the work has stopped.
 */
export async function watched<Progress, Result>(
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (progress: Progress) => void },
  work: (signal: AbortSignal, onProgress: (progress: Progress) => void) => Promise<Result>,
): Promise<Result> {
  const stop = new AbortController()
  const release = onAbort(signal, (reason) => stop.abort(reason))
  const report = (progress: Progress) => {
    if (stop.signal.aborted) return
    try {
      onProgress?.(progress)
    } catch (error) {
      stop.abort(error)
    }
  }
  try {
    return await work(stop.signal, report)
  } finally {
    release()
  }
}
