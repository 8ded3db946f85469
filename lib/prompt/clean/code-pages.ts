import { readDataFile } from '../data-file.js'

/** An 8-bit character set that agrees with ASCII. */
export interface CodePage {
  readonly name: string
  /** What bytes 0x80 … 0xFF stand for; an unassigned byte for the C1 control of its number. */
  readonly upper: string
  /**
   * Windows pages write U+FFFD as byte 0x1A: a character that an earlier decoding had lost already. Text that holds U+001A itself is in
   * none of them.
   */
  readonly windows: boolean
}

let table: readonly CodePage[] | undefined

/** The character sets that UTF-8 is mistaken for, in the order in which ftfy tries them. */
export function codePages(): readonly CodePage[] {
  return (table ??= Object.entries(JSON.parse(readDataFile('code-pages.json').toString()) as Record<string, string>).map(
    ([name, upper]) => ({ name, upper, windows: name.startsWith('windows-') }),
  ))
}

const encoders = new WeakMap<CodePage, ReadonlyMap<number, number>>()

function encoder(page: CodePage): ReadonlyMap<number, number> {
  const known = encoders.get(page)
  if (known) return known
  const bytes = new Map(Array.from(page.upper, (character, i) => [character.charCodeAt(0), 0x80 + i]))
  bytes.set(page.windows ? 0xfffd : 0x1a, 0x1a)
  encoders.set(page, bytes)
  return bytes
}

/** The bytes of a text as a string of U+0000 … U+00FF; nothing if the page lacks one of its characters. */
export function encode(text: string, page: CodePage): string | undefined {
  const upper = encoder(page)
  const bytes = Buffer.allocUnsafe(text.length)
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    const byte = unit < 0x80 && unit !== 0x1a ? unit : upper.get(unit)
    if (byte === undefined) return undefined
    bytes[i] = byte
  }
  return bytes.toString('latin1')
}
