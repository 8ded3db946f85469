// How values of settings are read; undefined where a text is none of its kind.
import type { PromptPart } from '../prompt/index.js'

export const number = (text: string): number | undefined => {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
  return Number.isFinite(value) ? value : undefined
}

export const integer = (text: string): number | undefined => {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : undefined
}

/** "1, 0.5" */
export const numbers = (text: string): number[] | undefined => {
  const values = text.split(',').map((value) => number(value.trim()))
  return values.includes(undefined) ? undefined : (values as number[])
}

/** "832x1216" as (height, width), the order of `SizeConditioning`. */
export const heightWidth = (text: string, read = number): [number, number] | undefined => {
  const [width, height, ...rest] = text.split('x').map(read)
  return width === undefined || height === undefined || rest.length > 0 ? undefined : [height, width]
}

export const oneOf =
  <T>(values: Readonly<Record<string, T>>) =>
  (text: string): T | undefined =>
    Object.hasOwn(values, text.toLowerCase()) ? values[text.toLowerCase()] : undefined

/** One of some texts, as it stands. */
export const named =
  <T extends string>(...names: readonly T[]) =>
  (text: string): T | undefined =>
    names.find((name) => name === text.toLowerCase())

export const boolean = oneOf({ true: true, false: false })

export function promptParts(text: string): PromptPart[] | undefined {
  const parts = json(text)
  const fits = (part: PromptPart | null) => typeof part?.text === 'string' && (part.weight === undefined || Number.isFinite(part.weight))
  return Array.isArray(parts) && parts.every(fits) ? (parts as PromptPart[]) : undefined
}

/** Names with numbers or texts. */
export function plainObject(text: string): Record<string, unknown> | undefined {
  const found = json(text)
  const isPlain = typeof found === 'object' && found !== null && !Array.isArray(found)
  return isPlain && Object.values(found).every((value) => ['number', 'string'].includes(typeof value)) ? { ...found } : undefined
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
