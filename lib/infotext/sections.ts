import { isSpaceAt } from '../prompt/python-text.js'
import { readSettings, type Setting } from './settings.js'

/** The three parts of an infotext. Offsets of settings count from the start of the text. */
export interface Sections {
  readonly prompt: string
  readonly negativePrompt: string
  readonly settings: readonly Setting[]
}

/** What `Version` starts with in texts of this library. */
export const ownVersion = 'node-sdxl'

const negativeMark = 'Negative prompt:'
const fewestSettings = 3 // a line with fewer is part of the prompt

function trimmed(text: string): string {
  let from = 0
  while (isSpaceAt(text, from)) from++
  return text.slice(from, Math.max(from, trimmedEnd(text)))
}

function trimmedEnd(text: string): number {
  let end = text.length
  while (isSpaceAt(text, end - 1)) end--
  return end
}

/** A1111 drops white space around every line and empty lines at the start, and takes the mark off every line that has it. */
function splitAsA1111(lines: readonly string[]): [prompt: string, negativePrompt: string] {
  const prompt: string[] = []
  const negative: string[] = []
  let current = prompt
  for (const raw of lines) {
    let line = trimmed(raw)
    if (line.startsWith(negativeMark)) {
      current = negative
      line = trimmed(line.slice(negativeMark.length))
    }
    if (line !== '' || current.length > 0) current.push(line)
  }
  return [prompt.join('\n'), negative.join('\n')]
}

/** White space stays, and only the first mark counts. */
function splitAsWritten(lines: readonly string[]): [prompt: string, negativePrompt: string] {
  const mark = `${negativeMark} `
  const found = lines.findIndex((line) => line.startsWith(mark))
  const at = found < 0 ? lines.length : found
  return [lines.slice(0, at).join('\n'), lines.slice(at).join('\n').slice(mark.length)]
}

/** The text without white space at its end, cut into sections. Texts of this library are read to the letter, others as A1111 reads them. */
export function splitSections(text: string): Sections {
  const end = trimmedEnd(text)
  const start = end > 0 ? text.lastIndexOf('\n', end - 1) + 1 : 0
  const found = readSettings(text.slice(start, end))
  const settings = found.length < fewestSettings ? [] : found.map((setting) => ({ ...setting, offset: setting.offset + start }))
  const own = settings.some(({ key, value }) => key === 'Version' && value.startsWith(ownVersion))
  const promptEnd = settings.length === 0 ? end : start - 1
  const lines = promptEnd < 0 ? [] : text.slice(0, promptEnd).split('\n')
  const [prompt, negativePrompt] = own ? splitAsWritten(lines) : splitAsA1111(lines)
  return { prompt, negativePrompt, settings }
}

/** Prompts and a settings line as one text; empty prompts have no line. */
export function joinSections(prompt: string, negativePrompt: string, settings: string): string {
  return [...(prompt ? [prompt] : []), ...(negativePrompt ? [`${negativeMark} ${negativePrompt}`] : []), settings].join('\n')
}
