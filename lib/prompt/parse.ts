import { checkKeys, invalid, optionalBoolean, optionalNumber } from '../check.js'
import { Diagnostics } from './diagnostics.js'
import { checkPromptOptions, type ResolvedPromptOptions } from './options.js'
import { syntaxes } from './syntax/registry.js'
import { single, type StepCount } from './syntax/syntax.js'
import type { ParsedPrompt, Piece, PromptOptions, PromptPart } from './types.js'

/** Where a text comes from: how messages call it, and whether it is a negative prompt. */
export interface PromptContext extends StepCount {
  readonly field: string
  readonly negative: boolean
}

/** @throws SdxlError ERR_INVALID_ARGUMENT */
export function checkSteps(steps: unknown): number {
  return optionalNumber('steps', steps, 'an integer from 1 to 10000', (n) => Number.isInteger(n) && n >= 1 && n <= 10_000) ?? 30
}

function partPiece(part: PromptPart, field: string): Piece {
  checkKeys(field, part, ['text', 'weight'])
  if (typeof part.text !== 'string') throw invalid(`${field}.text`, 'a string', part.text)
  return { text: part.text, weight: optionalNumber(`${field}.weight`, part.weight, 'a finite number', Number.isFinite) ?? 1 }
}

/**
 * Reads a prompt. Parts are taken as they stand, without any syntax.
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT for what is no prompt, ERR_PROMPT for a slip in strict mode
 */
export function readPrompt(
  prompt: string | readonly PromptPart[],
  options: ResolvedPromptOptions,
  { field, negative, steps, before }: PromptContext,
): ParsedPrompt {
  if (Array.isArray(prompt)) {
    const pieces = prompt.map((part: PromptPart, i) => partPiece(part, `${field}[${i}]`))
    const text = pieces.map((piece) => piece.text).join('')
    return { ...single(text, pieces.length > 0 ? pieces : [{ text: '', weight: 1 }], steps), diagnostics: [] }
  }
  if (typeof prompt !== 'string') throw invalid(field, 'a string or an array of { text, weight? }', prompt)
  const diagnostics = new Diagnostics(prompt, options.strict, field)
  const parsed = syntaxes[options.syntax](prompt, { diagnostics, negative, steps, before, comments: options.comments })
  return { ...parsed, diagnostics: diagnostics.finish() }
}

/**
 * Reads the syntax of a prompt; needs no model. Without `strict` no text is an error: what is odd is in `diagnostics`.
 *
 * @param options `steps` (default 30) is what `until` counts to; a `negative` prompt knows fewer constructs
 * @throws SdxlError ERR_INVALID_ARGUMENT for wrong options or a text that is no string; ERR_PROMPT for a slip in strict mode
 */
export function parsePrompt(text: string, options: PromptOptions & { steps?: number; negative?: boolean } = {}): ParsedPrompt {
  if (typeof text !== 'string') throw invalid('text', 'a string', text)
  const resolved = checkPromptOptions(options, 'prompting', ['steps', 'negative'])
  const steps = checkSteps(options.steps)
  const negative = optionalBoolean('negative', options.negative) ?? false
  return readPrompt(text, resolved, { field: negative ? 'negativePrompt' : 'prompt', negative, steps })
}
