// What A1111 reads before attention and this library does not read yet. Such text stays text, and says so.
import type { Diagnostics } from '../diagnostics.js'
import { spaceClass } from '../python-text.js'

const code = 'W_UNSUPPORTED_SYNTAX'
const scheduleEnd = new RegExp(`:[${spaceClass}]*[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?[${spaceClass}]*\\]`, 'y')
const trailingWeight = new RegExp(`:[${spaceClass}]*[+-]?(\\d+\\.?|\\d*\\.\\d+)[${spaceClass}]*$`, 'y')
const and = /(?<![\p{L}\p{N}_])AND(?![\p{L}\p{N}_])/gu
const tagStart = /<[\p{L}\p{N}_]+:/gu

/** A bracket that is still open, and what stood in it outside of inner brackets. */
interface Frame {
  readonly bracket: string
  readonly offset: number
  colons: number
  lastColon: number
  bars: number
}

function brief(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 39)}…` : text)
}

function reportSchedules(text: string, diagnostics: Diagnostics): void {
  if (!text.includes(']')) return
  const frames: Frame[] = []
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === '\\') at++
    else if (character === '(' || character === '[') frames.push({ bracket: character, offset: at, colons: 0, lastColon: -1, bars: 0 })
    else if (frames.length > 0) {
      const frame = frames[frames.length - 1]!
      if (character === ':') {
        frame.colons++
        frame.lastColon = at
      } else if (character === '|') frame.bars++
      else if (character === ')' && frame.bracket === '(') frames.pop()
      else if (character === ']' && frame.bracket === '[') {
        frames.pop()
        const kind = constructOf(text, frame, at)
        if (!kind) continue
        const construct = text.slice(frame.offset, at + 1)
        const message = `${kind} such as ${brief(construct)} is not supported yet: it is taken as text with less weight.`
        diagnostics.add(code, frame.offset, construct.length, message)
      }
    }
  }
}

function constructOf(text: string, { colons, lastColon, bars }: Frame, end: number): string | undefined {
  if (bars > 0) return colons === 0 ? 'An alternation' : undefined
  if (colons !== 1 && colons !== 2) return undefined
  scheduleEnd.lastIndex = lastColon
  return scheduleEnd.test(text) && scheduleEnd.lastIndex === end + 1 ? 'A schedule' : undefined
}

function reportTags(text: string, diagnostics: Diagnostics, negative: boolean): void {
  let close = -1 // the ">" that is next, or that of the last tag
  for (const { 0: start, index } of text.matchAll(tagStart)) {
    const args = index + start.length
    if (index < close) continue
    close = text.indexOf('>', args)
    if (close < 0) return
    if (close === args) continue
    const tag = text.slice(index, close + 1)
    const message = negative ? 'have no effect in a negative prompt' : 'are not supported yet; use the option loras'
    diagnostics.add(negative ? 'W_TAG_IN_NEGATIVE' : code, index, tag.length, `Tags such as ${brief(tag)} ${message}: this is text.`)
  }
}

/** Schedules, alternations, AND, trailing weights and tags; a negative prompt has no AND and no trailing weight anyway. */
export function reportLiteralConstructs(text: string, diagnostics: Diagnostics, negative: boolean): void {
  reportSchedules(text, diagnostics)
  reportTags(text, diagnostics, negative)
  if (negative) return
  for (const { index } of text.matchAll(and)) {
    diagnostics.add(code, index, 3, 'AND between prompts is not supported yet: it is taken as the word "and".')
  }
  const lastColon = text.lastIndexOf(':')
  trailingWeight.lastIndex = lastColon
  if (lastColon >= 0 && trailingWeight.test(text)) {
    const tail = text.slice(lastColon)
    const message = `A weight for the whole prompt, ${brief(tail)} at its end, is not supported yet: it is taken as text.`
    diagnostics.add(code, lastColon, tail.length, message)
  }
}
