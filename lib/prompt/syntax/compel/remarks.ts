import { brief, type Report } from '../remark.js'
import type { FreeWord, Reader } from './reader.js'

const operator = /^\.(?:and|add|blend|swap|attend)\(/
const apartOperator = /^(?:\+{1,40}|-{1,40}|\d*\.\d+)[,.;]?$/
const foreignWeight = /:[ \t]*[+-]?(?:\d+(?:\.\d*)?|\.\d+)[ \t]*\)/g

function isOperator({ text }: Reader, { from, to }: FreeWord): boolean {
  return text[from] === '.' && operator.test(text.slice(from, Math.min(to, from + 10)))
}

/** The brackets and opening quotes in a word that are text. */
function* textualBrackets(reader: Reader, { from, to }: FreeWord): Generator<number> {
  const { text } = reader
  for (let at = from; at < to; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '(' || text[at] === ')' || (text[at] === '"' && at === from)) yield at
  }
}

function reportFailure(reader: Reader, at: number, report: Report): void {
  const { text } = reader
  const failure = reader.failure(at)?.at
  const what = text[at] === '"' ? 'quotes' : 'brackets'
  const culprit = failure === undefined || failure >= text.length ? undefined : brief(text[failure]!)
  const why = failure === at ? 'what they hold' : culprit
  const message = why
    ? `These ${what} are text, because ${why} cannot stand in them as it is.`
    : `These ${what} are text, because they do not begin where a word does.`
  report('W_LITERAL_GROUP', at, 1, message)
}

function reportUnclosed(text: string, at: number, report: Report): void {
  report('E_UNCLOSED', at, 1, `${brief(text[at]!)} is never closed and is taken as text; write "\\${text[at]}" if that is meant.`)
}

function reportBrackets(reader: Reader, report: Report): void {
  const { text } = reader
  const open: number[] = []
  for (const word of reader.freeWords) {
    if (isOperator(reader, word)) continue
    for (const at of textualBrackets(reader, word)) {
      if (text[at] === '(') open.push(at)
      else if (text[at] === '"') {
        if (reader.failure(at)?.at === text.length) reportUnclosed(text, at, report)
        else reportFailure(reader, at, report)
      } else {
        const start = open.pop()
        if (start !== undefined) reportFailure(reader, start, report)
        else report('E_STRAY', at, 1, '")" closes nothing and is taken as text; write "\\)" if that is meant.')
      }
    }
  }
  for (const at of open) reportUnclosed(text, at, report)
}

/** What became text of a prompt though it looks like syntax. */
export function reportText(reader: Reader, report: Report): void {
  const { text } = reader
  reportBrackets(reader, report)
  for (const freeWord of reader.freeWords) {
    const { from, to, behindGroup } = freeWord
    const word = text.slice(from, Math.min(to, from + 41))
    if (isOperator(reader, freeWord)) {
      const wanted = 'it stands right behind what it is for; .and() and .blend() open the prompt: ("a", "b").and()'
      const message = `${brief(word)} is text, as an operator it is malformed or in the wrong place: ${wanted}.`
      report('E_OPERATOR', from, word.indexOf('('), message)
    } else if (behindGroup && apartOperator.test(word)) {
      report('W_SPACE', from, to - from, `${brief(word)} is text, because white space separates it from what it would weight.`)
    }
  }
  for (const { 0: weight, index } of text.matchAll(foreignWeight)) {
    report('W_FOREIGN_WEIGHT', index, weight.length, 'This is a weight in A1111 and ComfyUI, and text here: write (text)1.2.')
  }
}
