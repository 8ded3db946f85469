import { isBlank, skipSpaces, spacesBefore } from '../python-text.js'
import { decimal } from './decimal.js'
import type { Draft, Part } from './draft.js'
import { gap, joinRuns, type Run, scaledRuns } from './runs.js'

// There are no escapes, but the tokenizer decodes HTML references.
const references: Readonly<Record<string, string>> = {
  '{': '&lcub;',
  '}': '&rcub;',
  '[': '&lsqb;',
  ']': '&rsqb;',
  '|': '&vert;',
  ':': '&colon;',
}

function writeRun({ text, weight }: Run): string {
  const escaped = text.replace(/[{}[\]|]|:(?=:)/g, (character) => references[character]!)
  if (weight === 1) return escaped
  // A digit before "::" would begin a number of its own.
  return `${decimal(weight)}::${escaped.startsWith(':') ? ' ' : ''}${escaped}${/[0-9.:]$/.test(escaped) ? ' ' : ''}::`
}

function writeRuns(runs: readonly Run[]): string {
  return joinRuns(runs, writeRun, (before, after) => (after.weight === 1 || before.close || after.open ? gap(before, after) : ' '))
}

function writeMixed({ weight, stretches }: Part): string {
  const text = writeRuns(scaledRuns({ weight: 1, stretches }))
  const colon = text.lastIndexOf(':')
  const number = /-?[\d.]+/y
  number.lastIndex = skipSpaces(text, colon + 1)
  const endsWithWeight = colon >= 0 && number.test(text) && number.lastIndex === spacesBefore(text, text.length)
  return weight !== 1 || endsWithWeight ? `${text} :${decimal(weight)}` : text
}

/** Empty parts have no place in a mix. */
export function writeNovelAi({ parts }: Draft): string {
  const filled = parts.filter((part) => !isBlank(writeRuns(scaledRuns(part))))
  return filled.length > 1 ? filled.map(writeMixed).join(' | ') : filled.map((part) => writeRuns(scaledRuns(part))).join('')
}
