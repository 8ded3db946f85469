import { isSpaceAt } from '../prompt/python-text.js'

/** One `Key: value` of a settings line. `offset` and `length` are UTF-16 units of the line. */
export interface Setting {
  readonly key: string
  readonly value: string
  readonly offset: number
  readonly length: number
}

const outsideKey = /[^\p{L}\p{N}_ /-]/gu
const keyStart = /[\p{L}\p{N}_]/u

/** The key that ends before `end`: two or more letters, digits, `_`, spaces, dashes and slashes, the first no separator. */
function keyBetween(line: string, start: number, end: number): { key: string; offset: number } | undefined {
  const run = line.slice(start, end)
  let from = 0
  for (const { 0: character, index } of run.matchAll(outsideKey)) from = index + character.length
  const first = run.slice(from).search(keyStart)
  if (first < 0 || run.length - from - first < 2) return undefined
  return { key: run.slice(from + first), offset: start + from + first }
}

/** Where the string that opens at `open` closes; -1 if it does not. */
function closingQuote(line: string, open: number): number {
  for (let at = open + 1; at < line.length; at++) {
    if (line[at] === '\\') at++
    else if (line[at] === '"') return at
  }
  return -1
}

/** Where the value at `start` ends: a quoted string that fills its place, else a run up to the next comma. */
function valueEnd(line: string, start: number): number {
  if (line[start] === '"') {
    const close = closingQuote(line, start)
    if (close >= 0 && (close + 1 === line.length || line[close + 1] === ',')) return close + 1
  }
  const comma = line.indexOf(',', start)
  return comma < 0 ? line.length : comma
}

function unquoted(value: string): string {
  if (!value.startsWith('"') || !value.endsWith('"')) return value
  try {
    return JSON.parse(value) as string
  } catch {
    return value
  }
}

/**
 * The settings of a line, in order. Finds what the regular expression of A1111 finds; a scan from colon to colon, because that expression
 * takes quadratic time on a long line without any.
 */
export function readSettings(line: string): Setting[] {
  const settings: Setting[] = []
  let from = 0
  for (let colon = line.indexOf(':'); colon >= 0; colon = line.indexOf(':', from)) {
    const found = keyBetween(line, from, colon)
    from = colon + 1
    if (!found) continue
    while (isSpaceAt(line, from)) from++
    const end = valueEnd(line, from)
    settings.push({ ...found, value: unquoted(line.slice(from, end)), length: end - found.offset })
    from = end + 1
  }
  return settings
}

/**
 * Beyond A1111's own rule (comma, colon, new line) this quotes what would not come back as it is, or, a NUL or carriage return, not
 * survive in files.
 */
function quoted(value: string): string {
  const spaced = isSpaceAt(value, 0) || isSpaceAt(value, value.length - 1)
  return value === '' || value.startsWith('"') || spaced || /[,:\0-\x1f]/.test(value) ? JSON.stringify(value) : value
}

/** The line; settings without a value are left out. */
export function writeSettings(settings: Readonly<Record<string, string | number | undefined>>): string {
  return Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}: ${quoted(String(value))}`)
    .join(', ')
}
