// A prompt as A1111's webui 1.9 and 1.10 read it, stage by stage. Offsets of remarks are taken back through the stages.
import type { Piece, PromptEntry, SubPrompt } from '../../types.js'
import type { ParseSyntax, StepCount } from '../syntax.js'
import { splitAtAnd } from './and.js'
import { parseAttention } from './attention.js'
import { cutComments, reportHashes } from './comments.js'
import { type Report, shifted } from '../remark.js'
import { findConstructs } from './schedule.js'
import { reportTags, takeTags } from './tags.js'
import { timelineOf } from './timeline.js'

/** Drops remarks that were made before: a slip that several texts of a schedule share. */
function once(report: Report): Report {
  const made = new Map<string, Set<number>>()
  return (code, offset, length, message) => {
    let offsets = made.get(code)
    if (!offsets) made.set(code, (offsets = new Set()))
    if (offsets.has(offset)) return
    offsets.add(offset)
    report(code, offset, length, message)
  }
}

function scheduleOf(text: string, count: StepCount, report: Report): PromptEntry[] {
  const constructs = findConstructs(text, report)
  if (constructs.length === 0) return [{ until: count.steps, text, pieces: parseAttention(text, report) }]

  const reportOnce = once(report)
  const known = new Map<string, Piece[]>()
  const entries = new Map<unknown, { text: string; pieces: Piece[] }>()
  return timelineOf(text, constructs, count).map(({ until, excerpt }) => {
    let entry = entries.get(excerpt)
    if (!entry) {
      const shown = excerpt.text()
      let pieces = known.get(shown)
      if (!pieces) known.set(shown, (pieces = parseAttention(shown, excerpt.reportTo(reportOnce))))
      entries.set(excerpt, (entry = { text: shown, pieces }))
    }
    return { until, ...entry }
  })
}

/** The whole grammar of A1111: tags, AND, schedules and alternations, attention and BREAK; comments if asked for. */
export const parseA1111: ParseSyntax = (text, { diagnostics, negative, comments, ...count }) => {
  let report: Report = (code, offset, length, message) => diagnostics.add(code, offset, length, message)
  if (text.includes('#')) {
    if (comments) ({ text, report } = cutComments(text, report))
    else reportHashes(text, report)
  }
  if (negative) {
    reportTags(text, report)
    return { subs: [{ weight: 1, schedule: scheduleOf(text, count, report) }], loras: [] }
  }
  const tagged = takeTags(text, report)
  const subs = splitAtAnd(tagged.text, tagged.report).map(({ text: part, offset, weight }): SubPrompt => ({
    weight,
    schedule: scheduleOf(part, count, shifted(tagged.report, offset)),
  }))
  return { subs, loras: tagged.loras }
}
