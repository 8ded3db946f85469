// The syntax of the library compel 2.3: word+, (text)1.2, "text"--, .blend(), .and(), withLora().
import { isBlank, spaceClass } from '../../python-text.js'
import type { LoraTag } from '../../types.js'
import { Excerpt } from '../excerpt.js'
import { brief, type Report } from '../remark.js'
import type { ParseSyntax } from '../syntax.js'
import { type Flat, flatten } from './flatten.js'
import { piecesOf, type Reading, readOperation } from './operation.js'
import { Reader } from './reader.js'
import { reportText } from './remarks.js'

const tightComma = new RegExp(`,[^${spaceClass}]`, 'g')

/** The text with a space behind every comma, as compel reads it, and where remarks on it go. */
function commasApart(text: string, report: Report): { text: string; report: Report } {
  const spaced = new Excerpt(text)
  let end = 0
  for (const { index } of text.matchAll(tightComma)) {
    spaced.take(end, index + 1)
    spaced.put(' ', index + 1)
    end = index + 1
  }
  spaced.take(end, text.length)
  return { text: spaced.text(), report: spaced.reportTo(report) }
}

function readPrompt(reader: Reader, report: Report): Reading {
  const flat = flatten(isBlank(reader.text) ? [] : reader.prompt(0))
  reportText(reader, report)
  return { entry: { pieces: piecesOf(flat) }, flats: [flat] }
}

function reportSwaps(flats: readonly Flat[], report: Report): void {
  for (const { offset, length } of flats.flatMap(({ swaps }) => swaps)) {
    report('W_SWAP', offset, length, '.swap() is not supported: the text before it is taken, that in its brackets is not.')
  }
}

/** Each LoRA once. */
function lorasOf(flats: readonly Flat[], report: Report): LoraTag[] {
  const loras = new Map<string, LoraTag>()
  for (const { name, weight, offset, length } of flats.flatMap((flat) => flat.loras)) {
    if (loras.has(name))
      report('W_LORA_TWICE', offset, length, `The LoRA ${brief(name)} is named before; it is applied once, with this weight.`)
    loras.set(name, { name, textEncoder: weight, unet: weight })
  }
  return [...loras.values()]
}

/**
 * Fragments and weights are those of compel's own parser. Where that fails on a text, this goes on, with a remark: wrong numbers of
 * `.and()` and `.blend()` count as 1, what follows these two is left out.
 */
export const parseCompel: ParseSyntax = (text, { diagnostics, steps }) => {
  const spaced = commasApart(text, (code, offset, length, message) => diagnostics.add(code, offset, length, message))
  const reader = new Reader(spaced.text)
  const { entry, flats } = readOperation(reader, spaced.report) ?? readPrompt(reader, spaced.report)
  reportSwaps(flats, spaced.report)
  // compel reads the pooled vector from the text as it is written, syntax and all.
  return { subs: [{ weight: 1, schedule: [{ until: steps, text, pooledText: text, ...entry }] }], loras: lorasOf(flats, spaced.report) }
}
