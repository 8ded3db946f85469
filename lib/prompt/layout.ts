import { chunkText, emptyChunk, pooledIds } from './chunk.js'
import { EmbeddingNames } from './embeddings.js'
import type { ResolvedPromptOptions } from './options.js'
import { type PromptContext, readPrompt } from './parse.js'
import { reportOf } from './report.js'
import type { Diagnostic, EncoderText, LayoutEntry, LoraTag, Piece, PromptEntry, PromptPart, PromptReport } from './types.js'

export interface PromptLayout {
  readonly subs: readonly { readonly weight: number; readonly schedule: readonly LayoutEntry[] }[]
  readonly loras: readonly LoraTag[]
  readonly report: PromptReport
}

export interface LayoutContext extends PromptContext {
  /** Textual inversions: name → number of vectors. */
  readonly embeddings?: Readonly<Record<string, number>>
}

/** The entry that holds at a step; behind the last one, that one. */
export function entryAt<Entry extends { readonly until: number }>(schedule: readonly Entry[], step: number): Entry {
  return schedule.find(({ until }) => until >= step) ?? schedule[schedule.length - 1]!
}

/** Both encoders' schedules as one: entries end where either does. */
function joined(
  first: readonly PromptEntry[],
  second: readonly PromptEntry[] | undefined,
): (PromptEntry & { pieces2?: readonly Piece[] })[] {
  if (!second) return [...first]
  const ends = [...new Set([...first, ...second].map(({ until }) => until))].sort((a, b) => a - b)
  return ends.map((until) => ({ ...entryAt(first, until), until, pieces2: entryAt(second, until).pieces }))
}

/** Every chunk list with empty chunks up to the longest one's length: what a schedule switches between has one length. */
function evenOut(schedule: readonly LayoutEntry[], options: ResolvedPromptOptions): LayoutEntry[] {
  const length = Math.max(...schedule.flatMap(({ texts }) => texts.map(({ chunks }) => chunks.length)))
  const done = new Map<readonly EncoderText[], EncoderText[]>()
  return schedule.map((entry) => {
    let texts = done.get(entry.texts)
    if (!texts) {
      texts = entry.texts.map(({ chunks, ...text }) => {
        const missing = length - chunks.length
        return { ...text, chunks: [...chunks, ...Array.from({ length: missing }, () => emptyChunk(options))] }
      })
      done.set(entry.texts, texts)
    }
    return { ...entry, texts }
  })
}

/** Remarks on another text than the one the report is about: their offsets would point into the wrong text. */
function elsewhere(field: string, diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics.map(({ code, message, offset }) => ({
    code,
    message: `In ${field}${offset === undefined ? '' : ` at offset ${offset}`}: ${message}`,
  }))
}

/**
 * A prompt's chunks, for the encoders, and the report on them, for people. `prompt2` belongs to the positive prompt and has no effect
 * on a negative one; it has schedules, but neither AND nor tags.
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT for a prompt that is none; ERR_PROMPT for a slip in strict mode or a weight that no 32-bit float
 *         holds
 */
export function layoutPrompt(prompt: string | readonly PromptPart[], options: ResolvedPromptOptions, context: LayoutContext): PromptLayout {
  const parsed = readPrompt(prompt, options, context)
  const diagnostics = [...parsed.diagnostics]
  let second: readonly PromptEntry[] | undefined
  if (options.prompt2 !== undefined && !context.negative) {
    const parsed2 = readPrompt(options.prompt2, options, { ...context, field: 'prompting.prompt2', negative: true })
    second = parsed2.subs[0]!.schedule
    diagnostics.push(...elsewhere('prompt2', parsed2.diagnostics))
  }
  const embeddings = context.embeddings && new EmbeddingNames(context.embeddings, { prefixed: options.syntax === 'comfy' })

  const subs = parsed.subs.map(({ weight, schedule }) => {
    const known = new Map<readonly Piece[], Map<readonly Piece[] | undefined, EncoderText[]>>()
    const entries = joined(schedule, second).map(({ until, text, pieces, pieces2, blend, strengths, pooledText }) => {
      const of = known.get(pieces) ?? new Map<readonly Piece[] | undefined, EncoderText[]>()
      known.set(pieces, of)
      let texts = of.get(pieces2)
      if (!texts) {
        const pooled = pooledText === undefined ? undefined : pooledIds(pooledText)
        texts = (blend ?? [{ weight: 1, pieces }]).map((part) => ({
          weight: part.weight,
          chunks: chunkText({ pieces: part.pieces, pieces2, strengths }, options, embeddings),
          pooled,
        }))
        of.set(pieces2, texts)
      }
      return { until, text, texts }
    })
    return { weight, schedule: entries, even: evenOut(entries, options) }
  })
  const report = reportOf(subs, diagnostics)
  return { subs: subs.map(({ weight, even }) => ({ weight, schedule: even })), loras: parsed.loras, report }
}
