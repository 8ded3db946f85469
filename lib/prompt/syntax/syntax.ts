import type { Diagnostics } from '../diagnostics.js'
import type { ParsedPrompt, Piece } from '../types.js'

/** What schedules count, from 1: steps, or model calls where a sampler makes two a step. */
export interface StepCount {
  readonly steps: number
  /** The steps of a first pass, in a second one: whole numbers go on counting, and parts of its steps are above 1. */
  readonly before?: number
}

export interface SyntaxContext extends StepCount {
  readonly diagnostics: Diagnostics
  /** A negative prompt: A1111 knows neither AND nor tags in it. */
  readonly negative: boolean
  /** Whether "#" and what follows it on its line is cut out. */
  readonly comments: boolean
}

/** A dialect: text to at least one sub-prompt with at least one entry of at least one piece, also for ''. Never throws on any text. */
export type ParseSyntax = (text: string, context: SyntaxContext) => Omit<ParsedPrompt, 'diagnostics'>

/** One text for all steps. */
export function single(text: string, pieces: readonly Piece[], steps: number): Omit<ParsedPrompt, 'diagnostics'> {
  return { subs: [{ weight: 1, schedule: [{ until: steps, text, pieces }] }], loras: [] }
}
