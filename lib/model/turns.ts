import { onAbort } from '../job.js'

/**
 * Keeps jobs in order where some of them call the engine several times. The engine does its calls in order, so that a job of one call
 * needs to wait for none but those of several calls before it.
 */
export class Turns {
  #several: Promise<void> = Promise.resolve()

  /**
   * Does `work` when all jobs of several calls that began before have ended and it is `ready`, whose error comes at once. Rejects with the
   * signal's reason when it aborts first.
   */
  async wait<T, R>(signal: AbortSignal, ready: Promise<R>, work: (ready: R) => Promise<T>): Promise<T> {
    const [prepared] = await Promise.all([ready, untilAborted(this.#several, signal)])
    return work(prepared)
  }

  /** The same for a job of several calls itself: all later ones wait until it has ended. */
  take<T, R>(signal: AbortSignal, ready: Promise<R>, work: (ready: R) => Promise<T>): Promise<T> {
    const result = this.wait(signal, ready, work)
    this.#several = Promise.allSettled([this.#several, result]).then(() => {})
    return result
  }
}

function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, reject)
    void promise.then(() => {
      release()
      resolve()
    })
  })
}
