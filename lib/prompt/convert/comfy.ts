import { decimal } from './decimal.js'
import type { Draft } from './draft.js'
import { joinRuns, type Run, scaledRuns } from './runs.js'

function writeRun({ text, weight }: Run): string {
  const escaped = text.replace(/[()]/g, '\\$&')
  return weight === 1 ? escaped : `(${escaped}:${decimal(weight)})`
}

/** One text: parts become phrases at their weights. */
export function writeComfy({ parts }: Draft): string {
  return parts.map((part) => joinRuns(scaledRuns(part), writeRun)).join(', ')
}

export function writePlain({ parts }: Draft): string {
  return parts.map((part) => joinRuns(scaledRuns(part), ({ text }) => text)).join(', ')
}
