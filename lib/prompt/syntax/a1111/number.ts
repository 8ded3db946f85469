import { asciiDigits, digitUnits } from '../../python-text.js'

/** An optional sign, then digits and points. `value` is NaN if they are no number (1.2.3), infinite if no double holds it. */
export interface WrittenNumber {
  readonly end: number
  readonly value: number
}

/** The number of a weight at `at`. Digits are those of every script; there are no exponents. */
export function numberAt(text: string, at: number): WrittenNumber | undefined {
  const sign = text[at] === '+' || text[at] === '-' ? 1 : 0
  let end = at + sign
  let digits = 0
  let points = 0
  for (;;) {
    const units = digitUnits(text, end)
    if (units > 0) {
      digits++
      end += units
    } else if (text[end] === '.') {
      points++
      end++
    } else break
  }
  if (digits + points === 0) return undefined
  return { end, value: digits > 0 && points < 2 ? Number(asciiDigits(text.slice(at, end))) : Number.NaN }
}
