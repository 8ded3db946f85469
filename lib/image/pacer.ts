import { setImmediate } from 'node:timers/promises'

/** Well below what a request or timer of the host would notice, with room for the row in hand and the garbage collector. */
const blockMilliseconds = 1

/**
 * For long loops on the event loop: `if (pacer.due()) await pacer.rest()` between two pieces of work lets everything else run
 * after every millisecond.
 */
export class Pacer {
  #since = performance.now()

  due(): boolean {
    return performance.now() - this.#since >= blockMilliseconds
  }

  async rest(): Promise<void> {
    await setImmediate()
    this.#since = performance.now()
  }
}
