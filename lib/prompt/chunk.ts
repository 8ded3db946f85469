import { SdxlError } from '../errors.js'
import { checkPromptOptions, type ResolvedPromptOptions } from './options.js'
import { promptPieces } from './parse.js'
import { tokenize } from './tokenizer.js'
import type { Chunk, ClosedBy, Piece, PromptOptions } from './types.js'
import { commaToken, endToken, startToken } from './vocabulary.js'

/** Rows of the text encoders: start token, 75 tokens, end token. */
export const rows = 77
export const chunkSize = 75

/** One encoder's part of a chunk, unframed. */
interface Span {
  readonly tokens: readonly number[]
  readonly weights: readonly number[]
  readonly closedBy: ClosedBy
}

const empty: Span = { tokens: [], weights: [], closedBy: 'end' }

function tokenWeight({ text, weight }: Piece): number {
  if (Number.isFinite(Math.fround(weight))) return weight
  const found = String(weight)
  throw new SdxlError(
    'ERR_PROMPT',
    `The weight ${found} of ${JSON.stringify(text.slice(0, 40))} is beyond 32-bit floats; use fewer brackets or a smaller number`,
    {
      weight: found,
    },
  )
}

/**
 * Cuts the tokens into chunks of at most 75, as A1111 does: a chunk that overflows ends behind its last comma, if that is among its
 * last `backtrack` tokens, and else when it is full. BREAK ends a chunk even if it is empty.
 */
function cut(pieces: readonly Piece[], { chunk: { backtrack }, emphasis }: ResolvedPromptOptions): Span[] {
  const spans: Span[] = []
  let tokens: number[] = []
  let weights: number[] = []
  let comma = -1
  const close = (closedBy: ClosedBy) => {
    spans.push({ tokens, weights, closedBy })
    tokens = []
    weights = []
    comma = -1
  }
  for (const piece of pieces) {
    if (piece.text === 'BREAK' && piece.weight === -1) {
      close('break')
      continue
    }
    const ids = tokenize(piece.text)
    const weight = emphasis === 'ignore' || ids.length === 0 ? 1 : tokenWeight(piece)
    for (const id of ids) {
      if (tokens.length === chunkSize) {
        const atComma = id !== commaToken && comma >= 0 && comma < chunkSize - 1 && chunkSize - comma <= backtrack
        const movedTokens = atComma ? tokens.splice(comma + 1) : []
        const movedWeights = atComma ? weights.splice(comma + 1) : []
        close(atComma ? 'comma' : 'full')
        tokens = movedTokens
        weights = movedWeights
      }
      if (id === commaToken) comma = tokens.length
      tokens.push(id)
      weights.push(weight)
    }
  }
  if (tokens.length > 0 || spans.length === 0) close('end')
  return spans
}

function frameIds({ tokens }: Span, padding: number): Int32Array {
  const ids = new Int32Array(rows).fill(padding)
  ids[0] = startToken
  ids.set(tokens, 1)
  ids[tokens.length + 1] = endToken
  return ids
}

function frameWeights({ weights }: Span): Float32Array {
  const framed = new Float32Array(rows).fill(1)
  framed.set(weights, 1)
  return framed
}

/**
 * What the text encoders get for the pieces, one chunk per pass; at least one, also for ''. With `options.prompt2` the second encoder
 * has tokens and weights of its own, and whichever text is shorter goes on with empty chunks. With emphasis 'ignore' all weights are 1.
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT for wrong options, ERR_PROMPT for a weight that no 32-bit float holds
 */
export function chunkPrompt(pieces: readonly Piece[], options?: PromptOptions): Chunk[] {
  const resolved = checkPromptOptions(options)
  const first = cut(pieces, resolved)
  const { prompt2 } = resolved
  const second =
    prompt2 === undefined ? first : cut(promptPieces(prompt2, resolved, { field: 'prompt2', negative: false }).pieces, resolved)
  return Array.from({ length: Math.max(first.length, second.length) }, (_, i) => {
    const one = first[i] ?? empty
    const two = second[i] ?? empty
    return {
      ids: frameIds(one, endToken),
      ids2: frameIds(two, 0),
      weights: frameWeights(one),
      weights2: frameWeights(two),
      used: one.tokens.length,
      used2: two.tokens.length,
      closedBy: one.closedBy,
    }
  })
}
