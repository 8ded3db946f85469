// A1111's and Forge's labels of emphasis modes, and what the labels of samplers and schedulers in a text stand for.
import type { PromptOptions } from '../prompt/index.js'
import { findSamplerName, findSchedulerName, samplerHabits, samplerNames, scheduleNames, splitScheduler } from '../sampling/index.js'
import { latentUpscalers, pixelUpscalers } from '../tasks/types.js'

/** Without a schedule type, as before 1.9, most samplers were uniform; these were never. */
const withoutType: readonly string[] = ['restart', 'ddim']

export const emphasisLabels: Readonly<Record<NonNullable<PromptOptions['emphasis']>, string>> = {
  a1111: 'Original',
  'no-norm': 'No norm',
  ignore: 'Ignore',
  // not A1111's
  comfy: 'comfy',
  compel: 'compel',
}

/**
 * Sampler and scheduler of a text. Up to 1.8 both are in one label, "DPM++ 2M Karras". A label that is not known is returned as it is: no
 * other sampler stands in for it.
 */
export function readSampling(sampler: string | undefined, type: string | undefined): { sampler?: string; scheduler?: string } {
  const found = sampler === undefined ? undefined : (findSamplerName(sampler) ?? unknownSampler(sampler))
  const name = found?.sampler
  let scheduler = type === undefined ? undefined : (findSchedulerName(type) ?? type)
  if (found?.scheduler) scheduler = found.scheduler
  if (scheduler?.toLowerCase() === 'automatic') scheduler = name === undefined ? undefined : samplerHabits(name).automatic
  else if (scheduler === undefined && name !== undefined && withoutType.includes(name)) scheduler = samplerHabits(name).automatic
  return { sampler: name, scheduler }
}

/** What stays of a label that is not known. */
function unknownSampler(label: string): { sampler: string; scheduler?: string } {
  const split = splitScheduler(label)
  return split ? { sampler: split.rest, scheduler: split.scheduler } : { sampler: label }
}

export const isSampler = (name: string): boolean => samplerNames().includes(name)
export const isScheduler = (name: string): boolean => scheduleNames().includes(name)
export const isUpscaler = (name: string): boolean => ([...latentUpscalers, ...pixelUpscalers] as string[]).includes(name)
