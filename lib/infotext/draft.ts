import type { PromptOptions } from '../prompt/index.js'
import type { HiresOptions, InpaintOptions, OutpaintOptions, RefineOptions, VariationOptions } from '../tasks/types.js'
import type { GenerateRequest, SizeConditioning } from '../types.js'

/** What the settings are read into: a request, and its parts until it is known whether there is anything in them. */
export interface Draft {
  readonly request: GenerateRequest
  readonly prompting: PromptOptions
  readonly size: SizeConditioning
  readonly samplerOptions: Record<string, unknown>
  readonly variation: Partial<VariationOptions>
  readonly inpaint: InpaintOptions
  readonly outpaint: OutpaintOptions
  readonly hires: HiresOptions
  readonly refine: RefineOptions
}

export const emptyDraft = (prompt: string, negativePrompt: string): Draft => ({
  request: { prompt, negativePrompt },
  prompting: {},
  size: {},
  samplerOptions: {},
  variation: {},
  inpaint: {},
  outpaint: {},
  hires: {},
  refine: {},
})

/** The parts with something in them become the request's. */
export function finishDraft({ request, ...parts }: Draft): GenerateRequest {
  for (const [name, part] of Object.entries(parts)) if (Object.keys(part).length > 0) Object.assign(request, { [name]: part })
  return request
}

/** Sets a property unless the value is undefined; whether it did. */
export function put<T extends object, K extends keyof T>(target: T, key: K, value: T[K] | undefined): boolean {
  if (value === undefined) return false
  target[key] = value
  return true
}

/** Reads a value into the draft, or finds that it is none for its key. */
export type Reader = (value: string, draft: Draft) => boolean
