import { SdxlError } from '../errors.js'
import { tokenize } from './tokenizer.js'
import { firstAddedToken } from './vocabulary.js'

/** A textual inversion in a prompt: `length` tokens of text stand for `vectors` tokens of ids from `first` on. */
export interface EmbeddingMatch {
  readonly length: number
  readonly first: number
  readonly vectors: number
}

interface Entry extends EmbeddingMatch {
  readonly tokens: readonly number[]
}

const prefix = 'embedding:'

/**
 * The textual inversions that a prompt may name. As in A1111 a name is found by its tokens, so upper and lower case are the same and it
 * may stand anywhere; as in ComfyUI it may also be written `embedding:name`, and in that syntax it has to.
 */
export class EmbeddingNames {
  readonly #byFirstToken = new Map<number, Entry[]>()

  /**
   * @param vectors how many tokens each name stands for; ids are counted in this order
   * @throws SdxlError ERR_INVALID_ARGUMENT for a name without a token, and for two that no prompt could tell apart
   */
  constructor(vectors: Readonly<Record<string, number>>, { prefixed = false } = {}) {
    let first = firstAddedToken
    const known = new Map<string, string>()
    for (const [name, count] of Object.entries(vectors)) {
      const tokens = tokenize(name)
      const other = known.get(tokens.join())
      if (tokens.length === 0 || other !== undefined) {
        const why = other === undefined ? 'holds nothing that the tokenizer knows' : `has the same tokens as ${JSON.stringify(other)}`
        throw new SdxlError('ERR_INVALID_ARGUMENT', `The embedding name ${JSON.stringify(name)} ${why}; choose another name`, {
          field: `embeddings.${name}`,
        })
      }
      known.set(tokens.join(), name)
      if (!prefixed) this.#add({ tokens, length: tokens.length, first, vectors: count })
      const long = tokenize(prefix + name)
      this.#add({ tokens: long, length: long.length, first, vectors: count })
      first += count
    }
    for (const entries of this.#byFirstToken.values()) entries.sort((a, b) => b.length - a.length)
  }

  #add(entry: Entry): void {
    const entries = this.#byFirstToken.get(entry.tokens[0]!)
    if (entries) entries.push(entry)
    else this.#byFirstToken.set(entry.tokens[0]!, [entry])
  }

  /** The longest name whose tokens stand at `at`. */
  match(tokens: readonly number[], at: number): EmbeddingMatch | undefined {
    return this.#byFirstToken.get(tokens[at]!)?.find((entry) => entry.tokens.every((token, i) => token === tokens[at + i]))
  }
}
