import { chunkSize, cut, type Span } from './cut.js'
import type { EmbeddingNames } from './embeddings.js'
import type { ResolvedPromptOptions } from './options.js'
import { tokenize } from './tokenizer.js'
import type { Chunk, Hidden, Piece } from './types.js'
import { endToken, startToken } from './vocabulary.js'

/** Rows of the text encoders: start token, 75 tokens, end token. */
const rows = chunkSize + 2

const empty: Span = { tokens: [], closedBy: 'end', stretch: 0 }

function frameIds(tokens: readonly number[], padding: number): Int32Array {
  const ids = new Int32Array(rows).fill(padding)
  ids[0] = startToken
  ids.set(tokens, 1)
  ids[tokens.length + 1] = endToken
  return ids
}

function frameWeights({ tokens }: Span): Float32Array {
  const framed = new Float32Array(rows).fill(1)
  tokens.forEach(({ weight }, i) => (framed[i + 1] = weight))
  return framed
}

/**
 * How often an encoding without a piece lighter than 1 counts in compel's mixture: tan((1 − weight) · π / 2) times, which is not at all at
 * weight 1, as much as the one with everything at ½. What BREAK separates has a mixture of its own, as with compel's `.and()`.
 */
interface Mixture {
  readonly counts: ReadonlyMap<number, number> // by piece
  readonly totals: ReadonlyMap<number, number> // by stretch, with the 1 of the encoding with everything
}

function mixtureOf(spans: readonly Span[]): Mixture {
  const leastWeight = 1e-5 // tan is infinite at 0
  const counts = new Map<number, number>()
  const totals = new Map<number, number>()
  for (const { tokens, stretch } of spans) {
    for (const { piece, weight } of tokens) {
      if (weight >= 1 || counts.has(piece)) continue
      const count = Math.tan(((1 - Math.max(weight, leastWeight)) * Math.PI) / 2)
      counts.set(piece, count)
      totals.set(stretch, (totals.get(stretch) ?? 1) + count)
    }
  }
  return { counts, totals }
}

function hiddenOf({ tokens, stretch }: Span, { counts, totals }: Mixture): Hidden[] {
  const hidden: Hidden[] = []
  for (let from = 0; from < tokens.length;) {
    const { piece } = tokens[from]!
    let to = from
    while (to < tokens.length && tokens[to]!.piece === piece) to++
    const count = counts.get(piece)
    if (count !== undefined) hidden.push({ from: from + 1, to: to + 1, share: count / totals.get(stretch)! })
    from = to
  }
  return hidden
}

export interface ChunkSource {
  readonly pieces: readonly Piece[]
  /** Of the second encoder, where they are others. */
  readonly pieces2?: readonly Piece[]
  /** See PromptEntry.strengths. */
  readonly strengths?: readonly number[]
}

/**
 * What the text encoders get for a text, one chunk per pass; at least one, also for ''. Whichever encoder's text is shorter goes on with
 * empty chunks. With emphasis 'ignore' all weights are 1.
 *
 * @throws SdxlError ERR_PROMPT for a weight that no 32-bit float holds
 */
export function chunkText(
  { pieces, pieces2, strengths }: ChunkSource,
  options: ResolvedPromptOptions,
  embeddings?: EmbeddingNames,
): Chunk[] {
  const first = cut(pieces, options, embeddings)
  const second = pieces2 ? cut(pieces2, options, embeddings) : first
  const mixed = options.emphasis === 'compel'
  const mixture = mixtureOf(mixed ? first : [])
  const mixture2 = second === first ? mixture : mixtureOf(mixed ? second : [])
  return Array.from({ length: Math.max(first.length, second.length) }, (_, i) => {
    const one = first[i] ?? empty
    const two = second[i] ?? empty
    const ids = (span: Span) => span.tokens.map(({ id }) => id)
    return {
      ids: frameIds(ids(one), endToken),
      ids2: frameIds(ids(two), 0),
      weights: frameWeights(one),
      weights2: frameWeights(two),
      used: one.tokens.length,
      used2: two.tokens.length,
      closedBy: one.closedBy,
      cutsWord: one.closedBy === 'full' && (first[i + 1]?.tokens[0]?.inWord ?? false),
      strength: strengths?.[one.stretch] ?? 1,
      hidden: hiddenOf(one, mixture),
      hidden2: hiddenOf(two, mixture2),
    }
  })
}

/** A chunk without text. */
export function emptyChunk(options: ResolvedPromptOptions): Chunk {
  return chunkText({ pieces: [] }, options)[0]!
}

/** The second encoder's tokens for a pooled vector of a text's own, cut behind 75. @returns [77] */
export function pooledIds(text: string): Int32Array {
  return frameIds(tokenize(text).slice(0, chunkSize), 0)
}
