import type { NativeBranch, NativePrompt, NativeText } from '../../bindings/addon.js'
import { type EncoderText, entryAt, type PromptLayout, type ResolvedPromptOptions } from '../prompt/index.js'

const rows = 77

function nativeText({ weight, chunks, pooled }: EncoderText): NativeText {
  const ids = new Int32Array(chunks.length * rows)
  const ids2 = new Int32Array(ids.length)
  const weights = new Float32Array(ids.length)
  const weights2 = new Float32Array(ids.length)
  const hidden: number[] = []
  chunks.forEach((chunk, i) => {
    ids.set(chunk.ids, i * rows)
    ids2.set(chunk.ids2, i * rows)
    weights.set(chunk.weights, i * rows)
    weights2.set(chunk.weights2, i * rows)
    for (const { from, to, share } of chunk.hidden) hidden.push(1, i, from, to, share)
    for (const { from, to, share } of chunk.hidden2) hidden.push(2, i, from, to, share)
  })
  const strengths = Float32Array.from(chunks, ({ strength }) => strength)
  return { weight, ids, ids2, weights, weights2, strengths, hidden: Float64Array.from(hidden), pooled: pooled ?? null }
}

export function nativePrompt(texts: readonly EncoderText[], { emphasis, clipSkip }: ResolvedPromptOptions): NativePrompt {
  return { texts: texts.map(nativeText), emphasis, clipSkip }
}

const zeros = -1

/** Distinct prompts of a generation, and what each model call makes of them. */
export class Branches {
  readonly prompts: NativePrompt[] = []
  readonly branches: NativeBranch[] = []
  readonly #indices = new Map<readonly EncoderText[], number>()

  constructor(
    private readonly options: ResolvedPromptOptions,
    private readonly calls: number,
  ) {}

  /**
   * Guidance with composition, as A1111's AND: x̂ = u + Σ guidance · wᵢ · (xᵢ − u) with u the unconditional prediction and xᵢ that of each
   * sub-prompt. A prediction whose weight is 0 is not asked for; guidance ≤ 1 is 1, where one plain prompt needs no unconditional one.
   *
   * @param negative null: all zeros
   */
  compose(positive: PromptLayout, negative: PromptLayout | null, guidance: number): void {
    const scale = Math.max(1, guidance)
    const unconditional = 1 - positive.subs.reduce((sum, { weight }) => sum + scale * weight, 0)
    const nothing = 1e-9 // below the rounding of weights such as 0.7 and 0.3
    if (Math.abs(unconditional) > nothing) this.#add(unconditional, negative?.subs[0]!.schedule)
    for (const { weight, schedule } of positive.subs) {
      if (weight !== 0) this.#add(scale * weight, schedule)
    }
  }

  /** A1111's arithmetic: the call s, from 0, takes the entry that lasts until s or longer, so the first one has a call more than it says. */
  #add(weight: number, schedule: PromptLayout['subs'][0]['schedule'] | undefined): void {
    const prompts = new Int32Array(this.calls).fill(zeros)
    if (schedule) for (let call = 0; call < this.calls; ++call) prompts[call] = this.#index(entryAt(schedule, call).texts)
    this.branches.push({ weight, prompts })
  }

  #index(texts: readonly EncoderText[]): number {
    const known = this.#indices.get(texts)
    if (known !== undefined) return known
    this.#indices.set(texts, this.prompts.length)
    return this.prompts.push(nativePrompt(texts, this.options)) - 1
  }
}
