import { invalid, optionalBoolean } from '../check.js'
import { layoutPrompt } from './layout.js'
import { checkEmbeddings, checkPromptOptions } from './options.js'
import { checkSteps } from './parse.js'
import type { PromptOptions, PromptPart, PromptReport } from './types.js'

export interface ExplainOptions extends PromptOptions {
  /** What schedules count, default 30. */
  steps?: number
  /** A negative prompt knows neither AND nor tags. */
  negative?: boolean
  /** Textual inversions that the text may name, with their numbers of vectors: `model.info.embeddings`. */
  embeddings?: Record<string, number>
}

/**
 * What the encoders will see of a prompt: tokens with weights and chunks, of the first encoder where `prompt2` makes them differ, and of
 * the longest text where schedules or AND make several.
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT for wrong options or a prompt that is none; ERR_PROMPT for a slip in strict mode or a weight that
 *         no 32-bit float holds
 */
export function explainPrompt(text: string | readonly PromptPart[], options: ExplainOptions = {}): PromptReport {
  if (typeof text !== 'string' && !Array.isArray(text)) throw invalid('text', 'a string or an array of { text, weight? }', text)
  const resolved = checkPromptOptions(options, 'prompting', ['steps', 'negative', 'embeddings'])
  const negative = optionalBoolean('negative', options.negative) ?? false
  const context = {
    field: negative ? 'negativePrompt' : 'prompt',
    negative,
    steps: checkSteps(options.steps),
    embeddings: checkEmbeddings(options.embeddings),
  }
  return layoutPrompt(text, resolved, context).report
}
