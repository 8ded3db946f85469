import type { GenerateEvent, GenerateResult, GenerationJob } from './types.js'

export interface JobContext {
  /** Aborted by `cancel()` and by the request's own signal, with that one's reason. */
  signal: AbortSignal
  emit(event: GenerateEvent): void
}

let started = 0

/** A generation under way. Events are kept, so that an iterator begun late misses none. */
export class Job implements GenerationJob {
  readonly id: string
  readonly #controller = new AbortController()
  readonly #events: GenerateEvent[] = []
  readonly #result: Promise<GenerateResult>
  #ended = false
  /** Iterators that have read all events and wait for the next. */
  #waiting: (() => void)[] = []

  constructor(run: (context: JobContext) => Promise<GenerateResult>, onProgress?: (event: GenerateEvent) => void) {
    this.id = `job-${++started}`
    const emit = (event: GenerateEvent) => {
      this.#events.push(event)
      this.#wake()
      try {
        onProgress?.(event)
      } catch (error) {
        // Called from the engine's events, where nobody could catch it: the job ends with it instead.
        this.cancel(error)
      }
    }
    this.#result = this.#run(run, emit)
  }

  async #run(run: (context: JobContext) => Promise<GenerateResult>, emit: JobContext['emit']): Promise<GenerateResult> {
    try {
      const { signal } = this.#controller
      const result = await run({ signal, emit })
      signal.throwIfAborted()
      return result
    } finally {
      this.#ended = true
      this.#wake()
    }
  }

  cancel(reason?: unknown): void {
    this.#controller.abort(reason)
  }

  then<A = GenerateResult, B = never>(
    onResult?: ((result: GenerateResult) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(onResult, onError)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerateEvent, void, undefined> {
    // The iterator itself throws the job's error below: for somebody who only iterates it is handled.
    this.#result.catch(() => {})
    for (let next = 0; ; next++) {
      while (next === this.#events.length && !this.#ended) await new Promise<void>((resolve) => this.#waiting.push(resolve))
      if (next === this.#events.length) break
      yield this.#events[next]!
    }
    await this.#result
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

/** Calls `stop` with the signal's reason when it aborts, at once if it has; returns the function that ends this. */
export function onAbort(signal: AbortSignal | undefined, stop: (reason: unknown) => void): () => void {
  if (!signal) return () => {}
  if (signal.aborted) {
    stop(signal.reason)
    return () => {}
  }
  const listener = () => stop(signal.reason)
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}
