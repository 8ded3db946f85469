import { invalid, optionalChoice } from '../../check.js'
import { parsePrompt } from '../parse.js'
import type { ParsedPrompt, PromptOptions } from '../types.js'
import { writeA1111 } from './a1111.js'
import { writeComfy, writePlain } from './comfy.js'
import { writeCompel } from './compel.js'
import { type Draft, draftOf } from './draft.js'
import { writeNovelAi } from './novelai.js'

type Syntax = NonNullable<PromptOptions['syntax']>

const writers: Readonly<Record<Syntax, (draft: Draft) => string>> = {
  a1111: writeA1111,
  comfy: writeComfy,
  compel: writeCompel,
  novelai: writeNovelAi,
  plain: writePlain,
}

/** A parsed prompt in a dialect; see `convertPrompt`. */
export function writePrompt(parsed: Omit<ParsedPrompt, 'diagnostics'>, to: Syntax): string {
  return writers[to](draftOf(parsed))
}

const names = Object.keys(writers) as Syntax[]

/**
 * Rewrites a prompt in another dialect so that the same tokens keep the same weights, to the last bit: groups are flat, with plain
 * decimal numbers, and characters that are syntax there are escaped. The other dialects' ways of saying the same are not imitated.
 * The same dialect twice returns the text as it is. No text is an error.
 *
 * What a dialect lacks becomes:
 * - schedules and alternations: the text that shows for most of 30 steps, the first of equals
 * - AND, `|` and `.blend()`: each other for `a1111` and `novelai` (a blend's weights become those of the prompts); an `.and()` for
 *   `compel`; else phrases with ", " between them, whose weights multiply those of their words. So does the weight of a lone prompt
 *   (`cat :3`) for `comfy` and `novelai`
 * - BREAK and `.and()`: each other for `a1111` and `compel`; else white space. The strengths of `.and()` multiply weights
 * - LoRAs: kept for `a1111`, and for `compel` if the name consists of letters, digits, "_" and "-" (one number, the UNet's); else left out
 * - negative weights: 0 for `compel`; `plain` has no weights at all
 * - compel's pooling of the text with its syntax, comments, and white space other than single spaces
 *
 * `novelai` and `compel` have no escape for some characters: there they are HTML references (`&lcub;`), which the tokenizer decodes.
 * The encoders' cleaning repairs text that was decoded wrongly ("schÃ¶n"), judging whole lines: of such text the tokens may change.
 * A negative prompt is read as if it were a positive one.
 *
 * @param from dialect of `text`, default 'a1111'
 * @param to   default 'a1111'
 * @throws SdxlError ERR_INVALID_ARGUMENT for a text that is no string and for an unknown dialect
 */
export function convertPrompt(text: string, from?: PromptOptions['syntax'], to?: PromptOptions['syntax']): string {
  if (typeof text !== 'string') throw invalid('text', 'a string', text)
  const source = optionalChoice('from', from, names) ?? 'a1111'
  const target = optionalChoice('to', to, names) ?? 'a1111'
  return source === target ? text : writePrompt(parsePrompt(text, { syntax: source }), target)
}
