import { readFileSync } from 'node:fs'
import { expect } from 'vitest'

export function golden<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../golden/sampling/${name}.json`, import.meta.url), 'utf8')) as T
}

/** Every value within `relative` of the wanted one; a wanted 0 must be 0. */
export function expectClose(found: ArrayLike<number>, wanted: readonly number[], relative: number): void {
  expect(found.length).toBe(wanted.length)
  for (const [i, value] of wanted.entries()) {
    if (!(Math.abs(found[i]! - value) <= relative * Math.abs(value))) {
      expect.fail(`value ${i} is ${found[i]}, wanted ${value} within ${relative} relative`)
    }
  }
}
