// Character classes of Python, which every reference for prompts is written in. They differ from JavaScript's \s, \w and \d.

/**
 * Python's `str.isspace`, for use inside a character class. Unlike JavaScript's \s it has U+001C–U+001F and U+0085 and lacks U+FEFF.
 * Every member is one UTF-16 unit.
 */
export const spaceClass = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'

const blank = new RegExp(`^[${spaceClass}]*$`)
const spaceRuns = new RegExp(`[${spaceClass}]+`, 'g')
const wordCharacter = /^[\p{L}\p{N}_]$/u
const decimalDigit = /^\p{Nd}$/u

/** Whether the UTF-16 unit at `index` is white space; false outside the text. */
export function isSpaceAt(text: string, index: number): boolean {
  const unit = text.charCodeAt(index)
  if (unit < 0x80) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d) || (unit >= 0x1c && unit <= 0x1f)
  if (unit < 0x1680) return unit === 0x85 || unit === 0xa0
  return (
    unit === 0x1680 ||
    (unit >= 0x2000 && unit <= 0x200a) ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x3000
  )
}

/** The first index from `at` on where no white space is. */
export function skipSpaces(text: string, at: number): number {
  while (isSpaceAt(text, at)) at++
  return at
}

/** Where the white space in front of `end` begins. */
export function spacesBefore(text: string, end: number): number {
  while (isSpaceAt(text, end - 1)) end--
  return end
}

/** Whether a text is empty or white space only. */
export function isBlank(text: string): boolean {
  return blank.test(text)
}

/** Python's `' '.join(text.split())`: runs become one space, none at the ends. */
export function collapseSpaces(text: string): string {
  const collapsed = text.replace(spaceRuns, ' ')
  const from = collapsed.startsWith(' ') ? 1 : 0
  const to = collapsed.endsWith(' ') ? collapsed.length - 1 : collapsed.length
  return collapsed.slice(from, Math.max(from, to))
}

/** \w for the ASCII character of a UTF-16 unit. */
function isAsciiWord(unit: number): boolean {
  return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a) || isAsciiDigit(unit) || unit === 0x5f
}

function isAsciiDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39
}

/** Whether a word, as Python's \b and \w see words, reaches `index` from the left. */
export function isWordBefore(text: string, index: number): boolean {
  if (index <= 0) return false
  const unit = text.charCodeAt(index - 1)
  if (unit < 0x80) return isAsciiWord(unit)
  const low = unit >= 0xdc00 && unit <= 0xdfff && index >= 2
  return wordCharacter.test(low ? text.slice(index - 2, index) : text[index - 1]!)
}

/** Whether a word starts or goes on at `index`. */
export function isWordAt(text: string, index: number): boolean {
  const point = text.codePointAt(index)
  if (point === undefined || point < 0x80) return point !== undefined && isAsciiWord(point)
  return wordCharacter.test(String.fromCodePoint(point))
}

/** How many UTF-16 units the decimal digit at `index` has: 0 if there is none, 2 for one such as 𝟙. */
export function digitUnits(text: string, index: number): number {
  const point = text.codePointAt(index)
  if (point === undefined || point < 0x80) return point !== undefined && isAsciiDigit(point) ? 1 : 0
  if (!decimalDigit.test(String.fromCodePoint(point))) return 0
  return point > 0xffff ? 2 : 1
}

/** Replaces decimal digits of every script by ASCII ones, as Python's `float` reads them: '１.５' is 1.5. */
export function asciiDigits(text: string): string {
  if (!/[^\0-\x7f]/.test(text)) return text
  return text.replace(/\p{Nd}/gu, (digit) => {
    const point = digit.codePointAt(0)!
    // Unicode keeps the ten digits of a script in order, and neighbouring sets of ten (mathematical digits) whole.
    let first = point
    while (decimalDigit.test(String.fromCodePoint(first - 1))) first--
    return String((point - first) % 10)
  })
}

const float = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
const integer = /^[+-]?\d+$/
const strayUnderscore = /(?<!\d)_|_(?!\d)/

/** What Python's `float` (or `int`, if `whole`) makes of a text; undefined where it fails, and for inf, nan and what overflows. */
export function pythonNumber(text: string, whole = false): number | undefined {
  const from = skipSpaces(text, 0)
  const ascii = asciiDigits(text.slice(from, spacesBefore(text, text.length)))
  if (strayUnderscore.test(ascii)) return undefined
  const digits = ascii.replaceAll('_', '')
  const value = (whole ? integer : float).test(digits) ? Number(digits) : Number.NaN
  return Number.isFinite(value) ? value : undefined
}
