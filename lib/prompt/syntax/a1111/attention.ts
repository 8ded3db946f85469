// Attention and BREAK as A1111's webui 1.9 reads them: (more) ×1.1, [less] ÷1.1, (text:1.3), \( for a bracket, BREAK for a new chunk.
import { isBlank, isWordAt, isWordBefore, skipSpaces, spacesBefore } from '../../python-text.js'
import type { Piece } from '../../types.js'
import { type Multiplication, multiplyWeights } from '../weights.js'
import { numberAt } from './number.js'
import type { Report } from '../remark.js'

const up = 1.1
const down = 1 / 1.1

const special = /[\\()[\]:]/g
const breakWord = 'BREAK'

/** An open bracket. */
interface Open {
  readonly piece: number // pieces before it
  readonly offset: number
}

/** The number of a `:1.3)` at `at`, infinite or NaN if it is none, and what follows the bracket. */
function weightAt(text: string, at: number): { value: number; start: number; end: number; next: number } | undefined {
  const start = skipSpaces(text, at + 1)
  const number = numberAt(text, start)
  if (!number) return undefined
  const bracket = skipSpaces(text, number.end)
  return text[bracket] === ')' ? { value: number.value, start, end: number.end, next: bracket + 1 } : undefined
}

/** One scan, left to right; weights are multiplied afterwards. */
class Scan {
  readonly texts: string[] = []
  readonly breaks = new Map<number, number>() // index in texts → offset
  readonly multiplications: Multiplication[] = []
  private readonly round: Open[] = []
  private readonly square: Open[] = []

  constructor(
    private readonly text: string,
    private readonly report: Report,
  ) {}

  run(): void {
    const { text, round, square } = this
    for (let at = 0; at < text.length;) {
      switch (text[at]) {
        case '\\':
          at = this.backslash(at)
          break
        case '(':
          round.push({ piece: this.texts.length, offset: at++ })
          break
        case '[':
          square.push({ piece: this.texts.length, offset: at++ })
          break
        case ')':
          this.close(round, up, at++)
          break
        case ']':
          this.close(square, down, at++)
          break
        case ':':
          at = this.colon(at)
          break
        default: {
          special.lastIndex = at
          const end = special.test(text) ? special.lastIndex - 1 : text.length
          this.words(at, end)
          at = end
        }
      }
    }
    this.closeRest(round, up)
    this.closeRest(square, down)
  }

  /** The pieces since a bracket was opened get a factor. */
  private multiply(from: number, factor: number): void {
    const to = this.texts.length
    if (to > from) this.multiplications.push({ from, to, factor })
  }

  private backslash(at: number): number {
    const next = this.text[at + 1]
    const escapes = next !== undefined && '\\()[]'.includes(next)
    // One before "|" or ":" was for the schedules, unless a weight follows, which it does not keep away.
    const served = next === '|' || (next === ':' && (this.round.length === 0 || !weightAt(this.text, at + 1)))
    if (!escapes && !served) this.report('W_BACKSLASH', at, 1, 'This backslash escapes nothing and is dropped; "\\\\" is a backslash.')
    this.texts.push(escapes ? next : '')
    return at + (escapes ? 2 : 1)
  }

  private colon(at: number): number {
    const open = this.round.at(-1)
    const weight = open && weightAt(this.text, at)
    if (weight && Number.isFinite(weight.value)) {
      this.round.pop()
      this.multiply(open.piece, weight.value)
      return weight.next
    }
    if (weight) {
      const wanted = 'a weight is digits with at most one point, as in (text:1.3). Taken as text, and the bracket as (text).'
      this.report('E_NUMBER', weight.start, weight.end - weight.start, `Not a number: ${wanted}`)
    }
    this.texts.push(':')
    return at + 1
  }

  private close(opens: Open[], factor: number, at: number): void {
    const open = opens.pop()
    if (open) {
      this.multiply(open.piece, factor)
      return
    }
    const bracket = this.text[at]!
    this.report('E_STRAY', at, 1, `"${bracket}" closes nothing and is taken as text; write "\\${bracket}" if that is meant.`)
    this.texts.push(bracket)
  }

  private closeRest(opens: readonly Open[], factor: number): void {
    for (const { piece, offset } of opens) {
      this.multiply(piece, factor)
      const bracket = this.text[offset]!
      this.report('E_UNCLOSED', offset, 1, `"${bracket}" is never closed and reaches to the end; write "\\${bracket}" for the character.`)
    }
  }

  /** Text without brackets, colons and backslashes: split at each BREAK that is a word, with the white space around it. */
  private words(from: number, end: number): void {
    const run = this.text.slice(from, end)
    let start = 0
    for (let at = run.indexOf(breakWord); at >= 0; at = run.indexOf(breakWord, at + breakWord.length)) {
      if (isWordBefore(run, at) || isWordAt(run, at + breakWord.length)) continue
      this.texts.push(run.slice(start, Math.max(start, spacesBefore(run, at))))
      this.breaks.set(this.texts.length, from + at)
      this.texts.push(breakWord)
      start = skipSpaces(run, at + breakWord.length)
    }
    this.texts.push(run.slice(start))
  }
}

function reportBreaks({ texts, breaks }: Scan, weights: Float64Array, report: Report): void {
  let first = true
  for (const [index, offset] of breaks) {
    if (weights[index] !== 1) {
      const message = 'BREAK inside a weighted bracket does not break: it is read as the word "break", with a negative weight.'
      report('W_WEIGHTED_BREAK', offset, breakWord.length, message)
    } else if (first) {
      first = false
      if (!texts.slice(0, index).every(isBlank)) continue
      const message = 'Nothing stands before the first BREAK, so the first chunk is empty, and the pooled vector is read from it.'
      report('W_EMPTY_FIRST', offset, breakWord.length, message)
    }
  }
}

/**
 * The pieces of a text, at least one; its schedules are text here. Neighbours of exactly equal weight become one piece: the tokenizer
 * then sees `(un)(happy)` as one word.
 */
export function parseAttention(text: string, report: Report): Piece[] {
  const scan = new Scan(text, report)
  scan.run()
  const weights = multiplyWeights(scan.texts.length, scan.multiplications)
  reportBreaks(scan, weights, report)

  const pieces: { text: string; weight: number }[] = []
  scan.texts.forEach((part, i) => {
    const weight = scan.breaks.has(i) ? -weights[i]! : weights[i]!
    const last = pieces.at(-1)
    if (last && last.weight === weight) last.text += part
    else pieces.push({ text: part, weight })
  })
  return pieces.length > 0 ? pieces : [{ text: '', weight: 1 }]
}
