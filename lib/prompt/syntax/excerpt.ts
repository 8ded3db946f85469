import type { Report } from './remark.js'

/** A text put together from stretches of another one, in their order. It knows where in that one its characters stand. */
export class Excerpt {
  private readonly parts: string[] = []
  private readonly starts: number[] = [] // in this text, ascending
  private readonly sources: number[] = [] // in the other one
  private length = 0

  constructor(private readonly source: string) {}

  /** Goes on with [from, to) of the source. */
  take(from: number, to: number): void {
    if (from < to) this.put(this.source.slice(from, to), from)
  }

  /** Goes on with a text of its own that stands for what is at `source`. */
  put(text: string, source: number): void {
    this.parts.push(text)
    this.starts.push(this.length)
    this.sources.push(source)
    this.length += text.length
  }

  text(): string {
    return this.parts.join('')
  }

  /** Passes remarks on this text on as remarks on the source. */
  reportTo(report: Report): Report {
    return (code, offset, length, message) => {
      const from = this.locate(offset)
      report(code, from, length > 0 ? this.locate(offset + length - 1) + 1 - from : 0, message)
    }
  }

  private locate(offset: number): number {
    let low = 0
    for (let high = this.starts.length; high - low > 1;) {
      const middle = (low + high) >> 1
      if (this.starts[middle]! <= offset) low = middle
      else high = middle
    }
    return (this.sources[low] ?? 0) + offset - (this.starts[low] ?? 0)
  }
}
