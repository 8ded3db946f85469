import { invalid } from '../check.js'
import type { Diagnostic, PromptOptions, PromptPart } from '../prompt/index.js'
import type { GenerateRequest } from '../types.js'
import { type Draft, emptyDraft, finishDraft, put, type Reader } from './draft.js'
import { emphasisLabels, isSampler, isScheduler, isUpscaler, readSampling } from './names.js'
import { partsText } from './parts.js'
import { splitSections } from './sections.js'
import type { Setting } from './settings.js'
import { finishTasks, taskReaders } from './task-settings.js'
import { boolean, heightWidth, integer, number, oneOf, promptParts } from './values.js'

/** How a picture was made, read from text. */
export interface Infotext {
  /** As text in any case: parts, which only this library writes, stand here in A1111's syntax and in `request` as they were. */
  prompt: string
  negativePrompt: string
  /** The settings as they stand, in order; the last of a key counts. */
  fields: Record<string, string>
  /** What `generate` takes beside the model to make the picture. A text without settings has prompts only. */
  request: GenerateRequest
  /**
   * W_INFOTEXT_FIELD: a setting without counterpart here, W_INFOTEXT_VALUE: a value that is none for its key; `request` lacks both.
   * W_INFOTEXT_NAME: a sampler, scheduler or upscaler that `request` has, but this version does not know. W_INFOTEXT_IMAGE: an image was
   * the start, which `request` lacks. Places are UTF-16 units of the text.
   */
  warnings: Diagnostic[]
}

const emphasis = oneOf(
  Object.fromEntries(Object.entries(emphasisLabels).map(([name, label]) => [label.toLowerCase(), name as keyof typeof emphasisLabels])),
)
const syntax = oneOf<PromptOptions['syntax']>({ a1111: 'a1111', comfy: 'comfy', compel: 'compel', novelai: 'novelai', plain: 'plain' })
const rng = oneOf<GenerateRequest['rng']>({ nv: 'philox', gpu: 'philox', cpu: 'torch-cpu' })
const promptText = (prompt: string | PromptPart[]): string => (typeof prompt === 'string' ? prompt : partsText(prompt))

const readers: Readonly<Record<string, Reader>> = {
  Steps: (value, { request }) => put(request, 'steps', integer(value)),
  'CFG scale': (value, { request }) => put(request, 'guidance', number(value)),
  Seed: (value, { request }) => put(request, 'seed', integer(value)),
  Size: (value, { request }) => {
    const [height, width] = heightWidth(value, integer) ?? []
    return put(request, 'width', width) && put(request, 'height', height)
  },
  RNG: (value, { request }) => put(request, 'rng', rng(value)),
  // A1111's 1 is the last layer without its norm, which is not to be had here; 2 is the layer SDXL normally uses.
  'Clip skip': (value, { prompting }) => {
    const skip = integer(value)
    return skip !== undefined && skip >= 2 && put(prompting, 'clipSkip', skip - 1)
  },
  Emphasis: (value, { prompting }) =>
    value.toLowerCase() === 'none' ? put(prompting, 'syntax', 'plain') : put(prompting, 'emphasis', emphasis(value)),
  'Prompt syntax': (value, { prompting }) => put(prompting, 'syntax', syntax(value)),
  'Prompt 2': (value, { prompting }) => put(prompting, 'prompt2', value),
  'Prompt comments': (value, { prompting }) => put(prompting, 'comments', boolean(value)),
  'Comma backtrack': (value, { prompting }) => {
    const backtrack = integer(value)
    return backtrack !== undefined && put(prompting, 'chunk', { backtrack })
  },
  'Zero empty negative': (value, { prompting }) => put(prompting, 'zeroEmptyNegative', boolean(value)),
  'Original size': (value, { size }) => put(size, 'original', heightWidth(value)),
  Crop: (value, { size }) => put(size, 'crop', heightWidth(value)),
  'Target size': (value, { size }) => put(size, 'target', heightWidth(value)),
  'Exact prompt': (value, { request }) => put(request, 'prompt', value),
  'Exact negative prompt': (value, { request }) => put(request, 'negativePrompt', value),
  'Prompt parts': (value, { request }) => put(request, 'prompt', promptParts(value)),
  'Negative prompt parts': (value, { request }) => put(request, 'negativePrompt', promptParts(value)),
  ...taskReaders,
}

/** Read together, or not about how the picture came out: what the caller loads, and notes. */
const otherKeys: ReadonlySet<string> = new Set([
  'Sampler',
  'Schedule type',
  'Model',
  'Model hash',
  'Refiner',
  'VAE',
  'VAE hash',
  'Precision',
  'Lora hashes',
  'TI hashes',
  'Hashes',
  'Batch size',
  'Batch pos',
  'User',
  'Version',
  'Created Date',
  'Civitai resources',
  'Civitai metadata',
])

function warning(code: string, { key, offset, length }: Setting, message: string): Diagnostic {
  return { code: `W_INFOTEXT_${code}`, message: `${key}: ${message}`, offset, length }
}

function brief(value: string): string {
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 39)}…` : value)
}

/** @param hasHires whether there is a second pass that settings can be of */
function readSetting(setting: Setting, draft: Draft, hasHires: boolean): Diagnostic | undefined {
  const { key, value } = setting
  if (otherKeys.has(key)) return undefined
  if (!Object.hasOwn(readers, key) || (key.startsWith('Hires ') && !hasHires))
    return warning('FIELD', setting, `${brief(value)} has no counterpart here and is left out.`)
  if (readers[key]!(value, draft)) return undefined
  const wanted = key === 'Clip skip' ? 'A1111 counts from 2, the normal layer of SDXL' : 'not a value for this key'
  return warning('VALUE', setting, `${brief(value)} is left out: ${wanted}.`)
}

/**
 * Reads "infotext", the lines in which A1111, Forge and others write down how a picture was made, as its PNG files hold them and as
 * people paste them. Any string is one: without settings it is a prompt.
 *
 * Names and counts are translated: "DPM++ 2M Karras" is sampler 'dpmpp_2m' with scheduler 'karras', and "Clip skip: 2" is clipSkip 1.
 * Values are not checked against what `generate` allows. Tags such as `<lora:…>` stay in the prompt. See docs/infotext.md.
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT if `text` is no string
 */
export function parseInfotext(text: string): Infotext {
  if (typeof text !== 'string') throw invalid('text', 'a string', text)
  const { prompt, negativePrompt, settings } = splitSections(text)
  const byKey = new Map(settings.map((setting) => [setting.key, setting]))
  const draft = emptyDraft(prompt, negativePrompt)
  const warnings: Diagnostic[] = []
  for (const setting of byKey.values()) {
    const found = readSetting(setting, draft, byKey.has('Hires upscale') || byKey.has('Hires resize'))
    if (found) warnings.push(found)
  }

  const { request, hires } = draft
  const { sampler, scheduler } = readSampling(byKey.get('Sampler')?.value, byKey.get('Schedule type')?.value)
  if (put(request, 'sampler', sampler) && !isSampler(sampler!)) {
    const message = `${brief(sampler!)} is no sampler of this version; generate takes it once defineSampler has added it.`
    warnings.push(warning('NAME', byKey.get('Sampler')!, message))
  }
  if (put(request, 'scheduler', scheduler) && !isScheduler(scheduler!)) {
    const source = byKey.get('Schedule type') ?? byKey.get('Sampler')!
    warnings.push(warning('NAME', source, `${brief(scheduler!)} is no scheduler of this version; generate rejects it.`))
  }
  if (finishTasks(draft))
    warnings.push(warning('IMAGE', byKey.get('Denoising strength')!, 'the picture was made from an image; give it as `image`.'))
  if (hires.upscaler && !isUpscaler(hires.upscaler)) {
    warnings.push(
      warning('NAME', byKey.get('Hires upscaler')!, `${brief(hires.upscaler)} is no upscaler of this version; generate rejects it.`),
    )
  }
  finishDraft(draft)

  return {
    prompt: promptText(request.prompt),
    negativePrompt: promptText(request.negativePrompt!),
    fields: Object.fromEntries([...byKey].map(([key, { value }]) => [key, value])),
    request,
    warnings: warnings.sort((a, b) => a.offset! - b.offset!),
  }
}
