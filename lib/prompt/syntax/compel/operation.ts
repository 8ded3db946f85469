import type { Piece, PromptEntry } from '../../types.js'
import { brief, type Report } from '../remark.js'
import { type Flat, flatten } from './flatten.js'
import type { Lora } from './nodes.js'
import type { Reader } from './reader.js'
import { reportText } from './remarks.js'
import { optionsAt, skip } from './scan.js'

const breakPiece: Piece = { text: 'BREAK', weight: -1 }

/** `(…).and(…)` or `(…).blend(…)`; what stands between the second brackets is at [from, to). */
interface Operation {
  readonly blend: boolean
  readonly parts: readonly Flat[]
  readonly options: readonly (string | number)[]
  readonly from: number
  readonly to: number
}

/** What a prompt says, and the texts it is made of. */
export interface Reading {
  readonly entry: Pick<PromptEntry, 'pieces' | 'blend' | 'strengths'>
  readonly flats: readonly Flat[]
}

/** A text without pieces is the empty text. */
export function piecesOf({ pieces }: Pick<Flat, 'pieces'>): readonly Piece[] {
  return pieces.length > 0 ? pieces : [{ text: '', weight: 1 }]
}

function operationAt(reader: Reader, at: number): Operation | undefined {
  const { text } = reader
  const list = reader.list(at)
  if (!list) return undefined
  const operator = skip(text, list.end)
  const name = ['.and', '.add', '.blend'].find((start) => text.startsWith(start, operator))
  if (name === undefined) return undefined
  const open = skip(text, operator + name.length)
  const options = text[open] === '(' ? optionsAt(text, open + 1) : undefined
  if (!options) return undefined
  return { blend: name === '.blend', parts: list.parts.map(flatten), options: options.value, from: open + 1, to: options.end - 1 }
}

/** One for each part; all 1 if there are none, or, with a remark, not as many. */
function weightsOf({ parts, from, to }: Operation, options: readonly (string | number)[], report: Report): number[] {
  const remark = (message: string) => report('E_NUMBER', from, to - from, message)
  const weights = options.map((option) => {
    if (typeof option === 'number' && Number.isFinite(option)) return option
    remark(`${typeof option === 'number' ? 'A weight is too large for a number' : `${brief(option)} is not a number`}; it counts as 1.`)
    return 1
  })
  if (weights.length === parts.length) return weights
  if (weights.length > 0) remark(`There are ${weights.length} weights for ${parts.length} texts; all count as 1.`)
  return parts.map(() => 1)
}

/** Texts without pieces are left out, as they are by compel. */
function conjunction(operation: Operation, report: Report): Reading['entry'] {
  const weights = weightsOf(operation, operation.options, report)
  const kept = operation.parts.map(({ pieces }, i) => ({ pieces, weight: weights[i]! })).filter(({ pieces }) => pieces.length > 0)
  const pieces = piecesOf({ pieces: kept.flatMap((part, i) => (i === 0 ? part.pieces : [breakPiece, ...part.pieces])) })
  const strengths = kept.map(({ weight }) => weight)
  return strengths.some((strength) => strength !== 1) ? { pieces, strengths } : { pieces }
}

function blend(operation: Operation, report: Report): Reading['entry'] {
  const { parts, options, from, to } = operation
  const asWritten = options.at(-1) === 'no_normalize'
  const weights = weightsOf(operation, asWritten ? options.slice(0, -1) : options, report)
  const sum = asWritten ? 1 : weights.reduce((total, weight) => total + weight, 0)
  if (sum === 0) report('E_NUMBER', from, to - from, 'The weights add up to 0, so that they are taken as they are.')
  if (parts.some(({ pieces }) => pieces.length === 0)) {
    report('E_EMPTY_TEXT', from, to - from, 'A text of this blend holds no words; "" is the empty text.')
  }
  const texts = parts.map((part, i) => ({ weight: sum === 0 ? weights[i]! : weights[i]! / sum, pieces: piecesOf(part) }))
  return { pieces: texts[0]!.pieces, blend: texts }
}

function lorasAt(reader: Reader, at: number): { readonly flat: Flat; readonly end: number } {
  const nodes: Lora[] = []
  for (let lora = reader.lora(at); lora; lora = reader.lora(at)) {
    nodes.push(lora.node)
    at = skip(reader.text, lora.end)
  }
  return { flat: flatten(nodes), end: at }
}

/** A prompt that is an `.and()`, or a `.blend()` perhaps with LoRAs around it. */
export function readOperation(reader: Reader, report: Report): Reading | undefined {
  const { text } = reader
  const before = lorasAt(reader, skip(text, 0))
  const operation = operationAt(reader, before.end)
  if (!operation || (!operation.blend && before.flat.loras.length > 0)) return undefined
  const end = skip(text, operation.to + 1)
  const behind = operation.blend ? lorasAt(reader, end) : { flat: flatten([]), end }
  if (behind.end < text.length) {
    report('E_TRAILING', behind.end, text.length - behind.end, 'Nothing can follow .and() and .blend(): this has no effect.')
  }
  for (const inner of reader.freeTexts) {
    const { offset, length } = inner.place!
    reportText(inner, (code, _offset, _length, message) => report(code, offset, length, message))
  }
  const entry = operation.blend ? blend(operation, report) : conjunction(operation, report)
  return { entry, flats: [before.flat, ...operation.parts, behind.flat] }
}
