import { type ParseSyntax, single } from './syntax.js'

/** No syntax: brackets, colons and BREAK are text. */
export const parsePlain: ParseSyntax = (text, { steps }) => single(text, [{ text, weight: 1 }], steps)
