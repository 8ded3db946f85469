// UTF-8 that programs have damaged. Bytes are strings of U+0000 … U+00FF here, for the sake of regular expressions.
import { isUtf8 } from 'node:buffer'

// Sequences that UTF-8 does not allow but programs write: U+0000 as two bytes, and a character above U+FFFF as two surrogates of three
// bytes each (CESU-8). ftfy's decoder takes a line feed at the very end for the last byte of either, and so does this one.
const variants = /\xc0(?:\x80|\n$)|\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf](?:[\x80-\xbf]|\n$)/g

function standardForm(sequence: string): string {
  if (sequence.length === 2) return '\0'
  const surrogate = (at: number) => 0xd000 | ((sequence.charCodeAt(at + 1) & 0x3f) << 6) | (sequence.charCodeAt(at + 2) & 0x3f)
  return Buffer.from(String.fromCharCode(surrogate(0), surrogate(3))).toString('latin1')
}

/** The text of UTF-8 bytes, the variants above among them; nothing if they are not UTF-8. */
export function decodeUtf8(bytes: string): string | undefined {
  const buffer = Buffer.from(bytes.replace(variants, standardForm), 'latin1')
  return isUtf8(buffer) ? buffer.toString() : undefined
}

const next = '[\\x80-\\xbf]' // a continuation byte
const unspaced = '[\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf]' // one that is no white space in any character set

const spaced = new RegExp(
  [
    '[\\xc2\\xc3\\xc5\\xce\\xd0\\xd9] ',
    `[\\xe2\\xe3] ${unspaced}`,
    `[\\xe0-\\xe3]${unspaced} `,
    `\\xf0 ${next}${next}`,
    `\\xf0${next} ${next}`,
    `\\xf0${next}${next} `,
  ].join('|'),
  'g',
)
// "à" as a word of its own, before which two kinds of space were merged; not the start of the Portuguese às, àquele, àquela, àquilo.
const loneAGrave = /\xc3 (?! |quele|quela|quilo|s )/g

/** Puts the byte 0xA0, a no-break space in most character sets, back where a space stands for it and the outcome is a likely character. */
export function restoreNoBreakSpaces(bytes: string): string {
  return bytes.replace(loneAGrave, '\xc3\xa0 ').replace(spaced, (sequence) => sequence.replaceAll(' ', '\xa0'))
}

const lost = '[\\x1a?]'
const nextOrLost = '[\\x1a\\x80-\\xbf]'

const lossy = new RegExp(
  [
    '[\\xc2-\\xdf]\\x1a',
    '[\\xc2\\xc3]\\?',
    `\\xed[\\xa0-\\xaf]${lost}\\xed[\\xb0-\\xbf][\\x1a?\\x80-\\xbf]`,
    `\\xed[\\xa0-\\xaf][\\x1a?\\x80-\\xbf]\\xed[\\xb0-\\xbf]${lost}`,
    `[\\xe0-\\xef]${lost}${nextOrLost}`,
    `[\\xe0-\\xef]${nextOrLost}${lost}`,
    `[\\xf0-\\xf4]${lost}${nextOrLost}${nextOrLost}`,
    `[\\xf0-\\xf4]${nextOrLost}${lost}${nextOrLost}`,
    `[\\xf0-\\xf4]${nextOrLost}${nextOrLost}${lost}`,
    '\\x1a',
  ].join('|'),
  'g',
)

/** Makes U+FFFD of every sequence in which a byte became U+FFFD (here 0x1A, see `CodePage`) or, once, a question mark. */
export function replaceLossySequences(bytes: string): string {
  return bytes.replace(lossy, '\xef\xbf\xbd')
}
