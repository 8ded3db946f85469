import { drawIndex, givenRegisters, type SamplingPlan, type Term } from './plan.js'

/**
 * A plan as the numbers that the engine reads, registers counted instead of named:
 * `[registers, user's steps, initial σ]`, then per step `[index, has a call]`, `[σ, timestep, terms]` if it has one, `[writes]`, and per
 * write `[register, masked or not, terms]`, then the terms of `outside` if it is masked. Terms are `[n, coefficient, register, …]`; register 0 is
 * 'x', 1 'denoised', 2 'uncond', 3 'init', 4 'start', −1 − k the draw 'noise:k'.
 */
export function encodePlan(plan: SamplingPlan): Float64Array {
  const registers = new Map(['x', ...givenRegisters].map((register, i) => [register, i]))
  const number = (register: string): number => {
    const known = registers.get(register)
    if (known !== undefined) return known
    const draw = drawIndex(register)
    if (draw !== undefined) return -1 - draw
    registers.set(register, registers.size)
    return registers.size - 1
  }
  const numbers = [0, stepCount(plan), plan.initial]
  const addTerms = (terms: readonly Term[]) => {
    numbers.push(terms.length)
    for (const term of terms) numbers.push(term[0], number(term[1]))
  }
  for (const { index, call, writes } of plan.steps) {
    numbers.push(index, call ? 1 : 0)
    if (call) {
      numbers.push(call.sigma, call.timestep)
      addTerms(call.input)
    }
    numbers.push(writes.length)
    for (const { register, terms, outside } of writes) {
      numbers.push(number(register), outside ? 1 : 0)
      addTerms(terms)
      if (outside) addTerms(outside)
    }
  }
  numbers[0] = registers.size
  return Float64Array.from(numbers)
}

/** The user's steps; a sampler may need several calls for one. */
export function stepCount(plan: SamplingPlan): number {
  return plan.steps.reduce((most, { index }) => Math.max(most, index + 1), 0)
}
