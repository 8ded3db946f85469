import { Excerpt } from '../excerpt.js'
import type { Report } from '../remark.js'

// A line that is a comment goes as a whole; a comment behind something leaves its line end. A1111 makes two passes of it.
const lines = /(?:^|\n)#[^\n]*(?:\n|$)/g
const tails = /#[^\n]*(?:\n|$)/g

function cut(text: string, pattern: RegExp, report: Report): { text: string; report: Report } {
  const kept = new Excerpt(text)
  let end = 0
  for (const { 0: comment, index } of text.matchAll(pattern)) {
    kept.take(end, index)
    kept.put('\n', index)
    end = index + comment.length
  }
  kept.take(end, text.length)
  return { text: kept.text(), report: kept.reportTo(report) }
}

/** The text without comments, and where remarks on it go. */
export function cutComments(text: string, report: Report): { text: string; report: Report } {
  const first = cut(text, lines, report)
  return cut(first.text, tails, first.report)
}

/** One remark for each line with a "#", on what A1111 would cut out. */
export function reportHashes(text: string, report: Report): void {
  for (let at = text.indexOf('#'); at >= 0;) {
    const lineEnd = text.indexOf('\n', at)
    const end = lineEnd < 0 ? text.length : lineEnd
    report('W_HASH', at, end - at, 'A1111 takes this for a comment and drops it, unless told otherwise; here it is text.')
    at = text.indexOf('#', end)
  }
}
