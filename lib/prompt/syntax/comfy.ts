// ComfyUI's token weights: (more) ×1.1, (text:1.3) exactly 1.3 whatever is around it, \( for a bracket. Nothing else is syntax.
import type { Diagnostics } from '../diagnostics.js'
import { pythonNumber } from '../python-text.js'
import type { Piece } from '../types.js'
import { type ParseSyntax, single } from './syntax.js'

const up = 1.1
const notGroup = 0 // what is no bracket, escaped brackets, and brackets that a stray ")" put out of action
const unclosed = -1
const longestNumber = 400 // no double needs more
const meantAsNumber = /^\s*[+-]?(?:[\d.,][\d.,eE+-]*|inf|infinity|nan)\s*$/i

function isBracket(text: string, at: number): boolean {
  return (text[at] === '(' || text[at] === ')') && text[at - 1] !== '\\'
}

/** For every "(" the offset of its ")", or `unclosed`. Each ")" too many puts one later "(" out of action. */
function closings(text: string, diagnostics: Diagnostics): Int32Array {
  const closing = new Int32Array(text.length)
  const open: number[] = []
  let deficit = 0
  for (let at = 0; at < text.length; at++) {
    if (!isBracket(text, at)) continue
    if (text[at] === '(') {
      if (deficit > 0) deficit--
      else open.push(at)
      continue
    }
    const start = open.pop()
    if (start !== undefined) closing[start] = at
    else {
      deficit++
      const message = '")" closes nothing, is taken as text, and makes text of a group behind it; write "\\)" for the character.'
      diagnostics.add('E_STRAY', at, 1, message)
    }
  }
  for (const at of open) {
    closing[at] = unclosed
    diagnostics.add('E_UNCLOSED', at, 1, '"(" is never closed: it and what follows it is text; write "\\(" for the character.')
  }
  return closing
}

/** The weight at the end of a group's text [from, to), and where its colon stands. */
function weightOf(text: string, from: number, to: number, diagnostics: Diagnostics): { weight: number; colon: number } | undefined {
  let colon = to - 1
  while (colon > from && text[colon] !== ':' && text[colon] !== '(' && text[colon] !== ')') colon--
  if (colon <= from || text[colon] !== ':') return undefined
  const length = to - colon - 1
  if (length > longestNumber) return undefined
  const number = text.slice(colon + 1, to)
  const weight = pythonNumber(number)
  if (weight !== undefined) return { weight, colon }
  if (meantAsNumber.test(number)) {
    const message = 'Not a number that a weight can be: taken as text, and the bracket as (text).'
    diagnostics.add('E_NUMBER', colon + 1, length, message)
  }
  return undefined
}

function pieceOf(text: string, weight: number): Piece {
  const plain = text.replace(/\\([()])/g, '$1')
  // The word with this weight, not the mark that ends a chunk.
  return { text: plain === 'BREAK' && weight === -1 ? 'BREAK ' : plain, weight }
}

/** Every stretch of text between brackets is a piece, also next to one of equal weight. */
export const parseComfy: ParseSyntax = (text, { diagnostics, steps }) => {
  const closing = closings(text, diagnostics)
  const pieces: Piece[] = []
  const groups = [{ at: 0, to: text.length, weight: 1 }] // open ones; `at` is where to go on
  const put = (from: number, to: number, weight: number) => {
    if (from < to) pieces.push(pieceOf(text.slice(from, to), weight))
  }
  while (groups.length > 0) {
    const group = groups[groups.length - 1]!
    const { to, weight } = group
    const from = group.at
    let open = from
    while (open < to && closing[open] === notGroup) open++
    put(from, open, weight)
    if (open === to) {
      groups.pop()
      continue
    }
    // Without a ")" of its own, the rest is a group if it ends with any, and that one then closes this instead of its own "(".
    const own = closing[open]!
    const end = own !== unclosed && own < to ? own : to - 1
    const closes = end === own || (end > open && text[end] === ')' && isBracket(text, end))
    group.at = closes ? end + 1 : to
    if (!closes) {
      put(open, to, weight)
      continue
    }
    const explicit = weightOf(text, open + 1, end, diagnostics)
    groups.push({ at: open + 1, to: explicit?.colon ?? end, weight: explicit?.weight ?? weight * up })
  }
  return single(text, pieces.length > 0 ? pieces : [{ text: '', weight: 1 }], steps)
}
