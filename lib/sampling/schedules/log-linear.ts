import { spaced } from './schedule.js'

/** `count` levels along a list whose logarithms are joined by straight lines, both ends included. */
export function logLinear(levels: readonly number[], count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    const at = spaced(0, levels.length - 1, count, i)
    const low = Math.min(Math.floor(at), levels.length - 2)
    return levels[low]! * (levels[low + 1]! / levels[low]!) ** (at - low)
  })
}
