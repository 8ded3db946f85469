import { SdxlError } from '../errors.js'
import type { Diagnostic } from './types.js'

const listed = 100 // a pasted text of brackets must not become a report of many times its size
const excerptReach = 30 // UTF-16 units on either side

/** Two lines: a piece of the text, and a caret under `offset`. */
function excerpt(text: string, offset: number): string {
  const from = Math.max(0, offset - excerptReach)
  const to = Math.min(text.length, offset + excerptReach)
  const before = (from > 0 ? '…' : '') + text.slice(from, offset)
  const line = before + text.slice(offset, to) + (to < text.length ? '…' : '')
  return `  ${line.replace(/\s/g, ' ')}\n  ${' '.repeat(before.length)}^`
}

type Located = Diagnostic & { readonly offset: number }

/** Collects what is odd about one text. In strict mode a code E_… ends in an error instead. */
export class Diagnostics {
  private readonly found: Located[] = []
  private unlisted = 0
  private firstError: Located | undefined

  constructor(
    private readonly text: string,
    private readonly strict: boolean,
    private readonly field: string,
  ) {}

  add(code: string, offset: number, length: number, message: string): void {
    const item = { code, message, offset, length }
    if (code.startsWith('E_') && offset < (this.firstError?.offset ?? Number.POSITIVE_INFINITY)) this.firstError = item
    if (this.found.length < listed) this.found.push(item)
    else this.unlisted++
  }

  /** All of them by offset. @throws SdxlError ERR_PROMPT for the first E_… in strict mode */
  finish(): Diagnostic[] {
    if (this.strict && this.firstError) {
      const { code, message, offset, length } = this.firstError
      throw new SdxlError('ERR_PROMPT', `${message} At offset ${offset} of ${this.field}:\n${excerpt(this.text, offset)}`, {
        field: this.field,
        code,
        offset,
        length,
      })
    }
    this.found.sort((a, b) => a.offset - b.offset)
    if (this.unlisted === 0) return this.found
    return [...this.found, { code: 'W_MORE', message: `${this.unlisted} more remarks on this prompt are not listed.` }]
  }
}
