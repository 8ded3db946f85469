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
const nothing = 1e-9 // below the rounding of weights such as 0.7 and 0.3

/** Distinct prompts of a generation, and what each model call makes of them. */
export class Branches {
  readonly prompts: NativePrompt[] = []
  readonly branches: NativeBranch[] = []
  readonly #indices = new Map<readonly EncoderText[], number>()

  /**
   * @param calls         of the plan
   * @param own           those among them that the network is asked in: [from, to), the others count for nothing
   * @param unconditional whether that prediction is wanted in every call, as plans that read 'uncond' do
   */
  constructor(
    private readonly options: ResolvedPromptOptions,
    private readonly calls: number,
    private readonly own: { from: number; to: number } = { from: 0, to: calls },
    private readonly unconditional = false,
  ) {}

  /**
   * Guidance with composition, as A1111's AND: x̂ = u + Σ guidance · wᵢ · (xᵢ − u) with u the unconditional prediction and xᵢ that of each
   * sub-prompt. A prediction whose weight is 0 is not asked for; guidance ≤ 1 is 1, where one plain prompt needs no unconditional one.
   *
   * @param negative null: all zeros
   * @param guidance for all calls, or one number for each
   */
  compose(positive: PromptLayout, negative: PromptLayout | null, guidance: number | Float64Array): void {
    const sum = positive.subs.reduce((total, { weight }) => total + weight, 0)
    const scales = typeof guidance === 'number' ? new Float64Array(this.calls).fill(guidance) : guidance
    this.#add(true, negative?.subs[0]!.schedule, scales, (scale) => {
      const weight = 1 - scale * sum
      return Math.abs(weight) > nothing ? weight : 0
    })
    for (const { weight, schedule } of positive.subs) this.#add(false, schedule, scales, (scale) => scale * weight)
  }

  /** A1111's arithmetic: the call s, from 0, takes the entry that lasts until s or longer, so the first one has a call more than it says. */
  #add(
    unconditional: boolean,
    schedule: PromptLayout['subs'][0]['schedule'] | undefined,
    scales: Float64Array,
    weigh: (scale: number) => number,
  ): void {
    const prompts = new Int32Array(this.calls).fill(zeros)
    const weights = new Float64Array(this.calls)
    let asked = false
    for (let call = this.own.from; call < this.own.to; ++call) {
      weights[call] = weigh(Math.max(1, scales[call]!))
      if (weights[call] === 0 && !(unconditional && this.unconditional)) continue
      asked = true
      if (schedule) prompts[call] = this.#index(entryAt(schedule, call).texts)
    }
    if (asked) this.branches.push({ unconditional, prompts, weights })
  }

  #index(texts: readonly EncoderText[]): number {
    const known = this.#indices.get(texts)
    if (known !== undefined) return known
    this.#indices.set(texts, this.prompts.length)
    return this.prompts.push(nativePrompt(texts, this.options)) - 1
  }
}
