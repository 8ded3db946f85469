import { drawIndex, type SamplingPlan, type Term } from './plan.js'

/**
 * A plan as the numbers that the engine reads, registers counted instead of named:
 * `[registers, user's steps, initial σ]`, then per step `[index, has a call]`, `[σ, timestep, terms]` if it has one, `[writes]`, and per
 * write `[register, terms]`. Terms are `[n, coefficient, register, …]`; register 0 is 'x', 1 'denoised', −1 − k the draw 'noise:k'.
 */
export function encodePlan(plan: SamplingPlan): Float64Array {
  const registers = new Map([
    ['x', 0],
    ['denoised', 1],
  ])
  const number = (register: string): number => {
    const draw = drawIndex(register)
    if (draw !== undefined) return -1 - draw
    if (!registers.has(register)) registers.set(register, registers.size)
    return registers.get(register)!
  }
  const terms = (list: readonly Term[]) => [list.length, ...list.flatMap(([coefficient, register]) => [coefficient, number(register)])]

  const steps = plan.steps.flatMap(({ index, call, writes }) => [
    index,
    ...(call ? [1, call.sigma, call.timestep, ...terms(call.input)] : [0]),
    writes.length,
    ...writes.flatMap((write) => [number(write.register), ...terms(write.terms)]),
  ])
  return Float64Array.from([registers.size, stepCount(plan), plan.initial, ...steps])
}

/** The user's steps; a sampler may need several calls for one. */
export function stepCount(plan: SamplingPlan): number {
  return Math.max(0, ...plan.steps.map((step) => step.index + 1))
}
