import type { PromptOptions } from '../types.js'
import { parseA1111 } from './a1111/index.js'
import { parseComfy } from './comfy.js'
import { parseCompel } from './compel/index.js'
import { parseNovelAi } from './novelai.js'
import { parsePlain } from './plain.js'
import type { ParseSyntax } from './syntax.js'

/** The dialects, one file each. A prompt is in one of them as a whole. */
export const syntaxes: Readonly<Record<NonNullable<PromptOptions['syntax']>, ParseSyntax>> = {
  a1111: parseA1111,
  comfy: parseComfy,
  compel: parseCompel,
  novelai: parseNovelAi,
  plain: parsePlain,
}
