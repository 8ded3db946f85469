import { collapseSpaces } from '../python-text.js'
import { fixText } from './fix-text.js'
import { decodeLenient } from './html-entities.js'

// Printable ASCII and white space without "&": no repair applies to it.
const plain = /^[\t\n\x20-\x25\x27-\x7e]*$/

/**
 * The text whose words the tokenizer sees: repaired, HTML references decoded, white space collapsed, lower case.
 * The default cleaning of open_clip, which SDXL's second text encoder was trained with.
 */
export function cleanText(text: string): string {
  const fixed = plain.test(text) ? text : decodeLenient(decodeLenient(fixText(text)))
  return collapseSpaces(fixed).toLowerCase()
}
