import { checkKeys, invalid, optionalBoolean, optionalNumber } from '../check.js'
import { SdxlError } from '../errors.js'
import { lastTimestep, noiseTable } from './noise-table.js'
import { findSchedule, scheduleNames } from './schedules/index.js'

/** Far beyond any use, and low enough that a mistaken number cannot exhaust the memory. */
const maxSteps = 10_000

export interface SigmasOptions {
  /** The lowest level above zero, for schedulers with a free range; default: the lowest the network was trained on, 0.0292. */
  sigmaMin?: number
  /** The first level, for schedulers with a free range; default: the highest the network was trained on, 14.6146. */
  sigmaMax?: number
  /** Bend of the curve, for "karras" (7) and "polyexponential" (1). */
  rho?: number
  /** For models trained with a zero terminal signal-to-noise ratio. Give the same to `samplingPlan`. */
  zeroTerminalSnr?: boolean
}

/**
 * Noise levels σ of a schedule: x = x₀ + σ · unit-normal noise.
 *
 * @param steps number of levels above zero, an integer from 1 to 10000; schedulers with a table of their own take fewer
 * @returns     `steps + 1` strictly descending levels, the last 0
 * @throws      SdxlError ERR_INVALID_ARGUMENT for an unknown scheduler or option, or a value out of range
 */
export function sigmas(scheduler: string, steps: number, options: SigmasOptions = {}): number[] {
  const schedule = findSchedule(scheduler)
  if (!schedule) throw invalid('scheduler', `one of ${scheduleNames().join(', ')}`, scheduler)
  if (!Number.isInteger(steps) || steps < 1 || steps > maxSteps) throw invalid('steps', `an integer from 1 to ${maxSteps}`, steps)
  checkKeys('options', options, [...schedule.options, 'zeroTerminalSnr'])

  const positive = (field: 'sigmaMin' | 'sigmaMax' | 'rho') =>
    optionalNumber(field, options[field], 'a positive finite number', (value) => value > 0)
  const table = noiseTable(optionalBoolean('zeroTerminalSnr', options.zeroTerminalSnr))
  const sigmaMin = positive('sigmaMin') ?? table.sigmaMin
  const sigmaMax = positive('sigmaMax') ?? table.sigmaMax
  if (sigmaMin >= sigmaMax) throw invalid('sigmaMin', `less than sigmaMax, ${sigmaMax},`, sigmaMin)

  const levels = [...schedule.make(steps, { table, sigmaMin, sigmaMax, rho: positive('rho') }), 0]
  // An extreme rho or a range of almost no width leaves double precision; a sampler would divide by zero later.
  const stuck = levels.findIndex((level, i) => !Number.isFinite(level) || (i > 0 && level >= levels[i - 1]!))
  if (stuck >= 0) {
    throw new SdxlError(
      'ERR_INVALID_ARGUMENT',
      `The scheduler "${scheduler}" gives no descending levels with these options: level ${stuck} is ${levels[stuck]} after ${levels[stuck - 1]}. Use a wider range, fewer steps or another rho`,
      { field: 'options', scheduler, steps, sigmaMin, sigmaMax, rho: options.rho },
    )
  }
  return levels
}

/**
 * Noise levels of one's own list of timesteps, as samplers take them.
 *
 * @param timesteps strictly descending, 0 … 999, fractions allowed
 * @param options   `zeroTerminalSnr` as in `sigmas`
 * @returns         their levels, and 0 behind them
 * @throws          SdxlError ERR_INVALID_ARGUMENT for a list that is empty, not descending or out of range
 */
export function timestepsToSigmas(timesteps: readonly number[], options: Pick<SigmasOptions, 'zeroTerminalSnr'> = {}): number[] {
  checkKeys('options', options, ['zeroTerminalSnr'])
  const table = noiseTable(optionalBoolean('zeroTerminalSnr', options.zeroTerminalSnr))
  if (!Array.isArray(timesteps) || timesteps.length === 0) throw invalid('timesteps', 'an array of at least 1 timesteps', timesteps)
  timesteps.forEach((timestep: unknown, i) => {
    if (typeof timestep !== 'number' || !(timestep >= 0 && timestep <= lastTimestep)) {
      throw invalid(`timesteps[${i}]`, `a number from 0 to ${lastTimestep}`, timestep)
    }
    const before = timesteps[i - 1]
    if (before !== undefined && timestep >= before)
      throw invalid(`timesteps[${i}]`, `less than the timestep before it, ${before},`, timestep)
  })
  return [...timesteps.map((timestep) => table.timestepToSigma(timestep)), 0]
}

/** Checks a list of noise levels as samplers take it; it may stop above 0, for a picture that is finished elsewhere. */
export function checkSigmas(levels: unknown): asserts levels is number[] {
  if (!Array.isArray(levels) || levels.length < 2) throw invalid('sigmas', 'an array of at least 2 noise levels', levels)
  for (let i = 0; i < levels.length; ++i) {
    const level: unknown = levels[i]
    const last = i === levels.length - 1
    if (typeof level !== 'number' || !Number.isFinite(level) || level < 0 || (level === 0 && !last)) {
      throw invalid(`sigmas[${i}]`, last ? 'a finite number of at least 0' : 'a positive finite number (only the last may be 0)', level)
    }
    if (i > 0 && level >= levels[i - 1]) throw invalid(`sigmas[${i}]`, `less than the level before it, ${levels[i - 1]},`, level)
  }
}
