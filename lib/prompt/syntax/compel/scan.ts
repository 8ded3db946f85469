// The smallest parts of compel's grammar: white space, words, numbers, operators, LoRAs and the options of .and() and .blend().
import { asciiDigits, digitUnits } from '../../python-text.js'
import { power } from './power.js'

const skipped = 1 // between the parts of the grammar
const space = 2 // ends every word; vertical tab and form feed are not skipped
const syntactic = 4

const kinds = new Uint8Array(128)
for (const character of ' \t\n\r') kinds[character.charCodeAt(0)]! |= skipped | space
for (const character of '\v\f') kinds[character.charCodeAt(0)]! |= space
for (const character of '()",.+-=') kinds[character.charCodeAt(0)]! |= syntactic

function is(kind: number, text: string, at: number): boolean {
  const unit = text.charCodeAt(at) // NaN behind the end, which is of no kind
  return unit < 128 && (kinds[unit]! & kind) !== 0
}

export function skip(text: string, at: number): number {
  while (is(skipped, text, at)) at++
  return at
}

/** Skips what is between words outside of brackets and quotes. */
export function skipBetweenWords(text: string, at: number): number {
  while (is(space, text, at)) at++
  return at
}

/** Where a word of any characters ends. */
export function freeWordEnd(text: string, at: number): number {
  while (at < text.length && !is(space, text, at)) at++
  return at
}

/** Whether a sign at `at` is no part of a word: at its end, or in front of syntax. */
export function isOperatorAt(text: string, at: number): boolean {
  const sign = text[at] === '+' || text[at] === '-'
  return sign && (at + 1 >= text.length || is(skipped | syntactic, text, at + 1))
}

/** Where a word without syntax ends; `at` if there is none. */
export function wordEnd(text: string, at: number): number {
  while (at < text.length) {
    if (text[at] === '\\' && is(syntactic, text, at + 1)) at += 2
    else if (text[at] === '+' || text[at] === '-') {
      if (isOperatorAt(text, at)) return at
      at++
    } else if (is(space | syntactic, text, at)) return at
    else at++
  }
  return at
}

export interface Value<T> {
  readonly value: T
  readonly end: number
}

function digitsEnd(text: string, at: number): number {
  for (let units = digitUnits(text, at); units > 0; units = digitUnits(text, at)) at += units
  return at
}

/** A number: with a point, digits of any script and either sign; without one, ASCII digits and at most a minus. No exponents. */
export function numberAt(text: string, at: number, signed: boolean): Value<number> | undefined {
  const sign = signed && (text[at] === '+' || text[at] === '-') ? 1 : 0
  const whole = digitsEnd(text, at + sign)
  if (text[whole] === '.') {
    const end = digitsEnd(text, whole + 1)
    if (end - (at + sign) > 1) return { value: Number(asciiDigits(text.slice(at, end))), end }
  }
  if (sign === 1 && text[at] === '+') return undefined
  let end = at + sign
  while (text.charCodeAt(end) >= 0x30 && text.charCodeAt(end) <= 0x39) end++
  return end > at + sign ? { value: Number(text.slice(at, end)), end } : undefined
}

/** The weight that signs or a number at `at` mean. A number has no sign here: `-0.5` is "-", then 0.5. */
export function operatorAt(text: string, at: number, numbers: boolean): Value<number> | undefined {
  const sign = text[at]
  if (sign !== '+' && sign !== '-') return numbers ? numberAt(text, at, false) : undefined
  let end = at
  while (text[end] === sign) end++
  return { value: power(sign === '+' ? 1.1 : 0.9, end - at), end }
}

/** `.attend(1.2)` or `.attend(++)` at `at`, white space between its parts. */
export function attendAt(text: string, at: number): Value<number> | undefined {
  if (!text.startsWith('.attend', at)) return undefined
  const open = skip(text, at + '.attend'.length)
  if (text[open] !== '(') return undefined
  const weight = operatorAt(text, skip(text, open + 1), true)
  if (!weight) return undefined
  const close = skip(text, weight.end)
  return text[close] === ')' ? { value: weight.value, end: close + 1 } : undefined
}

const keyword = /[A-Za-z0-9_-]*/y

function keywordEnd(text: string, at: number): number {
  keyword.lastIndex = at
  keyword.test(text)
  return keyword.lastIndex
}

/** `withLora(name, 0.8)` or `useLora(name)` at `at`. */
export function loraAt(text: string, at: number): Value<{ name: string; weight: number }> | undefined {
  const word = ['withLora', 'useLora'].find((start) => text.startsWith(start, at))
  if (word === undefined) return undefined
  const open = skip(text, at + word.length)
  if (text[open] !== '(') return undefined
  const from = skip(text, open + 1)
  const to = keywordEnd(text, from)
  if (to === from) return undefined
  let end = skip(text, to)
  let weight = 1
  if (text[end] === ',') {
    const number = numberAt(text, skip(text, end + 1), true)
    if (!number) return undefined
    weight = number.value
    end = skip(text, number.end)
  }
  return text[end] === ')' ? { value: { name: text.slice(from, to), weight }, end: end + 1 } : undefined
}

/** One of `key=value`, a number or a keyword; of the first the key. */
function optionAt(text: string, at: number): Value<string | number> | undefined {
  const end = keywordEnd(text, at)
  const equals = skip(text, end)
  if (end > at && text[equals] === '=') {
    const from = skip(text, equals + 1)
    const to = numberAt(text, from, true)?.end ?? keywordEnd(text, from)
    if (to > from) return { value: text.slice(at, end), end: to }
  }
  const number = numberAt(text, at, true)
  if (number) return number
  return end > at ? { value: text.slice(at, end), end } : undefined
}

/** Options with commas between them, perhaps none, up to a closing bracket; `end` is behind it. */
export function optionsAt(text: string, at: number): Value<(string | number)[]> | undefined {
  const value: (string | number)[] = []
  at = skip(text, at)
  for (let option = optionAt(text, at); option; option = optionAt(text, skip(text, at + 1))) {
    value.push(option.value)
    at = skip(text, option.end)
    if (text[at] !== ',') break
  }
  return text[at] === ')' ? { value, end: at + 1 } : undefined
}
