import { checkKeys, invalid, optionalChoice } from '../check.js'
import { resolveSampler, resolveScheduler } from './names.js'
import { type SigmasOptions, sigmas } from './sigmas.js'

/** What A1111 does differently from sampler to sampler, and ComfyUI where it says so. */
export interface SamplerHabits {
  /** The scheduler that A1111's "Automatic" stands for. */
  readonly automatic: string
  /** Takes one more level and leaves out the last above 0: the step to 0 is long instead. */
  readonly dropsPenultimate: boolean
  /** The same in ComfyUI, whose list is another one. */
  readonly dropsPenultimateInComfy: boolean
  /** Counts two model calls per step: A1111 reads prompt schedules with twice the steps and counts calls. */
  readonly secondOrder: boolean
  /** Its noise is drawn with the seed plus A1111's "Eta noise seed delta". */
  readonly usesSeedDelta: boolean
}

const plainHabits: SamplerHabits = {
  automatic: 'normal',
  dropsPenultimate: false,
  dropsPenultimateInComfy: false,
  secondOrder: false,
  usesSeedDelta: false,
}

/** A1111 1.10's list of samplers; what is not said is as in `plainHabits`. */
const habits: Readonly<Record<string, Partial<SamplerHabits>>> = {
  euler_a: { usesSeedDelta: true },
  heun: { secondOrder: true },
  dpm2: { automatic: 'karras', dropsPenultimate: true, dropsPenultimateInComfy: true, secondOrder: true },
  dpm2_a: { automatic: 'karras', dropsPenultimate: true, dropsPenultimateInComfy: true, secondOrder: true, usesSeedDelta: true },
  dpmpp_2s_a: { automatic: 'karras', secondOrder: true, usesSeedDelta: true },
  dpmpp_2m: { automatic: 'karras' },
  dpmpp_sde: { automatic: 'karras', secondOrder: true },
  dpmpp_2m_sde: { automatic: 'exponential' },
  dpmpp_2m_sde_heun: { automatic: 'exponential' },
  dpmpp_3m_sde: { automatic: 'exponential', dropsPenultimate: true },
  restart: { automatic: 'karras', secondOrder: true },
  dpm_fast: { usesSeedDelta: true },
  ddim: { automatic: 'ddim_uniform' },
  uni_pc: { dropsPenultimateInComfy: true },
  uni_pc_bh2: { dropsPenultimateInComfy: true },
  // Not A1111's, with two calls per step as well.
  dpmpp_2s_a_cfg_pp: { secondOrder: true },
  seeds_2: { secondOrder: true },
  sa_solver_pece: { secondOrder: true },
}

/** A sampler that A1111 does not have, one of `defineSampler` among them, has no habits. */
export const samplerHabits = (sampler: string): SamplerHabits =>
  Object.hasOwn(habits, sampler) ? { ...plainHabits, ...habits[sampler] } : plainHabits

export const samplingStyles = ['a1111', 'comfy', 'diffusers', 'plain'] as const
/** Whose habits to follow: 'plain' has none. */
export type SamplingStyle = (typeof samplingStyles)[number]

/** Without a name, or for "Automatic", it is what the sampler's name says, else the style's choice for the sampler. */
export function chooseScheduler(name: string | undefined, said: string | undefined, sampler: string, style: SamplingStyle): string {
  if (name !== undefined && String(name).toLowerCase() !== 'automatic') return resolveScheduler(name)
  if (said !== undefined) return said
  if (style === 'a1111') return samplerHabits(sampler).automatic
  return style === 'diffusers' ? 'ddim_uniform' : 'normal'
}

export interface SamplingChoice extends SigmasOptions {
  /** A name or an alias, see `resolveSampler`. */
  sampler: string
  /** A name or an alias; by default, and for "automatic", what the sampler's name says, else the style's choice. */
  scheduler?: string
  steps: number
  /** 'a1111' by default. */
  style?: SamplingStyle
}

export interface Sampling {
  /** This library's names. */
  readonly sampler: string
  readonly scheduler: string
  /** For `samplingPlan`: what the sampler's name means besides. */
  readonly options: Readonly<Record<string, number | string>>
  /** For `samplingPlan`; always `steps + 1` long, the last 0. */
  readonly sigmas: number[]
  /** See SamplerHabits; false but in A1111's style. */
  readonly secondOrder: boolean
}

/** Samplers of Diffusers that take their "leading" timesteps from a division by one more step, and leave out the last. */
const dividesByOneMore: readonly string[] = ['dpmpp_2m', 'dpmpp_2m_sde', 'dpmpp_2m_sde_heun', 'deis', 'uni_pc', 'uni_pc_bh2', 'sa_solver']
/** Samplers of Diffusers that bend the levels of its timesteps, not those of the whole training, to Karras' and exponential ones. */
const bendsItsSteps: readonly string[] = ['euler', 'heun', 'dpm2', 'dpm2_a', 'lms']

/** Whether the style takes one more level and leaves out the last above 0. */
function dropsPenultimate(sampler: string, scheduler: string, style: SamplingStyle): boolean {
  switch (style) {
    case 'a1111':
      return samplerHabits(sampler).dropsPenultimate
    case 'comfy':
      return samplerHabits(sampler).dropsPenultimateInComfy
    case 'diffusers':
      return scheduler === 'ddim_uniform' && dividesByOneMore.includes(sampler)
    case 'plain':
      return false
  }
}

/** The range of the levels that Diffusers' schedulers bend under SDXL's configuration. */
function diffusersRange(sampler: string, scheduler: string, steps: number, range: SigmasOptions): SigmasOptions {
  const { zeroTerminalSnr, sigmaMin, sigmaMax } = range
  const bends = ['karras', 'exponential'].includes(scheduler) && bendsItsSteps.includes(sampler)
  if (!bends || (sigmaMin ?? sigmaMax) !== undefined || steps <= 1) return range
  const leading = sigmas('ddim_uniform', steps, { zeroTerminalSnr })
  return { ...range, sigmaMin: leading.at(-2)!, sigmaMax: leading[0]! }
}

const keys = ['sampler', 'scheduler', 'steps', 'style', 'sigmaMin', 'sigmaMax', 'rho', 'zeroTerminalSnr']

/**
 * A sampler and its noise levels from names as other programs write them, with the habits of one of them:
 *
 * - 'a1111': "Automatic" depends on the sampler, DPM2, DPM2 a and DPM++ 3M SDE leave out the last level above 0, and samplers with two calls
 *   per step are marked for prompt schedules
 * - 'comfy': "normal" by default; DPM2, DPM2 a and UniPC leave out the last level above 0
 * - 'diffusers': "ddim_uniform" by default, the "leading" spacing of SDXL's configuration, as each of its schedulers divides the timesteps;
 *   Karras and exponential levels between the ends that it gives them
 * - 'plain': "normal" by default
 *
 * @example
 * const { sampler, sigmas, options } = samplingFor({ sampler: 'DPM2 a Karras', steps: 20 })
 * const plan = samplingPlan(sampler, sigmas, options)
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT for an unknown name, and as `sigmas` does
 */
export function samplingFor(choice: SamplingChoice): Sampling {
  checkKeys('options', choice, keys)
  const { sampler: name, scheduler: schedule, steps, style: givenStyle, ...given } = choice
  const style = optionalChoice('style', givenStyle, samplingStyles) ?? 'a1111'
  const found = resolveSampler(name)
  const scheduler = chooseScheduler(schedule, found.scheduler, found.sampler, style)
  const drops = dropsPenultimate(found.sampler, scheduler, style)
  if (!Number.isInteger(steps) || steps < 1) throw invalid('steps', 'an integer of at least 1', steps)
  const range = style === 'diffusers' ? diffusersRange(found.sampler, scheduler, steps, given) : given
  // What is not given is not an option that a schedule does not take.
  const known = Object.fromEntries(Object.entries(range).filter(([, value]) => value !== undefined))
  const levels = sigmas(scheduler, drops ? steps + 1 : steps, known)
  if (drops) levels.splice(-2, 1)
  return {
    sampler: found.sampler,
    scheduler,
    options: found.options ?? {},
    sigmas: levels,
    secondOrder: style === 'a1111' && samplerHabits(found.sampler).secondOrder,
  }
}
