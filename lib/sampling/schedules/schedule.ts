import type { NoiseTable } from '../noise-table.js'

/** What a schedule gets: checked, and with the table's own ends where the caller gave none. */
export interface ScheduleRange {
  readonly sigmaMin: number
  readonly sigmaMax: number
  readonly rho?: number
  readonly table: NoiseTable
}

/** @returns `steps + 1` descending levels, the last 0 */
export type Schedule = (steps: number, range: ScheduleRange) => number[]

interface Definition {
  readonly make: Schedule
  readonly options: readonly string[]
}

const definitions = new Map<string, Definition>()

/** Registers a schedule; `options` names what it takes beyond the range and the table. */
export function defineSchedule(name: string, make: Schedule, options: readonly 'rho'[] = []): Schedule {
  definitions.set(name, { make, options })
  return make
}

export const findSchedule = (name: string): Definition | undefined => definitions.get(name)
export const scheduleNames = (): string[] => [...definitions.keys()]
