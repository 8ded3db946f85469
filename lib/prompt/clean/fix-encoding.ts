// Repairs UTF-8 that was decoded as an 8-bit character set ("schÃ¶n"), by ftfy's rules: https://ftfy.readthedocs.io/en/latest/heuristic.html
import { isBad } from './badness.js'
import { type CodePage, codePages, encode } from './code-pages.js'
import { windows1252 } from './html-entities.js'
import { decodeUtf8, replaceLossySequences, restoreNoBreakSpaces } from './utf8.js'

/** How many characters may still be looked at. */
export interface Allowance {
  left: number
}

// ftfy repeats the repair until nothing changes. Text that was wrongly decoded several times over doubles its length each time, so that
// few passes do; but of "Ãƒƒƒƒ…" every pass takes one character only, which is quadratic time.
const passes = 64

/** What the repair of a line may cost. */
export function allowanceFor(line: string): Allowance {
  return { left: passes * line.length }
}

/** C1 controls are nearly always Windows-1252 read as Latin-1. */
export function fixControls(text: string): string {
  return text.replace(/[\x80-\x9f]/g, (c) => windows1252[c.charCodeAt(0) - 0x80]!)
}

function decodeAs(page: CodePage, text: string): string | undefined {
  let bytes = encode(text, page)
  if (bytes === undefined) return undefined
  if (page.name !== 'mac-roman') bytes = restoreNoBreakSpaces(bytes) // there a dash with its space would look like a damaged sequence
  if (page.windows) bytes = replaceLossySequences(bytes)
  return decodeUtf8(bytes)
}

let embedded: RegExp | undefined

/** Runs of what UTF-8 sequences look like in Latin-1 or a Windows page; a space may stand for a no-break space. */
function embeddedSequences(): RegExp {
  const pages = codePages().filter(({ name, windows }) => windows || name === 'latin-1')
  const standsFor = (from: number, to: number) => pages.map(({ upper }) => upper.slice(from - 0x80, to - 0x7f)).join('')
  const next = standsFor(0x80, 0xbf)
  // After a continuation byte the run is a part of something worse. These stand for themselves, though.
  const certain = next.replace(/[–—―‘’‚“”„•…]/g, '')
  const two = `[${standsFor(0xc2, 0xdf)}][ ${next}]`
  const three = `[${standsFor(0xe0, 0xef)}][ ${next}]{2}`
  const four = `[${standsFor(0xf0, 0xf0)}${standsFor(0xf3, 0xf3)}][ ${next}]{3}`
  return new RegExp(`(?<![${certain}])(?:${two}|${three}|${four})+`, 'g')
}

function step(text: string, allowance: Allowance): string {
  if (!isBad(text)) return text
  for (const page of codePages()) {
    const decoded = decodeAs(page, text)
    if (decoded !== undefined) return decoded
  }
  // Parts of the line only.
  embedded ??= embeddedSequences()
  const repaired = text.replace(embedded, (run) => (run.length < text.length ? fixEncoding(run, allowance) : run))
  return repaired === text ? fixControls(text) : repaired
}

/** The text as it was before it was decoded wrongly, however often; as far as the allowance goes. */
export function fixEncoding(text: string, allowance: Allowance): string {
  while (allowance.left > 0) {
    allowance.left -= text.length
    const before = text
    text = step(text, allowance)
    if (text === before) break
  }
  return text
}
