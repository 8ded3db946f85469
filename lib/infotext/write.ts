import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { packageFile } from '../../bindings/package-root.js'
import type { PromptPart } from '../prompt/index.js'
import type { GenerateRequest } from '../types.js'
import { samplerLabel, schedulerLabel } from '../sampling/index.js'
import { emphasisLabels } from './names.js'
import { partsText } from './parts.js'
import { joinSections, ownVersion, splitSections } from './sections.js'
import { writeSettings } from './settings.js'
import { samplingSettings, taskSettings } from './task-settings.js'

/** What the writer reads of a result's `parameters`. */
interface Parameters extends Omit<Partial<GenerateRequest>, 'noise'> {
  model?: string
  precision?: string
  refiner?: string
  noise?: unknown
}

type Prompt = string | PromptPart[]

let version: string | undefined

function ownVersionText(): string {
  version ??= (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }).version
  return `${ownVersion} ${version}`
}

/** What people and other programs see. A NUL would end the text inside a PNG. */
function visible(prompt: Prompt): string {
  return (typeof prompt === 'string' ? prompt : partsText(prompt)).replaceAll('\0', '')
}

const sides = ([height, width]: readonly number[]): string => `${width}x${height}`

/** The size conditioning where it is not that of the picture itself. */
function sizeSettings({ size, width = 0, height = 0 }: Parameters): Record<string, string | undefined> {
  const unless = (pair: readonly number[] | undefined, usual: readonly number[]) => {
    return pair === undefined || (pair[0] === usual[0] && pair[1] === usual[1]) ? undefined : sides(pair)
  }
  return {
    'Original size': unless(size?.original, [height, width]),
    Crop: unless(size?.crop, [0, 0]),
    'Target size': unless(size?.target, [height, width]),
  }
}

/** A1111 says nothing of emphasis that has nothing to act on; other syntaxes weight text without brackets. */
function promptSettings({ prompting = {} }: Parameters, texts: readonly string[]): Record<string, string | number | undefined> {
  const { syntax = 'a1111', emphasis = 'a1111', chunk, zeroEmptyNegative, clipSkip = 1, prompt2, comments } = prompting
  const acts = syntax !== 'a1111' || [...texts, prompt2 ?? ''].some((text) => /[([]/.test(text))
  const plain = syntax === 'plain' && emphasis === 'a1111'
  const backtrack = chunk?.backtrack ?? 20
  return {
    // A1111's 2 is the layer SDXL normally uses.
    'Clip skip': clipSkip > 1 ? clipSkip + 1 : undefined,
    Emphasis: plain ? 'None' : emphasis !== 'a1111' && acts ? emphasisLabels[emphasis] : undefined,
    'Prompt syntax': syntax === 'a1111' || plain ? undefined : syntax,
    'Prompt 2': prompt2,
    'Prompt comments': comments ? 'True' : undefined,
    'Comma backtrack': backtrack === 20 ? undefined : backtrack,
    'Zero empty negative': zeroEmptyNegative === false ? 'False' : undefined,
  }
}

/** A prompt again where the text above does not give it back: parts, or lines that look like something else. */
function exactSetting(textKey: string, partsKey: string, prompt: Prompt, found: string): Record<string, string> {
  if (prompt === found) return {}
  return typeof prompt === 'string' ? { [textKey]: prompt } : { [partsKey]: JSON.stringify(prompt) }
}

/**
 * The settings of one picture as text that A1111 and its relatives read, and `parseInfotext` reads back in full. A start noise of the
 * caller's is mentioned but not kept.
 *
 * @param parameters those of a generation's result, with the picture's own seed
 */
export function writeInfotext(parameters: Record<string, unknown>): string {
  const given = parameters as Parameters
  const { prompt = '', negativePrompt = '', steps, sampler, scheduler, guidance, seed, width, height, model, rng, noise, precision } = given
  const [positive, negative] = [visible(prompt), visible(negativePrompt)]
  const settings = (exact: Record<string, string>) =>
    writeSettings({
      Steps: steps,
      Sampler: sampler === undefined ? undefined : samplerLabel(sampler),
      'Schedule type': scheduler === undefined ? undefined : schedulerLabel(scheduler),
      'CFG scale': Array.isArray(guidance) ? guidance[0] : guidance,
      Seed: seed,
      Size: width === undefined || height === undefined ? undefined : `${width}x${height}`,
      Model: model === undefined ? undefined : basename(model).replace(/\.(safetensors|sft|ckpt|pt|bin)$/i, ''),
      RNG: rng === undefined ? undefined : rng === 'philox' ? 'NV' : 'CPU',
      ...promptSettings(given, [positive, negative]),
      ...sizeSettings(given),
      ...samplingSettings(given as Partial<GenerateRequest>),
      ...taskSettings(given as Partial<GenerateRequest>),
      'Start noise': noise ? 'custom' : undefined,
      Precision: precision,
      ...exact,
      Version: ownVersionText(),
    })
  const found = splitSections(joinSections(positive, negative, settings({})))
  const exact = {
    ...exactSetting('Exact prompt', 'Prompt parts', prompt, found.prompt),
    ...exactSetting('Exact negative prompt', 'Negative prompt parts', negativePrompt, found.negativePrompt),
  }
  return joinSections(positive, negative, settings(exact))
}
