// A1111's and Forge's labels of samplers, schedulers and emphasis modes, and this library's names for them.
import type { PromptOptions } from '../prompt/index.js'
import { samplerNames, scheduleNames } from '../sampling/index.js'

/** name → labels, the one that is written first; the others are those of ComfyUI and of older versions. */
type Labels = Readonly<Record<string, readonly [string, ...string[]]>>

const samplers: Labels = {
  euler: ['Euler'],
  euler_a: ['Euler a', 'euler_ancestral'],
  heun: ['Heun'],
  dpm2: ['DPM2', 'dpm_2'],
  dpm2_a: ['DPM2 a', 'dpm_2_ancestral'],
  lms: ['LMS'],
  dpmpp_2s_a: ['DPM++ 2S a', 'dpmpp_2s_ancestral'],
  dpmpp_2m: ['DPM++ 2M'],
  dpmpp_sde: ['DPM++ SDE'],
  dpmpp_2m_sde: ['DPM++ 2M SDE'],
  dpmpp_3m_sde: ['DPM++ 3M SDE'],
  ddim: ['DDIM'],
  ddpm: ['DDPM'],
  uni_pc: ['UniPC'],
  lcm: ['LCM'],
  tcd: ['TCD'],
  restart: ['Restart'],
  euler_cfg_pp: ['Euler CFG++'],
  euler_a_cfg_pp: ['Euler a CFG++', 'euler_ancestral_cfg_pp'],
}

const schedulers: Labels = {
  // "Uniform" is the same levels, and older: 1.9 knows no "Normal".
  normal: ['Uniform', 'Normal'],
  karras: ['Karras'],
  exponential: ['Exponential'],
  polyexponential: ['Polyexponential'],
  sgm_uniform: ['SGM Uniform', 'SGMUniform'],
  simple: ['Simple'],
  ddim_uniform: ['DDIM'],
  beta: ['Beta'],
  ays: ['Align Your Steps', 'align_your_steps'],
  gits: ['Align Your Steps GITS', 'align_your_steps_GITS'],
  kl_optimal: ['KL Optimal'],
  linear_quadratic: ['Linear Quadratic'],
  turbo: ['Turbo'],
}

/** What "Automatic" stands for since 1.9; "Uniform" for all others. */
const automatic: Readonly<Record<string, string>> = {
  dpm2: 'karras',
  dpm2_a: 'karras',
  dpmpp_2s_a: 'karras',
  dpmpp_2m: 'karras',
  dpmpp_sde: 'karras',
  dpmpp_2m_sde: 'exponential',
  dpmpp_3m_sde: 'exponential',
  restart: 'karras',
  ddim: 'ddim_uniform',
}

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

const namesByLabel = (labels: Labels): ReadonlyMap<string, string> =>
  new Map(Object.entries(labels).flatMap(([name, all]) => [name, ...all].map((label) => [label.toLowerCase(), name] as const)))

const samplersByLabel = namesByLabel(samplers)
const schedulersByLabel = namesByLabel(schedulers)
/** " sgm uniform" before " uniform". */
const suffixes = [...schedulersByLabel].sort(([a], [b]) => b.length - a.length)

/** Names without a label stay, those of `defineSampler` among them. */
export const samplerLabel = (name: string): string => (Object.hasOwn(samplers, name) ? samplers[name]![0] : name)
export const schedulerLabel = (name: string): string => (Object.hasOwn(schedulers, name) ? schedulers[name]![0] : name)

/**
 * Sampler and scheduler of a text. Up to 1.8 both are in one label, "DPM++ 2M Karras". A label that is not known is returned as it is: no
 * other sampler stands in for it.
 */
export function readSampling(sampler: string | undefined, type: string | undefined): { sampler?: string; scheduler?: string } {
  let name = sampler === undefined ? undefined : samplerName(sampler)
  let scheduler = type === undefined ? undefined : (schedulersByLabel.get(type.toLowerCase()) ?? type)
  if (sampler !== undefined && name === undefined) {
    const lower = sampler.toLowerCase()
    const suffix = suffixes.find(([label]) => lower.endsWith(` ${label}`))
    const rest = suffix ? sampler.slice(0, -suffix[0].length - 1) : sampler
    name = samplerName(rest) ?? rest
    if (suffix) scheduler = suffix[1]
  }
  if (scheduler?.toLowerCase() === 'automatic') scheduler = name === undefined ? undefined : (automatic[name] ?? 'normal')
  else if (scheduler === undefined && name !== undefined && withoutType.includes(name)) scheduler = automatic[name]
  return { sampler: name, scheduler }
}

/** A sampler of one's own comes before a label of the same spelling. */
function samplerName(label: string): string | undefined {
  return samplerNames().includes(label) ? label : samplersByLabel.get(label.toLowerCase())
}

export const isSampler = (name: string): boolean => samplerNames().includes(name)
export const isScheduler = (name: string): boolean => scheduleNames().includes(name)
