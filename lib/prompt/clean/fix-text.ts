// What `ftfy.fix_text` (6.3) does with its default settings.
import { allowanceFor, fixControls, fixEncoding } from './fix-encoding.js'
import { decodeStrict } from './html-entities.js'

// ftfy repeats its steps until nothing changes, which nested references (&amp;amp;…) can drag out as long as the text. Real text needs
// two or three rounds.
const maxRounds = 16
const maxLine = 1_000_000 // code points; ftfy cuts what is longer

const ligatures: Readonly<Record<string, string>> = {
  Ĳ: 'IJ',
  ĳ: 'ij',
  ŉ: 'ʼn',
  Ǳ: 'DZ',
  ǲ: 'Dz',
  ǳ: 'dz',
  Ǆ: 'DŽ',
  ǅ: 'Dž',
  ǆ: 'dž',
  Ǉ: 'LJ',
  ǈ: 'Lj',
  ǉ: 'lj',
  Ǌ: 'NJ',
  ǋ: 'Nj',
  ǌ: 'nj',
  ﬀ: 'ff',
  ﬁ: 'fi',
  ﬂ: 'fl',
  ﬃ: 'ffi',
  ﬄ: 'ffl',
  ﬅ: 'ſt',
  ﬆ: 'st',
}

/** Steps in ftfy's order; each is a pattern and what becomes of its matches. */
const steps: readonly (readonly [RegExp, (match: string) => string])[] = [
  [/[ĲĳŉǱǲǳǄǅǆǇǈǉǊǋǌﬀ-ﬆ]/g, (c) => ligatures[c]!],
  // Full-width ASCII, half-width katakana and Hangul, and the ideographic space.
  [/[\u3000\uff01-\uffef]/g, (c) => (c === '\u3000' ? ' ' : c.normalize('NFKC'))],
  [/[\u201c-\u201f]/g, () => '"'],
  [/[\u02bc\u2018-\u201b]/g, () => "'"],
  [/\r\n?|[\u2028\u2029]/g, () => '\n'],
  [/[\ud800-\udfff]/gu, () => '\ufffd'], // with the u flag: lone surrogates only
  // Terminal escapes ("ANSI colours") go before the control characters they start with.
  [/\x1b\[[\p{Nd};]*[a-zA-Z]/gu, () => ''],
  [/[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g, () => ''],
]

function fixLine(line: string, decodeEntities: boolean): string {
  const allowance = allowanceFor(line)
  for (let round = 0; round < maxRounds; round++) {
    const before = line
    if (decodeEntities) line = decodeStrict(line)
    if (/[^\x00-\x7f]/.test(line)) line = fixControls(fixEncoding(line, allowance))
    for (const [pattern, replacement] of steps) line = line.replace(pattern, replacement)
    line = line.normalize('NFC')
    if (line === before) break
  }
  return line
}

/** Where the line that starts at `start` ends, its line feed included. */
function endOfLine(text: string, start: number): number {
  const lineFeed = text.indexOf('\n', start)
  const end = lineFeed < 0 ? text.length : lineFeed + 1
  if (end - start <= maxLine) return end
  let cut = start
  for (let points = 0; points < maxLine && cut < end; points++) cut += text.codePointAt(cut)! > 0xffff ? 2 : 1
  return cut
}

/** Repairs what copying, old encodings and word processors do to text: see the steps above. */
export function fixText(text: string): string {
  // HTML references are decoded line by line up to the first line with a "<": from there on the text is taken for markup.
  let decodeEntities = true
  let fixed = ''
  for (let start = 0; start < text.length;) {
    const end = endOfLine(text, start)
    const line = text.slice(start, end)
    decodeEntities &&= !line.includes('<')
    fixed += fixLine(line, decodeEntities)
    start = end
  }
  return fixed
}
