import type { Term } from '../plan.js'
import type { PlanBuilder } from '../plan-builder.js'

/**
 * Splits a step into one without noise to `down` and fresh noise of the size `up`: down² + up² = to². k-diffusion `get_ancestral_step`.
 *
 * @param eta share of the noise that is renewed, 0 … 1; above 1 `up` stays at most `to`
 */
export function ancestral(from: number, to: number, eta: number): { down: number; up: number } {
  // up² / to² = η² (1 − to²/from²); in this form what is left of 1 is exact for η = 1.
  const kept = (1 - eta) * (1 + eta) + (eta * (to / from)) ** 2
  if (kept <= 0) return { down: 0, up: to }
  return { down: to * Math.sqrt(kept), up: to * Math.sqrt(Math.max(1 - kept, 0)) }
}

/** Karras et al. 2022, algorithm 2: how much the noise is raised before a step, and in which range of levels. */
export const churnOptions = { sChurn: 0, sTmin: 0, sTmax: Infinity, sNoise: 1 } as const

/** The level a step starts from with churn, and x with the noise for it. Without churn they are `from` and x. */
export function churned(plan: PlanBuilder, from: number, options: Readonly<Record<keyof typeof churnOptions, number>>) {
  const inRange = from >= options.sTmin && from <= options.sTmax
  const gamma = inRange ? Math.min(options.sChurn / plan.intervals.length, Math.SQRT2 - 1) : 0
  const start: Term[] = [[1, 'x'], plan.noise(options.sNoise * from * Math.sqrt(gamma * (2 + gamma)))]
  return { hat: from * (1 + gamma), start }
}

export const scaled = (factor: number, terms: readonly Term[]): Term[] =>
  terms.map(([coefficient, register]) => [factor * coefficient, register])
