import { readDataFile } from '../data-file.js'

interface Tables {
  /** HTML's named references without their `&`: `amp;`, and the legacy ones also as `amp`. */
  readonly names: ReadonlyMap<string, string>
  /** All-capitals spellings that HTML does not know, for `decodeStrict`: `EACUTE;` → É. */
  readonly capitals: ReadonlyMap<string, string>
}

let tables: Tables | undefined

function load(): Tables {
  const data = JSON.parse(readDataFile('html-entities.json').toString()) as Record<keyof Tables, string[]>
  return { names: pairs(data.names), capitals: pairs(data.capitals) }
}

/** Of a list of names, each with its value behind it. */
function pairs(list: readonly string[]): Map<string, string> {
  const map = new Map<string, string>()
  for (let i = 0; i < list.length; i += 2) map.set(list[i]!, list[i + 1]!)
  return map
}

// What browsers show for &#128; … &#159; (the HTML Standard's table of numeric references): Windows-1252, where that has a character.
export const windows1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ'

/** The character of a numeric reference: '' where HTML knows none. `digits` has no sign and may be of any length. */
function fromNumber(digits: string, radix: 10 | 16): string {
  const point = Number.parseInt(digits, radix)
  if (point >= 0x80 && point <= 0x9f) return windows1252[point - 0x80]!
  if (point === 0 || (point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff) return '\ufffd'
  const control = (point < 0x20 && point !== 0x09 && point !== 0x0a && point !== 0x0c && point !== 0x0d) || point === 0x7f
  const noncharacter = (point & 0xfffe) === 0xfffe || (point >= 0xfdd0 && point <= 0xfdef)
  return control || noncharacter ? '' : String.fromCodePoint(point)
}

function decodeNumber(body: string): string {
  return body[1] === 'x' || body[1] === 'X' ? fromNumber(body.slice(2), 16) : fromNumber(body.slice(1), 10)
}

/** Only references that end in a semicolon, as in `fix_text` of ftfy: text such as "this&not that" stays. */
export function decodeStrict(text: string): string {
  if (!text.includes('&')) return text
  tables ??= load()
  const { names, capitals } = tables
  return text.replace(/&(#?[0-9A-Za-z]{1,24};)/g, (whole, body: string) => {
    if (body[0] !== '#') return names.get(body) ?? capitals.get(body) ?? whole
    if (!/^#([0-9]+|[xX][0-9a-fA-F]+);$/.test(body)) return whole
    const decoded = decodeNumber(body.slice(0, -1))
    return decoded === ';' ? whole : decoded // ftfy takes a semicolon in the result for one that was not consumed
  })
}

/** As a browser does, and Python's `html.unescape`: legacy names need no semicolon, the longest known name wins. */
export function decodeLenient(text: string): string {
  if (!text.includes('&')) return text
  tables ??= load()
  const { names } = tables
  const longest = 32 // CounterClockwiseContourIntegral;
  return text.replace(/&(#[0-9]+|#[xX][0-9a-fA-F]+|[^\t\n\f <&#;]{1,32})(;?)/gu, (whole, body: string, end: string) => {
    if (body[0] === '#') return decodeNumber(body)
    const name = body + end
    const known = names.get(name)
    if (known !== undefined) return known
    for (let length = Math.min(name.length - 1, longest); length > 1; length--) {
      const prefix = names.get(name.slice(0, length))
      if (prefix !== undefined) return prefix + name.slice(length)
    }
    return whole
  })
}
