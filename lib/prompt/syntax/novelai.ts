import type { Diagnostics } from '../diagnostics.js'
import { isBlank, skipSpaces, spacesBefore } from '../python-text.js'
import type { Piece, SubPrompt } from '../types.js'
import { type ParseSyntax, single } from './syntax.js'

const step = 1.05
const special = /[{}[\]]|::/g
const mixWeight = /-?(?:\d+(?:\.\d*)?|\.\d+)/y

const powers = [1]

/** 1.05 to the power of an integer. */
function factor(level: number): number {
  const exponent = Math.abs(level)
  while (powers.length <= exponent && powers[powers.length - 1]! < Number.MAX_VALUE) {
    powers.push(Math.min(powers[powers.length - 1]! * step, Number.MAX_VALUE))
  }
  const power = powers[Math.min(exponent, powers.length - 1)]!
  return level < 0 ? 1 / power : power
}

/** Where the digits and points that end at `end` begin; `end` if there are no digits. */
function digitsBefore(text: string, from: number, end: number): number {
  let at = end
  let digits = false
  for (; at > from; at--) {
    const isDigit = text[at - 1]! >= '0' && text[at - 1]! <= '9'
    if (!isDigit && text[at - 1] !== '.') break
    digits ||= isDigit
  }
  return digits ? at : end
}

/** One prompt of a mix, which stands at `base` of the whole text. */
class Scan {
  private readonly pieces: Piece[] = []
  private number = 1
  private numberAt = -1 // where it was set, -1 if it was not
  private readonly curly: number[] = [] // offsets of open brackets
  private readonly square: number[] = []

  constructor(
    private readonly text: string,
    private readonly base: number,
    private readonly diagnostics: Diagnostics,
  ) {}

  run(): Piece[] {
    let from = 0
    for (const { 0: symbol, index: at } of this.text.matchAll(special)) {
      if (symbol === '::') this.colons(from, at)
      else {
        this.put(from, at)
        this.bracket(symbol, at)
      }
      from = at + symbol.length
    }
    this.put(from, this.text.length)
    this.reportOpen()
    return this.pieces.length > 0 ? this.pieces : [{ text: '', weight: 1 }]
  }

  private report(code: string, at: number, length: number, message: string): void {
    this.diagnostics.add(code, this.base + at, length, message)
  }

  private put(from: number, to: number): void {
    if (from >= to) return
    const text = this.text.slice(from, to)
    // Finite also for the largest of numbers in many brackets.
    const scaled = this.number * factor(this.curly.length - this.square.length)
    const weight = Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, scaled))
    // The word with this weight, not the mark that ends a chunk.
    this.pieces.push({ text: text === 'BREAK' && weight === -1 ? 'BREAK ' : text, weight })
  }

  private colons(from: number, at: number): void {
    const digits = digitsBefore(this.text, from, at)
    const sign = digits < at && digits > from && this.text[digits - 1] === '-' ? 1 : 0
    const value = digits < at ? Number(this.text.slice(digits, at)) : Number.NaN
    if (Number.isFinite(value)) {
      this.put(from, digits - sign)
      this.number = sign ? -value : value
      this.numberAt = digits - sign
      return
    }
    if (digits < at) {
      this.report('E_NUMBER', digits, at - digits, 'Not a number: a weight is digits with at most one point, as in 1.3::text::.')
    } else if (this.numberAt < 0 && this.curly.length + this.square.length === 0) {
      this.report('E_STRAY', at, 2, '"::" without a number ends weights, and there is none; it is left out.')
    }
    this.put(from, at)
    this.number = 1
    this.numberAt = -1
    this.curly.length = 0
    this.square.length = 0
  }

  private bracket(bracket: string, at: number): void {
    const open = bracket === '{' || bracket === '}' ? this.curly : this.square
    if (bracket === '{' || bracket === '[') open.push(at)
    else if (open.pop() === undefined) this.report('E_STRAY', at, 1, `"${bracket}" closes nothing and is left out.`)
  }

  private reportOpen(): void {
    for (const at of [...this.curly, ...this.square]) {
      this.report('E_UNCLOSED', at, 1, `"${this.text[at]}" is never closed and reaches to the end.`)
    }
    if (this.numberAt < 0) return
    const colons = this.text.indexOf('::', this.numberAt)
    this.report('E_UNCLOSED', this.numberAt, colons + 2 - this.numberAt, 'No "::" ends this weight, so that it reaches to the end.')
  }
}

/** Takes the weight off the end of a part of a mix, `dog:0.2`. */
function mixWeightOf(part: string): { weight: number; text: string } {
  const colon = part.lastIndexOf(':')
  mixWeight.lastIndex = skipSpaces(part, colon + 1)
  const number = colon < 0 || part[colon - 1] === ':' ? undefined : mixWeight.exec(part)?.[0]
  const weighted = number !== undefined && mixWeight.lastIndex === spacesBefore(part, part.length) && Number.isFinite(Number(number))
  return weighted ? { weight: Number(number), text: part.slice(0, colon) } : { weight: 1, text: part }
}

/**
 * NovelAI's syntax. `{x}` is 1.05 times as strong, `[x]` 1.05 times weaker. Brackets are counted, not matched: what counts for a text is
 * how many of each kind are open, in whatever order. `1.5::x::` sets a number that the brackets multiply; it may be negative and may stand
 * right behind a word; `::` without a number sets it to 1 again and closes all brackets. There are no escapes. The rule for numbers is
 * not published with the precision of a grammar; this is the simplest one that agrees with the documented examples.
 *
 * A `|` mixes whole prompts, `cat | dog:0.2`, with weights of 1 by default. They are taken as A1111's AND takes them, each with a
 * prediction of its own, which is what keeps negative weights meaningful; a mix of the text encoders' states would be another reading.
 */
export const parseNovelAi: ParseSyntax = (text, { diagnostics, steps }) => {
  const parts = text.split('|')
  const subs: SubPrompt[] = []
  let start = 0
  parts.forEach((whole, i) => {
    if (parts.length > 1 && isBlank(whole)) {
      const bar = i === 0 ? whole.length : start - 1
      diagnostics.add('E_STRAY', bar, 1, 'Nothing stands on one side of this "|"; the empty prompt is left out.')
    } else {
      const part = parts.length > 1 ? mixWeightOf(whole) : { weight: 1, text: whole }
      const pieces = new Scan(part.text, start, diagnostics).run()
      subs.push({ weight: part.weight, schedule: [{ until: steps, text: whole, pieces }] })
    }
    start += whole.length + 1
  })
  return subs.length > 0 ? { subs, loras: [] } : single('', [{ text: '', weight: 1 }], steps)
}
