import type { Diagnostics } from '../diagnostics.js'
import type { Piece } from '../types.js'

/** A dialect: text to pieces, at least one, also for ''. Never throws on any text. */
export type ParseSyntax = (text: string, context: { diagnostics: Diagnostics; negative: boolean }) => Piece[]
