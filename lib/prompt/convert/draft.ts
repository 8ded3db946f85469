// What the writers of all dialects start from: a prompt without what only one dialect has.
import type { LoraTag, ParsedPrompt, Piece, PromptEntry, SubPrompt } from '../types.js'
import { type Run, runsOf } from './runs.js'

/** A prompt of its own; its text goes through the encoders stretch by stretch. */
export interface Part {
  readonly weight: number
  readonly stretches: readonly (readonly Run[])[]
}

export interface Draft {
  readonly parts: readonly Part[] // at least one
  readonly loras: readonly LoraTag[]
}

/** The text that shows for most of the steps, the first of equals. */
function mainEntry(schedule: readonly PromptEntry[]): PromptEntry {
  const steps = new Map<string, number>()
  let from = 0
  for (const { until, text } of schedule) {
    steps.set(text, (steps.get(text) ?? 0) + until - from)
    from = until
  }
  return schedule.reduce((main, entry) => (steps.get(entry.text)! > steps.get(main.text)! ? entry : main))
}

function stretchesOf(pieces: readonly Piece[], strengths: readonly number[] | undefined): Run[][] {
  const stretches: Piece[][] = [[]]
  for (const piece of pieces) {
    if (piece.text === 'BREAK' && piece.weight === -1) stretches.push([])
    else stretches[stretches.length - 1]!.push(piece)
  }
  return stretches.map((stretch, i) => runsOf(stretch, strengths?.[i] ?? 1))
}

function partsOf({ weight, schedule }: SubPrompt): Part[] {
  const { pieces, blend, strengths } = mainEntry(schedule)
  const texts = blend ?? [{ weight: 1, pieces }]
  return texts.map((text) => ({ weight: weight * text.weight, stretches: stretchesOf(text.pieces, strengths) }))
}

export function draftOf({ subs, loras }: Omit<ParsedPrompt, 'diagnostics'>): Draft {
  return { parts: subs.flatMap(partsOf), loras }
}
