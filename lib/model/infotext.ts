import { basename, extname } from 'node:path'
import type { PromptPart } from '../prompt/index.js'

/** A value that holds a separator is quoted, as A1111 does. */
function quoted(value: unknown): string {
  const text = String(value)
  return /[,:\n]/.test(text) ? JSON.stringify(text) : text
}

function promptText(prompt: unknown): string {
  if (typeof prompt === 'string') return prompt
  return (prompt as PromptPart[]).map(({ text, weight = 1 }) => (weight === 1 ? text : `(${text}:${weight})`)).join('')
}

/** The settings of a picture in the lines that A1111 writes into PNG files and reads back. */
export function infotext(parameters: Record<string, unknown>): string {
  const { prompt, negativePrompt, steps, sampler, scheduler, guidance, seed, width, height, model, rng } = parameters
  const negative = promptText(negativePrompt)
  const settings: Record<string, unknown> = {
    Steps: steps,
    Sampler: sampler,
    'Schedule type': scheduler,
    'CFG scale': guidance,
    Seed: seed,
    Size: `${width}x${height}`,
    Model: basename(String(model), extname(String(model))),
    RNG: rng === 'philox' ? 'NV' : 'CPU',
    Version: 'node-sdxl',
  }
  const line = Object.entries(settings)
    .map(([key, value]) => `${key}: ${quoted(value)}`)
    .join(', ')
  return [promptText(prompt), ...(negative ? [`Negative prompt: ${negative}`] : []), line].join('\n')
}
