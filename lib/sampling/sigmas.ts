import { checkKeys, invalid, optionalBoolean, optionalNumber } from '../check.js'
import { SdxlError } from '../errors.js'
import { noiseTable } from './noise-table.js'
import { findSchedule, scheduleNames } from './schedules/index.js'

/** Far beyond any use, and low enough that a mistaken number cannot exhaust the memory. */
const maxSteps = 10_000

export interface SigmasOptions {
  /** The lowest level above zero; default: the lowest the network was trained on, 0.0292. */
  sigmaMin?: number
  /** The first level; default: the highest the network was trained on, 14.6146. */
  sigmaMax?: number
  /** Bend of the curve, for schedulers that have one. */
  rho?: number
  /** For models trained with a zero terminal signal-to-noise ratio. Give the same to `samplingPlan`. */
  zeroTerminalSnr?: boolean
}

/**
 * Noise levels σ of a schedule: x = x₀ + σ · unit-normal noise.
 *
 * @param steps number of levels above zero, an integer from 1 to 10000
 * @returns     `steps + 1` strictly descending levels, the last 0
 * @throws      SdxlError ERR_INVALID_ARGUMENT for an unknown scheduler or option, or a value out of range
 */
export function sigmas(scheduler: string, steps: number, options: SigmasOptions = {}): number[] {
  const schedule = findSchedule(scheduler)
  if (!schedule) throw invalid('scheduler', `one of ${scheduleNames().join(', ')}`, scheduler)
  if (!Number.isInteger(steps) || steps < 1 || steps > maxSteps) throw invalid('steps', `an integer from 1 to ${maxSteps}`, steps)
  checkKeys('options', options, ['sigmaMin', 'sigmaMax', 'zeroTerminalSnr', ...schedule.options])

  const positive = (field: 'sigmaMin' | 'sigmaMax' | 'rho') =>
    optionalNumber(field, options[field], 'a positive finite number', (value) => value > 0)
  const table = noiseTable(optionalBoolean('zeroTerminalSnr', options.zeroTerminalSnr))
  const sigmaMin = positive('sigmaMin') ?? table.sigmaMin
  const sigmaMax = positive('sigmaMax') ?? table.sigmaMax
  if (sigmaMin >= sigmaMax) throw invalid('sigmaMin', `less than sigmaMax, ${sigmaMax},`, sigmaMin)

  const levels = schedule.make(steps, { table, sigmaMin, sigmaMax, rho: positive('rho') })
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
