import { SdxlError } from '../errors.js'
import type { EmbeddingNames } from './embeddings.js'
import type { ResolvedPromptOptions } from './options.js'
import { tokenizeWords } from './tokenizer.js'
import type { ClosedBy, Piece } from './types.js'
import { commaToken } from './vocabulary.js'

/** Tokens of a chunk between start and end. */
export const chunkSize = 75

export interface Token {
  readonly id: number
  readonly weight: number
  /** Index of its piece. */
  readonly piece: number
  /** Whether the word began before. */
  readonly inWord: boolean
}

/** One encoder's part of a chunk, unframed. */
export interface Span {
  readonly tokens: readonly Token[]
  readonly closedBy: ClosedBy
  /** How many BREAKs came before. */
  readonly stretch: number
}

function tokenWeight({ text, weight }: Piece): number {
  if (Number.isFinite(Math.fround(weight))) return weight
  const found = String(weight)
  throw new SdxlError(
    'ERR_PROMPT',
    `The weight ${found} of ${JSON.stringify(text.slice(0, 40))} is beyond 32-bit floats; use fewer brackets or a smaller number`,
    { weight: found },
  )
}

/** Tokens that must stay together: one of the vocabulary, or the vectors of a textual inversion. */
function unitsOf(piece: Piece, index: number, weighted: boolean, embeddings: EmbeddingNames | undefined): Token[][] {
  const words = tokenizeWords(piece.text)
  if (words.length === 0) return []
  const weight = weighted ? tokenWeight(piece) : 1
  const tokens = words.flatMap((word) => word.map((id, i): Token => ({ id, weight, piece: index, inWord: i > 0 })))
  if (!embeddings) return tokens.map((token) => [token])

  const ids = words.flat()
  const units: Token[][] = []
  for (let at = 0; at < ids.length;) {
    const match = embeddings.match(ids, at)
    units.push(match ? Array.from({ length: match.vectors }, (_, i) => ({ ...tokens[at]!, id: match.first + i })) : [tokens[at]!])
    at += match?.length ?? 1
  }
  return units
}

/**
 * Cuts the tokens into chunks of at most 75, as A1111 does: a chunk that overflows ends behind its last comma, if that is among its
 * last `backtrack` tokens, and else when it is full. A textual inversion that does not fit opens a chunk. BREAK ends a chunk even if it is
 * empty. At least one chunk.
 */
export function cut(
  pieces: readonly Piece[],
  { chunk: { backtrack }, emphasis }: Pick<ResolvedPromptOptions, 'chunk' | 'emphasis'>,
  embeddings?: EmbeddingNames,
): Span[] {
  const spans: Span[] = []
  let tokens: Token[] = []
  let comma = -1
  let stretch = 0
  const close = (closedBy: ClosedBy, moved: Token[] = []) => {
    spans.push({ tokens, closedBy, stretch })
    tokens = moved
    comma = -1
  }
  pieces.forEach((piece, index) => {
    if (piece.text === 'BREAK' && piece.weight === -1) {
      close('break')
      stretch++
      return
    }
    for (const unit of unitsOf(piece, index, emphasis !== 'ignore', embeddings)) {
      const isComma = unit[0]!.id === commaToken
      if (tokens.length === chunkSize) {
        const atComma = !isComma && comma >= 0 && comma < chunkSize - 1 && chunkSize - comma <= backtrack
        if (atComma) close('comma', tokens.splice(comma + 1))
        else close('full')
      }
      if (tokens.length + unit.length > chunkSize) close('embedding')
      if (isComma) comma = tokens.length
      tokens.push(...unit)
    }
  })
  if (tokens.length > 0 || spans.length === 0) close('end')
  return spans
}
