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

/** Does something for 0 … count − 1, each a fraction of a millisecond, and lets everything else run in between. */
export async function paced(count: number, act: (i: number) => void): Promise<void> {
  const pacer = new Pacer()
  for (let i = 0; i < count; ++i) {
    if (pacer.due()) await pacer.rest()
    act(i)
  }
}

const stretch = 1 << 13

/** Like `paced` for work on single values. */
export function pacedValues(count: number, act: (i: number) => void): Promise<void> {
  return paced(Math.ceil(count / stretch), (part) => {
    for (let i = part * stretch; i < Math.min((part + 1) * stretch, count); ++i) act(i)
  })
}

/** What a function makes of each byte. */
export async function mapBytes(bytes: Uint8Array, make: (byte: number) => number): Promise<Uint8Array> {
  const result = new Uint8Array(bytes.length)
  await pacedValues(bytes.length, (i) => (result[i] = make(bytes[i]!)))
  return result
}
