import type { Piece } from '../types.js'

/** No syntax: brackets, colons and BREAK are text. */
export function parsePlain(text: string): Piece[] {
  return [{ text, weight: 1 }]
}
