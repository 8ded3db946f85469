import { chunkSize } from './cut.js'
import type { Chunk, ChunkReport, Diagnostic, LayoutEntry, PromptReport } from './types.js'

type TextReport = NonNullable<PromptReport['texts']>[0]

function chunkReport({ used, closedBy, ids, weights }: Chunk): ChunkReport {
  return { used, free: chunkSize - used, closedBy, ids: Array.from(ids), weights: Array.from(weights) }
}

/** Texts that come back later in a schedule are reported once. */
function textReports(subs: readonly { readonly schedule: readonly LayoutEntry[] }[]): TextReport[] {
  return subs.flatMap(({ schedule }, sub) => {
    const reports = new Map<LayoutEntry['texts'], TextReport>()
    for (const { until, text, texts } of schedule) {
      const known = reports.get(texts)
      if (known) {
        known.until.push(until)
        continue
      }
      const { chunks } = texts[0]!
      const tokens = chunks.reduce((sum, { used }) => sum + used, 0)
      reports.set(texts, { sub, until: [until], text, tokens, chunks: chunks.length, layout: chunks.map(chunkReport) })
    }
    return [...reports.values()]
  })
}

function cutWords(subs: readonly { readonly schedule: readonly LayoutEntry[] }[]): Diagnostic[] {
  const chunks = new Set(subs.flatMap(({ schedule }) => schedule.flatMap(({ texts }) => texts.flatMap((text) => text.chunks))))
  const count = [...chunks].filter(({ cutsWord }) => cutsWord).length
  if (count === 0) return []
  const message = `${count === 1 ? 'A chunk ends' : `${count} chunks end`} inside a word, as there is no comma near; a comma or BREAK before it keeps it whole.`
  return [{ code: 'W_SPLIT_WORD', message }]
}

/** The report on a prompt before its texts were evened out. Of several texts the one of most tokens counts, as in A1111's counter. */
export function reportOf(subs: readonly { readonly schedule: readonly LayoutEntry[] }[], diagnostics: readonly Diagnostic[]): PromptReport {
  const texts = textReports(subs)
  const { tokens, chunks, layout } = texts.reduce((most, text) => (text.tokens > most.tokens ? text : most))
  return {
    tokens,
    limit: chunks * chunkSize,
    chunks,
    layout,
    ...(texts.length > 1 ? { texts } : {}),
    diagnostics: [...diagnostics, ...cutWords(subs)],
  }
}
