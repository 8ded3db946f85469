// Prompt editing: [from:to:when], [to:when], [from::when], and alternation [a|b|c], in each other and in other brackets.
import { skipSpaces } from '../../python-text.js'
import { brief, type Report } from '../remark.js'

/** A stretch [from, to) of the text that shows during some of the steps. */
export interface Option {
  readonly from: number
  readonly to: number
  /** Of the constructs, the first that may be in it. */
  readonly first: number
}

/** A schedule or an alternation at [start, end), brackets included. */
export interface Construct {
  readonly start: number
  readonly end: number
  /** Of the constructs, the first behind this one. */
  readonly next: number
  readonly options: readonly Option[]
  /** Schedules: when the second option takes over, as it is written. */
  readonly when: string | undefined
}

/** A bracket that is still open. */
interface Frame {
  readonly round: boolean
  readonly start: number
  /** "[" have numbers in their order; this is its own. */
  readonly number: number
  /** Where its separators begin among all. */
  readonly base: number
  colons: number
  bars: number
}

/** A ":" or "|" right in an open "[". */
interface Separator {
  readonly at: number
  /** How many "[" stand before it. */
  readonly opened: number
}

const special = /[\\()[\]:|]/g
const number = /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y
const numberStart = /[+-]?\.?\d/y

function beforeAndAfter({ start, number }: Frame, separators: readonly Separator[]): Option[] {
  const middle = separators.length === 2 ? separators[0] : undefined // none in [to:when]
  return [
    { from: start + 1, to: middle?.at ?? start + 1, first: number + 1 },
    { from: (middle?.at ?? start) + 1, to: separators[separators.length - 1]!.at, first: middle?.opened ?? number + 1 },
  ]
}

function alternatives({ start, number }: Frame, separators: readonly Separator[], end: number): Option[] {
  const starts = [{ at: start, opened: number + 1 }, ...separators]
  return starts.map(({ at, opened }, i) => ({ from: at + 1, to: separators[i]?.at ?? end, first: opened }))
}

function matches(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at
  return pattern.test(text)
}

/**
 * One scan, left to right. A bracket makes a construct, `(x)`, `(x:y)`, `[x]`, or one with options, if what it holds is text and
 * constructs; one that does not makes all brackets around it fail, as they hold more than that. Outside of constructs brackets and colons
 * are text, and a "|" makes the whole prompt text.
 */
class Scan {
  /** By the number of their "[". */
  readonly constructs: (Construct | undefined)[] = []
  literal = false
  any = false
  private readonly frames: Frame[] = []
  private readonly separators: Separator[] = [] // of all open brackets
  private failed = 0 // the frames below this height hold something that is no construct
  private backslash = -1

  constructor(
    private readonly text: string,
    private readonly report: Report,
  ) {}

  run(): void {
    const { text, frames } = this
    special.lastIndex = 0
    while (special.test(text)) {
      const at = special.lastIndex - 1
      const frame = frames[frames.length - 1]
      switch (text[at]) {
        case '\\':
          if (at + 1 < text.length && text[at + 1] !== '\n') special.lastIndex++
          else this.loneBackslash(at)
          break
        case '(':
          this.open(true, at)
          break
        case '[':
          this.open(false, at)
          this.constructs.push(undefined)
          break
        case ')':
          if (frame?.round) this.closeRound(frame)
          else this.drop()
          break
        case ']':
          if (frame && !frame.round) this.closeSquare(frame, at)
          else this.drop()
          break
        case ':':
          if (frame) frame.colons++
          if (frame && !frame.round) this.separators.push({ at, opened: this.constructs.length })
          break
        default:
          if (frame && !frame.round) {
            frame.bars++
            this.separators.push({ at, opened: this.constructs.length })
          } else this.bareBar(at)
      }
    }
    this.drop()
    if (this.backslash >= 0 && this.any) {
      const message =
        'This backslash stands before no character of its line, which makes all schedules and alternations of the prompt text.'
      this.report('E_SCHEDULE', this.backslash, 1, message)
    }
  }

  private loneBackslash(at: number): void {
    this.literal = true
    if (this.backslash < 0) this.backslash = at
    this.drop()
  }

  private open(round: boolean, start: number): void {
    this.frames.push({ round, start, number: this.constructs.length, base: this.separators.length, colons: 0, bars: 0 })
  }

  private bareBar(at: number): void {
    this.literal = true
    const message = '"|" outside of [a|b] makes all schedules and alternations of the prompt text; write "\\|" for the character.'
    this.report('E_SCHEDULE', at, 1, message)
  }

  /** No open bracket is a construct. */
  private drop(): void {
    for (const { at } of this.separators) if (this.text[at] === '|') this.bareBar(at)
    this.separators.length = 0
    this.frames.length = 0
    this.failed = 0
  }

  private closeRound({ colons }: Frame): void {
    this.frames.pop()
    if (colons > 1 || this.failed > this.frames.length) this.failed = this.frames.length
  }

  private closeSquare(frame: Frame, at: number): void {
    const { frames, text } = this
    const { colons, bars } = frame
    const separators = this.separators.splice(frame.base)
    frames.pop()
    const sound = this.failed <= frames.length
    if (sound && separators.length === 0) return
    const last = separators.length > 0 ? separators[separators.length - 1]!.at + 1 : at
    const when = bars === 0 && (colons === 1 || colons === 2) ? this.whenIn(last, at) : undefined
    const inOrder = when !== undefined || (bars > 0 && colons === 0)
    if (sound && inOrder) {
      this.any = true
      const options = when === undefined ? alternatives(frame, separators, at) : beforeAndAfter(frame, separators)
      this.constructs[frame.number] = { start: frame.start, end: at + 1, next: this.constructs.length, options, when }
      return
    }
    this.failed = frames.length
    if (bars > 0) this.literal = true
    if (bars > 0 || colons === 2 || (colons > 0 && matches(numberStart, text, skipSpaces(text, last)))) {
      this.reportFailed(frame, at, inOrder)
    }
  }

  /** The number that [from, to) is, with white space around it. */
  private whenIn(from: number, to: number): string | undefined {
    const start = skipSpaces(this.text, from)
    if (!matches(number, this.text, start)) return undefined
    const end = number.lastIndex
    return skipSpaces(this.text, end) === to ? this.text.slice(start, end) : undefined
  }

  private reportFailed({ start, bars, colons }: Frame, at: number, inner: boolean): void {
    const why = inner
      ? 'it holds a bracket that is not (text), (text:weight), [text], a schedule or an alternation'
      : bars > 0
        ? 'an alternation has no ":" of its own'
        : colons > 2
          ? 'a schedule is [from:to:when] or [to:when]'
          : 'a schedule ends with a plain number, as in [from:to:0.5] or [from:to:10]'
    const reach = bars > 0 ? 'makes all schedules and alternations of the prompt text' : 'is text'
    const shown = brief(this.text.slice(start, at + 1))
    this.report('E_SCHEDULE', start, at + 1 - start, `${shown} ${reach}: ${why}.`)
  }
}

/** The schedules and alternations in a text, by the number of their "[", empty if there are none or they do not count. */
export function findConstructs(text: string, report: Report): readonly (Construct | undefined)[] {
  if (!text.includes('[') && !text.includes('|')) return []
  const scan = new Scan(text, report)
  scan.run()
  return scan.literal || !scan.any ? [] : scan.constructs
}
