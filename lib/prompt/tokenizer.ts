import { invalid } from '../check.js'
import { encodeWord } from './byte-pairs.js'
import { cleanText } from './clean/clean.js'
import { vocabulary } from './vocabulary.js'

// CLIP's words: English contractions, runs of letters, single numerals, runs of anything else. The text is lower case already. Two
// peculiarities of the reference's case-insensitive pattern: 'ſ counts as 's, and U+0345 (a combining iota) belongs to no word.
const words = /'[sſ]|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\u0345\p{L}\p{N} ]+/gu

const utf8 = new TextEncoder()

// Words recur within and between prompts. Long ones do not, and would hold memory.
const cache = new Map<string, readonly number[]>()
const cachedWords = 50_000
const cachedLength = 40

function wordIds(word: string): readonly number[] {
  const known = cache.get(word)
  if (known) return known
  const ids = encodeWord(utf8.encode(word), vocabulary())
  if (word.length <= cachedLength) {
    if (cache.size >= cachedWords) cache.clear()
    cache.set(word, ids)
  }
  return ids
}

/**
 * CLIP BPE ids of a text, without start and end tokens; the same for both text encoders. Equal to open_clip's tokenizer, except that
 * names of special tokens (`<end_of_text>`, `<|endoftext|>`) are ordinary text here: no text gives 49406 or 49407.
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT if `text` is not a string
 */
export function tokenize(text: string): number[] {
  if (typeof text !== 'string') throw invalid('text', 'a string', text)
  return tokenizeWords(text).flat()
}

/** The same ids, those of each word together. */
export function tokenizeWords(text: string): (readonly number[])[] {
  return (cleanText(text).match(words) ?? []).map(wordIds)
}
