import { checkKeys, invalid, optionalBoolean, optionalChoice, optionalNumber } from '../check.js'
import {
  chooseScheduler,
  resolveSampler,
  samplerHabits,
  samplerOptions,
  samplingFor,
  type SamplingPlan,
  samplingPlan,
  type SamplingStyle,
  samplingStyles,
  timestepsToSigmas,
} from '../sampling/index.js'
import { guidancePerCall } from '../tasks/guidance.js'
import type { GenerateRequest, GuidanceProjection } from '../types.js'

export const samplingKeys = [
  'steps',
  'style',
  'sampler',
  'scheduler',
  'samplerOptions',
  'sigmas',
  'timesteps',
  'sigmaMin',
  'sigmaMax',
  'rho',
  'zeroTerminalSnr',
  'sgmNoiseMultiplier',
  'guidance',
  'guidanceInterval',
  'guidanceRescale',
  'guidanceProjection',
] as const

export type SamplingRequest = Pick<GenerateRequest, (typeof samplingKeys)[number]>

/** How a pass samples, with every default filled in; as a result's `parameters` tell it. */
export interface CheckedSampling {
  readonly steps: number
  readonly style: SamplingStyle
  readonly sampler: string
  /** None where the levels are the caller's own. */
  readonly scheduler: string | undefined
  readonly samplerOptions: Readonly<Record<string, unknown>>
  readonly sigmas: number[] | undefined
  readonly timesteps: number[] | undefined
  readonly sigmaMin: number | undefined
  readonly sigmaMax: number | undefined
  readonly rho: number | undefined
  readonly zeroTerminalSnr: boolean
  readonly sgmNoiseMultiplier: boolean
  readonly guidance: number | number[]
  readonly guidanceInterval: [start: number, end: number]
  readonly guidanceRescale: number
  readonly guidanceProjection: Required<GuidanceProjection> | undefined
}

export const mostSteps = 1000

export const stepsOf = (field: string, value: unknown) =>
  optionalNumber(field, value, `an integer from 1 to ${mostSteps}`, (n) => Number.isInteger(n) && n >= 1 && n <= mostSteps)

/** What a distilled model wants where a request says nothing. */
export interface SamplingDefaults {
  readonly steps?: number
  readonly guidance?: number
  readonly sampler?: string
  readonly scheduler?: string
  readonly options?: Readonly<Record<string, unknown>>
}

/** @throws SdxlError ERR_INVALID_ARGUMENT naming the first field that is not what it should be */
export function checkSampling(request: SamplingRequest, ztsnr: boolean, defaults: SamplingDefaults = {}): CheckedSampling {
  const { sigmas: levels, timesteps } = request
  const own = levels === undefined ? (timesteps === undefined ? undefined : 'timesteps') : 'sigmas'
  for (const key of ['scheduler', 'sigmaMin', 'sigmaMax', 'rho', ...(own === 'sigmas' ? (['timesteps'] as const) : [])] as const) {
    if (own && request[key] !== undefined) throw invalid(key, `nothing beside ${own}`, request[key])
  }
  const positive = (field: 'sigmaMin' | 'sigmaMax' | 'rho') =>
    optionalNumber(field, request[field], 'a positive finite number', (value) => value > 0)
  const counted = stepsOf('steps', request.steps)
  const steps = own === undefined ? (counted ?? defaults.steps ?? 30) : ownSteps(own, request[own], counted)
  if (request.samplerOptions !== undefined && (typeof request.samplerOptions !== 'object' || request.samplerOptions === null)) {
    throw invalid('samplerOptions', 'an object', request.samplerOptions)
  }
  const style = optionalChoice('style', request.style, samplingStyles) ?? 'a1111'
  const { sampler, scheduler, options } = resolveSampler(request.sampler ?? defaults.sampler ?? 'euler')
  // What a distilled model wants of its own sampler says nothing about another one.
  const wanted = sampler === defaults.sampler ? defaults : {}
  const levelsFrom = own ? undefined : chooseScheduler(request.scheduler, scheduler ?? wanted.scheduler, sampler, style)
  const checked: CheckedSampling = {
    steps,
    style,
    sampler,
    scheduler: levelsFrom,
    samplerOptions: { ...wanted.options, ...options, ...request.samplerOptions },
    sigmas: levels,
    timesteps: own === 'timesteps' ? timesteps : undefined,
    sigmaMin: positive('sigmaMin'),
    sigmaMax: positive('sigmaMax'),
    rho: positive('rho'),
    zeroTerminalSnr: optionalBoolean('zeroTerminalSnr', request.zeroTerminalSnr) ?? ztsnr,
    sgmNoiseMultiplier: optionalBoolean('sgmNoiseMultiplier', request.sgmNoiseMultiplier) ?? usualNoise(style, sampler, levelsFrom),
    guidance: checkGuidance(request.guidance ?? defaults.guidance ?? 7, steps),
    guidanceInterval: checkInterval(request.guidanceInterval),
    guidanceRescale: optionalNumber('guidanceRescale', request.guidanceRescale, 'a number from 0 to 1', (n) => n >= 0 && n <= 1) ?? 0,
    guidanceProjection: checkProjection(request.guidanceProjection, request.guidanceRescale),
  }
  // Whatever is wrong with options or levels comes to light here, before a picture is read.
  runPlanOf(checked, steps, steps)
  return checked
}

/** Those of Diffusers' schedulers that keep x = x₀ + σ · noise, and start with the variance σ² where the first timestep is the last of all. */
const exploding: readonly string[] = ['euler', 'euler_a', 'heun', 'dpm2', 'dpm2_a', 'lms']

/** Whether the first noise has the variance 1 + σ², by default. */
export function usualNoise(style: SamplingStyle, sampler: string, scheduler: string | undefined): boolean {
  if (style !== 'diffusers') return style === 'comfy'
  return !(exploding.includes(sampler) && (scheduler === 'trailing' || scheduler === 'normal'))
}

function ownSteps(field: 'sigmas' | 'timesteps', list: unknown, counted: number | undefined): number {
  const [least, extra] = field === 'sigmas' ? [2, 1] : [1, 0]
  if (!Array.isArray(list) || list.length < least || list.length > mostSteps + extra) {
    throw invalid(field, `an array of ${least} to ${mostSteps + extra} numbers`, list)
  }
  const steps = list.length - extra
  if (counted !== undefined && counted !== steps) throw invalid('steps', `${steps}, as ${field} says,`, counted)
  return steps
}

function checkGuidance(guidance: unknown, steps: number): number | number[] {
  if (!Array.isArray(guidance)) return optionalNumber('guidance', guidance, 'a finite number, or an array of them')!
  if (guidance.length !== steps) throw invalid('guidance', `one number for each of ${steps} steps`, guidance)
  return guidance.map((value, i) => optionalNumber(`guidance[${i}]`, value ?? null, 'a finite number')!)
}

function checkProjection(options: GuidanceProjection | undefined, rescale: number | undefined): Required<GuidanceProjection> | undefined {
  if (options === undefined) return undefined
  checkKeys('guidanceProjection', options, ['eta', 'limit', 'momentum'])
  if (rescale) throw invalid('guidanceRescale', 'nothing beside guidanceProjection', rescale)
  const within = (name: keyof GuidanceProjection, low: number, high: number) =>
    optionalNumber(`guidanceProjection.${name}`, options[name], `a number from ${low} to ${high}`, (n) => n >= low && n <= high)
  return { eta: within('eta', 0, 1) ?? 0, limit: within('limit', 0, 1e6) ?? 15, momentum: within('momentum', -1, 1) ?? -0.5 }
}

function checkInterval(interval: unknown): [number, number] {
  if (interval === undefined) return [0, 1]
  const inside = (value: unknown) => typeof value === 'number' && value >= 0 && value <= 1
  if (Array.isArray(interval) && interval.length === 2 && interval.every(inside) && interval[0] <= interval[1]) {
    return [interval[0] as number, interval[1] as number]
  }
  throw invalid('guidanceInterval', 'a pair [start, end] with 0 ≤ start ≤ end ≤ 1', interval)
}

export interface RunPlan {
  readonly plan: SamplingPlan
  /** The level that the run ends at, 0 unless the caller's own list stops above. */
  readonly last: number
  /** One per model call. */
  readonly guidance: Float64Array
}

/** The noise of a run from the first level on, where it counts as all that the picture varies by: x has the variance 1 + σ². */
export function withSgmNoise({ plan, ...run }: RunPlan): RunPlan {
  return { ...run, plan: { ...plan, initial: Math.hypot(1, plan.initial) } }
}

/**
 * The last `run` steps of a schedule of `steps`, as a plan.
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT for what `sigmas` and `samplingPlan` reject
 */
export function runPlanOf(sampling: CheckedSampling, steps: number, run: number): RunPlan {
  const levels = levelsOf(sampling, steps).slice(-run - 1)
  const plan = samplingPlan(sampling.sampler, levels, { ...sampling.samplerOptions, zeroTerminalSnr: sampling.zeroTerminalSnr })
  const guidance = typeof sampling.guidance === 'number' ? sampling.guidance : sampling.guidance.slice(-run)
  return { plan, last: levels.at(-1)!, guidance: Float64Array.from(guidancePerCall(plan, guidance, sampling.guidanceInterval)) }
}

function levelsOf({ sampler, scheduler, style, ...given }: CheckedSampling, steps: number): number[] {
  const { sigmas: own, timesteps, sigmaMin, sigmaMax, rho, zeroTerminalSnr } = given
  if (own) return own
  if (timesteps) return timestepsToSigmas(timesteps, { zeroTerminalSnr })
  return samplingFor({ sampler, scheduler, steps, style, sigmaMin, sigmaMax, rho, zeroTerminalSnr }).sigmas
}

/**
 * What prompt schedules count: A1111 doubles the steps for samplers that it knows to call the model twice in one. So do those of
 * `defineSampler` with more calls than steps.
 */
export function scheduleSteps(sampling: CheckedSampling): number {
  const { sampler, style, steps } = sampling
  if (style !== 'a1111') return steps
  const isOwn = samplerOptions(sampler) === undefined
  const doubles = isOwn ? runPlanOf(sampling, steps, steps).plan.calls > steps : samplerHabits(sampler).secondOrder
  return doubles ? 2 * steps : steps
}
