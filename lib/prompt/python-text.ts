// Character classes of Python, which every reference for prompts is written in. They differ from JavaScript's \s, \w and \d.

/**
 * Python's `str.isspace`, for use inside a character class. Unlike JavaScript's \s it has U+001C–U+001F and U+0085 and lacks U+FEFF.
 * Every member is one UTF-16 unit.
 */
export const spaceClass = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'

const spaces = new RegExp(`^[${spaceClass}]$`)
const blank = new RegExp(`^[${spaceClass}]*$`)
const spaceRuns = new RegExp(`[${spaceClass}]+`, 'g')
const wordCharacter = /^[\p{L}\p{N}_]$/u
const decimalDigit = /^\p{Nd}$/u

/** Whether the UTF-16 unit at `index` is white space; false outside the text. */
export function isSpaceAt(text: string, index: number): boolean {
  const unit = text.charCodeAt(index)
  if (unit < 0x80) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d) || (unit >= 0x1c && unit <= 0x1f)
  return index >= 0 && index < text.length && spaces.test(text[index]!)
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

/** Whether a word, as Python's \b and \w see words, reaches `index` from the left. */
export function isWordBefore(text: string, index: number): boolean {
  if (index <= 0) return false
  const unit = text.charCodeAt(index - 1)
  const low = unit >= 0xdc00 && unit <= 0xdfff && index >= 2
  return wordCharacter.test(low ? text.slice(index - 2, index) : text[index - 1]!)
}

/** Whether a word starts or goes on at `index`. */
export function isWordAt(text: string, index: number): boolean {
  const point = text.codePointAt(index)
  return point !== undefined && wordCharacter.test(String.fromCodePoint(point))
}

/** Replaces decimal digits of every script by ASCII ones, as Python's `float` reads them: '１.５' is 1.5. */
export function asciiDigits(text: string): string {
  return text.replace(/\p{Nd}/gu, (digit) => {
    const point = digit.codePointAt(0)!
    // Unicode keeps the ten digits of a script in order, and neighbouring sets of ten (mathematical digits) whole.
    let first = point
    while (decimalDigit.test(String.fromCodePoint(first - 1))) first--
    return String((point - first) % 10)
  })
}
