import type { LoraTag } from '../types.js'
import { decimal } from './decimal.js'
import type { Draft } from './draft.js'
import { cleanText } from '../clean/clean.js'
import { joinRuns, type Run } from './runs.js'

/** Where a text stands: outside of brackets and quotes words are free; in quotes pyparsing decodes some escapes of its own. */
type Context = 'free' | 'brackets' | 'quotes'

// compel leaves the backslash in front of these in the text, but the tokenizer decodes HTML references.
const references: Readonly<Record<string, string>> = {
  '+': '&plus;',
  '-': '&#45;',
  '=': '&equals;',
  '.': '&period;',
  ',': '&comma;',
  '\\': '&bsol;',
}

/** Whether the character behind `at` ends a word as it will be written: brackets and quotes get a backslash, commas within a reference. */
function endsWord(word: string, at: number): boolean {
  const next = word[at + 1]
  return next === undefined || '+-.='.includes(next) || (next === ',' && at + 2 === word.length)
}

const longestReference = 40

/** Whether the tokenizer sees letters and numerals only, which it separates from symbols next to them. */
function isWordUnit(character: string): boolean {
  return /^[\p{L}\p{N}]+$/u.test(cleanText(character))
}

function endsInWord(text: string): boolean {
  return /[\p{L}\p{N}]$/u.test(cleanText(text))
}

/** A full stop or comma between words is a word of its own to compel, which changes nothing unless symbols are next to it. */
function standsAlone(word: string, at: number): boolean {
  const before = word.slice(Math.max(0, at - longestReference), at)
  const reference = before.lastIndexOf('&')
  const apartBefore = at === 0 || endsInWord(reference < 0 ? word[at - 1]! : before.slice(reference)) // &amp is a symbol
  return apartBefore && (at + 1 === word.length || isWordUnit(word[at + 1]!))
}

function writeWord(word: string, context: Context): string {
  const free = context === 'free'
  const mayHoldReference = word.includes('&')
  let weightable = true // a sign would be read as the weight of what is before it
  return word.replace(/[()"\\+\-,.=]/g, (character, at: number) => {
    const next = word[at + 1]
    const reference = references[character]!
    switch (character) {
      case '\\': // in front of an escaped character it would go, too
        return context === 'quotes' || (next !== undefined && '()"'.includes(next)) ? reference : character
      case '+':
      case '-':
        if (!endsWord(word, at) || (free && !weightable)) return character
        if (!free) return reference
        weightable = at > 0 && (mayHoldReference || !/[A-Za-z0-9]/.test(word[at - 1]!))
        return weightable ? reference : at > 0 ? ` ${character}` : character
      case ',':
        return next === undefined && (free || standsAlone(word, at)) ? character : reference
      case '.':
      case '=':
        weightable &&= word[at - 1] === '\\' // then it goes on as a word
        return free || (character === '.' && standsAlone(word, at)) ? character : reference
      default:
        return `\\${character}`
    }
  })
}

/** Words with single spaces between them: compel keeps no other white space. */
function writeText(text: string, context: Context): string {
  const apart = text
    // Case means nothing to the tokenizer, and only these spellings are syntax.
    .replace(/(?<=\.)(?:swap|attend)|(?:with|use)Lora/g, (name) =>
      name.endsWith('Lora') ? name.toLowerCase() : name[0]!.toUpperCase() + name.slice(1),
    )
    .replace(/,(?=(.))/gsu, (comma, next: string) => (isWordUnit(next) ? ', ' : comma))
  return apart
    .split(/[ \t\n\f\r]+/)
    .map((word) => writeWord(word, context))
    .join(' ')
}

function writeRuns(runs: readonly Run[], context: Context): string {
  const write = ({ text, weight }: Run) => {
    if (weight === 1) return writeText(text, context)
    const words = writeText(text, context === 'free' ? 'brackets' : context)
    return `(${words}${words.endsWith('\\') ? ' ' : ''})${decimal(Math.max(weight, 0))}`
  }
  return joinRuns(
    runs.map((run) => ({ ...run, open: '', close: '' })),
    write,
    () => ' ',
  )
}

/** Names of letters, digits, "_" and "-" only can be written. */
function writeLoras(loras: readonly LoraTag[]): string[] {
  return loras.filter(({ name }) => /^[A-Za-z0-9_-]+$/.test(name)).map(({ name, unet }) => `withLora(${name}, ${decimal(unet)})`)
}

/** More than one stretch, or a weighted part, makes an `.and()` of all stretches. */
export function writeCompel({ parts, loras }: Draft): string {
  const stretches = parts.flatMap(({ weight, stretches }) => stretches.map((runs) => ({ weight, runs })))
  const only = stretches.length === 1 && stretches[0]!.weight === 1 ? stretches[0] : undefined
  if (only) return [writeRuns(only.runs, 'free'), ...writeLoras(loras)].filter(Boolean).join(' ')
  const texts = stretches.map(({ runs }, i) => [writeRuns(runs, 'quotes'), ...(i === 0 ? writeLoras(loras) : [])].filter(Boolean).join(' '))
  const weights = stretches.some(({ weight }) => weight !== 1) ? stretches.map(({ weight }) => decimal(weight)) : []
  return `(${texts.map((text) => `"${text}"`).join(', ')}).and(${weights.join(', ')})`
}
