import { invalid } from '../check.js'
import { chunkPrompt, chunkSize } from './chunk.js'
import { checkPromptOptions } from './options.js'
import { type PromptContext, promptPieces } from './parse.js'
import type { Chunk, Diagnostic, PromptOptions, PromptPart, PromptReport } from './types.js'

/** Remarks on another text than the one the report is about: their offsets would point into the wrong text. */
function elsewhere(field: string, diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics.map(({ code, message, offset }) => ({
    code,
    message: `In ${field}${offset === undefined ? '' : ` at offset ${offset}`}: ${message}`,
  }))
}

/**
 * A prompt's chunks, for the encoders, and the report on them, for people. `prompt2` belongs to the positive prompt and has no effect
 * on a negative one.
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT for wrong options or a prompt that is none; ERR_PROMPT for a slip in strict mode or a weight
 *         that no 32-bit float holds
 */
export function layoutPrompt(
  prompt: string | readonly PromptPart[],
  options: PromptOptions = {},
  context: PromptContext = { field: 'prompt', negative: false },
): { chunks: Chunk[]; report: PromptReport } {
  const resolved = checkPromptOptions(options)
  const { pieces, diagnostics } = promptPieces(prompt, resolved, context)
  const prompt2 = context.negative ? undefined : resolved.prompt2
  if (prompt2 !== undefined) {
    const second = promptPieces(prompt2, resolved, { field: 'prompting.prompt2', negative: false })
    diagnostics.push(...elsewhere('prompt2', second.diagnostics))
  }
  const chunks = chunkPrompt(pieces, { ...options, prompt2 })
  const report = {
    tokens: chunks.reduce((sum, { used }) => sum + used, 0),
    limit: chunks.length * chunkSize,
    chunks: chunks.length,
    layout: chunks.map(({ used, closedBy, ids, weights }) => ({
      used,
      free: chunkSize - used,
      closedBy,
      ids: Array.from(ids),
      weights: Array.from(weights),
    })),
    diagnostics,
  }
  return { chunks, report }
}

/**
 * What the encoders will see of a prompt: tokens with weights and chunks, of the first encoder where `prompt2` makes them differ.
 *
 * @throws SdxlError as `layoutPrompt`
 */
export function explainPrompt(text: string | readonly PromptPart[], options: PromptOptions = {}): PromptReport {
  if (typeof text !== 'string' && !Array.isArray(text)) throw invalid('text', 'a string or an array of { text, weight? }', text)
  return layoutPrompt(text, options).report
}
