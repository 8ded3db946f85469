import { skipSpaces, spacesBefore } from '../python-text.js'
import { numberAt } from '../syntax/a1111/number.js'
import type { LoraTag } from '../types.js'
import { decimal } from './decimal.js'
import type { Draft, Part } from './draft.js'
import { joinRuns, type Run } from './runs.js'

const special = /[\\()[\]|]/g
const keyword = /(?<![\p{L}\p{N}_])(?:BREAK|AND)(?![\p{L}\p{N}_])/gu
const tag = /<(?=[\p{L}\p{N}_]+(?::|$))/gu

/** Case means nothing to the tokenizer, and only BREAK and AND are syntax; but `&And;` is another HTML reference than `&AND;`. */
function writeKeyword(word: string, at: number, text: string): string {
  return text[at - 1] === '&' ? `${word[0]}\\${word.slice(1)}` : word[0] + word.slice(1).toLowerCase()
}

/** A backslash that escapes nothing is dropped, after keywords and tags have been looked for. */
function textOf(text: string): string {
  return text.replace(special, '\\$&').replace(keyword, writeKeyword).replace(tag, '<\\')
}

function writeRun({ text, weight }: Run): string {
  return weight === 1 ? textOf(text) : `(${textOf(text)}:${decimal(weight)})`
}

function endsWithWeight(text: string): boolean {
  const colon = text.lastIndexOf(':')
  return colon >= 0 && numberAt(text, skipSpaces(text, colon + 1))?.end === spacesBefore(text, text.length)
}

function writePart({ weight, stretches }: Part): string {
  const text = stretches.map((stretch) => joinRuns(stretch, writeRun)).join(' BREAK ')
  return weight !== 1 || endsWithWeight(text) ? `${text} :${decimal(weight)}` : text
}

function writeLora({ name, textEncoder, unet }: LoraTag): string {
  const numbers = textEncoder === unet ? [unet] : [textEncoder, unet]
  return `<lora:${[name, ...numbers.map(decimal)].join(':')}>`
}

export function writeA1111({ parts, loras }: Draft): string {
  return [parts.map(writePart).join(' AND '), ...loras.map(writeLora)].join(' ')
}
