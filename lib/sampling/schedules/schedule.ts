import { SdxlError } from '../../errors.js'
import type { NoiseTable } from '../noise-table.js'

/** What a schedule gets: checked, and with the table's own ends where the caller gave none. */
export interface ScheduleRange {
  readonly sigmaMin: number
  readonly sigmaMax: number
  readonly rho?: number
  readonly table: NoiseTable
}

/** @returns `steps` descending levels above 0; `sigmas` adds the 0 */
export type Schedule = (steps: number, range: ScheduleRange) => number[]

export type ScheduleOption = 'sigmaMin' | 'sigmaMax' | 'rho'

interface Definition {
  readonly make: Schedule
  readonly options: readonly ScheduleOption[]
}

export const range: readonly ScheduleOption[] = ['sigmaMin', 'sigmaMax']

const definitions = new Map<string, Definition>()

/** Registers a schedule; `options` names what it takes besides the table. */
export function defineSchedule(name: string, options: readonly ScheduleOption[], make: Schedule): Schedule {
  definitions.set(name, { make, options })
  return make
}

export const findSchedule = (name: string): Definition | undefined => definitions.get(name)
export const scheduleNames = (): string[] => [...definitions.keys()]

/** i-th of `count` evenly spaced numbers, both ends included; a single one is `from`. */
export const spaced = (from: number, to: number, count: number, i: number): number => from + (i / Math.max(count - 1, 1)) * (to - from)

/** Throws for more steps than the schedule has different levels for. */
export function atMost(most: number, scheduler: string, steps: number): void {
  if (steps <= most) return
  throw new SdxlError('ERR_INVALID_ARGUMENT', `Expected at most ${most} for steps with the scheduler "${scheduler}", received ${steps}`, {
    field: 'steps',
    wanted: `at most ${most}`,
    found: String(steps),
  })
}
