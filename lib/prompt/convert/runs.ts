import type { Piece } from '../types.js'

/** Text of one weight, not blank. `open` and `close` are the white space around it. */
export interface Run {
  readonly open: string
  readonly text: string
  readonly close: string
  readonly weight: number
}

// What separates words for certain: other white space is repaired or removed before words are told apart.
const blank = /^[ \t\n\f\r]*$/
const edges = /^[ \t\n\f\r]*/
const lastBlank = /[ \t\n\f\r]/

function trimmed(text: string, weight: number): Run {
  const open = edges.exec(text)![0]
  let end = text.length
  while (lastBlank.test(text[end - 1]!)) end--
  return { open, text: text.slice(open.length, end), close: text.slice(end), weight }
}

/**
 * What is to stand between two runs so that they stay apart as words: each is tokenized by itself. A comma or the like may follow a word
 * directly; not where "&" could make both one HTML reference.
 */
export function gap(before: Run, after: Run): string {
  if (before.close || after.open) return ''
  return /^[,.;!?]/.test(after.text) && /[A-Za-z0-9]$/.test(before.text) && !before.text.includes('&') ? '' : ' '
}

/** A weight that can be written down. */
function written(weight: number): number {
  if (Number.isNaN(weight)) return 0
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, weight))
}

/**
 * The pieces with their weights times `strength`. Blank ones go, and so does white space at both ends; neighbours of equal weight become
 * one run.
 */
export function runsOf(pieces: readonly Piece[], strength: number): Run[] {
  const groups: { weight: number; runs: Run[] }[] = []
  let space = ''
  for (const piece of pieces) {
    const text = piece.text.replaceAll('\v', '') // as the tokenizer does; compel would read no further
    if (blank.test(text)) {
      if (text) space = ' '
      continue
    }
    const weight = written(piece.weight * strength)
    const run = trimmed(text, weight)
    const spaced = { ...run, open: run.open || space }
    space = ''
    const last = groups.at(-1)
    if (last?.weight === weight) last.runs.push(spaced)
    else groups.push({ weight, runs: [spaced] })
  }
  return groups.map(({ weight, runs }, i) => {
    const open = i > 0 ? runs[0]!.open : ''
    const close = i < groups.length - 1 ? runs[runs.length - 1]!.close : ''
    const texts = runs.map((run, j) => (j > 0 ? runs[j - 1]!.close + gap(runs[j - 1]!, run) + run.open : '') + run.text)
    return { open, text: texts.join(''), close, weight }
  })
}

/** The runs, each written by `write`, and the white space between them. */
export function joinRuns(runs: readonly Run[], write: (run: Run) => string, between: (before: Run, after: Run) => string = gap): string {
  return runs.map((run, i) => (i > 0 ? between(runs[i - 1]!, run) : '') + run.open + write(run) + run.close).join('')
}

/** The runs of a part at its weight, without its breaks. */
export function scaledRuns({ weight, stretches }: { readonly weight: number; readonly stretches: readonly (readonly Run[])[] }): Run[] {
  return stretches.flatMap((stretch, i) =>
    stretch.map((run, j) => ({ ...run, open: run.open || (i > 0 && j === 0 ? ' ' : ''), weight: written(run.weight * weight) })),
  )
}
