import { isSpaceAt } from '../../python-text.js'

/** The quote that closes the one at `at`; quotes reach over no line end. An escaped one does if there is no other. -1 without any. */
export function closingQuote(text: string, at: number): number {
  let escaped = -1
  for (let i = at + 1; i < text.length && text[i] !== '\n' && text[i] !== '\r'; i++) {
    if (text[i] !== '"') continue
    if (text[i - 1] !== '\\') return i
    escaped = i
  }
  return escaped
}

const escapes = /\\(?:([tnfr])|([0-7]3|0|x[0-9a-fA-F]2|u[0-9a-fA-F]4))/g
const whiteSpace: Readonly<Record<string, string>> = { t: '\t', n: '\n', f: '\f', r: '\r' }

function unescape(content: string): string {
  return content.replace(escapes, (_, white: string | undefined, code: string) => {
    if (white !== undefined) return whiteSpace[white]!
    if (code === '0') return '\0'
    return code.startsWith('x') || code.startsWith('u') ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : code
  })
}

/**
 * What stands between quotes, as a text of its own in which all quotes are escaped; '' if it is blank. pyparsing decodes some escapes: \t,
 * \n, \f, \r, \0, and of \x and \u, by a slip, one digit with a fixed one behind it.
 */
export function quotedText(content: string): string {
  const plain = unescape(content).replaceAll('\\"', '"')
  let at = 0
  while (isSpaceAt(plain, at)) at++
  return at === plain.length ? '' : plain.replaceAll('"', '\\"')
}
