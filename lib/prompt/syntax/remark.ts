/** Takes a remark on a text: `offset` and `length` are UTF-16 units of that text. */
export type Report = (code: string, offset: number, length: number, message: string) => void

/** For remarks on the part of a text that starts at `base`. */
export function shifted(report: Report, base: number): Report {
  return base === 0 ? report : (code, offset, length, message) => report(code, base + offset, length, message)
}

/** How a message shows a text. */
export function brief(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 39)}…` : text)
}
