import { isWordAt, isWordBefore, skipSpaces, spacesBefore } from '../../python-text.js'
import { numberAt } from './number.js'
import type { Report } from '../remark.js'

/** A prompt between ANDs, at `offset` of the whole text. */
export interface Part {
  readonly text: string
  readonly offset: number
  readonly weight: number
}

const and = 'AND'

function partOf(text: string, from: number, to: number, alone: boolean, report: Report): Part {
  const end = spacesBefore(text, to)
  const part = text.slice(from, end)
  const colon = part.lastIndexOf(':')
  const unweighted = { text: part, offset: from, weight: 1 }
  if (colon < 0) return unweighted
  const start = skipSpaces(part, colon + 1)
  const number = numberAt(part, start)
  if (number?.end !== part.length || Number.isNaN(number.value)) return unweighted
  if (!Number.isFinite(number.value)) {
    report('E_NUMBER', from + start, part.length - start, 'This weight is too large for a number; it is taken as text.')
    return unweighted
  }
  if (alone) {
    const message = `":" and a number at the end weight the whole prompt, by ${number.value}; put a comma behind it if it is meant as text.`
    report('W_TRAILING_WEIGHT', from + colon, part.length - colon, message)
  }
  return { text: part.slice(0, spacesBefore(part, colon)), offset: from, weight: number.value }
}

/** Cuts at every AND that is a word, also in brackets. White space at the end of a part goes, that in front of it stays. */
export function splitAtAnd(text: string, report: Report): Part[] {
  const ends: number[] = []
  for (let at = text.indexOf(and); at >= 0; at = text.indexOf(and, at + and.length)) {
    if (!isWordBefore(text, at) && !isWordAt(text, at + and.length)) ends.push(at)
  }
  ends.push(text.length)
  return ends.map((end, i) => partOf(text, i === 0 ? 0 : ends[i - 1]! + and.length, end, ends.length === 1, report))
}
