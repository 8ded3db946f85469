import { checkKeys, invalid, optionalBoolean, optionalChoice, optionalNumber } from '../check.js'
import { syntaxes } from './syntax/registry.js'
import type { PromptOptions } from './types.js'

const keys = ['syntax', 'emphasis', 'chunk', 'zeroEmptyNegative', 'clipSkip', 'prompt2', 'comments', 'strict'] as const
const emphases = ['a1111', 'no-norm', 'comfy', 'compel', 'ignore'] as const

/** Prompt options with their defaults filled in. */
export interface ResolvedPromptOptions {
  readonly syntax: NonNullable<PromptOptions['syntax']>
  readonly emphasis: (typeof emphases)[number]
  readonly chunk: { readonly size: 75; readonly backtrack: number }
  readonly zeroEmptyNegative: boolean
  readonly clipSkip: number
  readonly prompt2: string | undefined
  readonly comments: boolean
  readonly strict: boolean
}

/**
 * Checks options of unknown origin and fills in defaults.
 *
 * @param field how error messages call the object, `prompting` as in a generation request
 * @param more  keys that the caller takes beside those of PromptOptions
 * @throws SdxlError ERR_INVALID_ARGUMENT that names the field and what is allowed
 */
export function checkPromptOptions(
  options: PromptOptions | undefined,
  field = 'prompting',
  more: readonly string[] = [],
): ResolvedPromptOptions {
  const given = options === undefined ? {} : options
  checkKeys(field, given, [...keys, ...more])
  const { chunk = {}, prompt2 } = given
  checkKeys(`${field}.chunk`, chunk, ['size', 'backtrack'])
  if (chunk.size !== undefined && chunk.size !== 75)
    throw invalid(`${field}.chunk.size`, '75, the only size the encoders have,', chunk.size)
  if (prompt2 !== undefined && typeof prompt2 !== 'string') throw invalid(`${field}.prompt2`, 'a string', prompt2)
  const syntaxNames = Object.keys(syntaxes) as NonNullable<PromptOptions['syntax']>[]
  const backtrackWanted = 'an integer from 0 (never cut at a comma) to 74'
  return {
    syntax: optionalChoice(`${field}.syntax`, given.syntax, syntaxNames) ?? 'a1111',
    emphasis: optionalChoice(`${field}.emphasis`, given.emphasis, emphases) ?? 'a1111',
    chunk: {
      size: 75,
      backtrack:
        optionalNumber(`${field}.chunk.backtrack`, chunk.backtrack, backtrackWanted, (n) => Number.isInteger(n) && n >= 0 && n <= 74) ?? 20,
    },
    zeroEmptyNegative: optionalBoolean(`${field}.zeroEmptyNegative`, given.zeroEmptyNegative) ?? true,
    clipSkip: optionalNumber(`${field}.clipSkip`, given.clipSkip, 'an integer ≥ 1', (n) => Number.isInteger(n) && n >= 1) ?? 1,
    prompt2,
    comments: optionalBoolean(`${field}.comments`, given.comments) ?? false,
    strict: optionalBoolean(`${field}.strict`, given.strict) ?? false,
  }
}

/** @throws SdxlError ERR_INVALID_ARGUMENT unless every name has a number of vectors that fits into a chunk */
export function checkEmbeddings(embeddings: unknown): Record<string, number> | undefined {
  if (embeddings === undefined) return undefined
  if (typeof embeddings !== 'object' || embeddings === null || Array.isArray(embeddings))
    throw invalid('embeddings', 'an object', embeddings)
  for (const [name, vectors] of Object.entries(embeddings)) {
    const fits = (n: number) => Number.isInteger(n) && n >= 1 && n <= 75
    if (optionalNumber(`embeddings.${name}`, vectors, 'an integer from 1 to 75', fits) === undefined)
      throw invalid(`embeddings.${name}`, 'an integer from 1 to 75', vectors)
  }
  return embeddings as Record<string, number>
}
