import type { PromptPart } from '../prompt/index.js'

/** The shortest decimal that gives the number back, without an exponent: A1111 reads none. */
function decimal(value: number): string {
  const [mantissa, exponent] = Math.abs(value).toExponential().split('e') as [string, string]
  const digits = mantissa.replace('.', '')
  const point = Number(exponent) + 1
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0'
  const fraction = '0'.repeat(Math.max(-point, 0)) + digits.slice(Math.max(point, 0))
  return `${value < 0 ? '-' : ''}${whole}${fraction && `.${fraction}`}`
}

/** Parts in A1111's syntax, for people and other programs: a BREAK, AND or tag in a part's text has a meaning there. */
export function partsText(parts: readonly PromptPart[]): string {
  const escaped = (text: string) => text.replace(/[()[\]\\]/g, '\\$&')
  return parts.map(({ text, weight = 1 }) => (weight === 1 ? escaped(text) : `(${escaped(text)}:${decimal(weight)})`)).join('')
}
