/**
 * A register times a coefficient. Registers: 'x', the sampler's own names, 'noise:k' (the k-th draw of unit-normal noise), and
 * - 'denoised': the last call's result, after guidance
 * - 'uncond': that call's estimate for the unconditional prompt alone; the same as 'denoised' where the call had none
 * - 'init': the clean latents that the run started from; only where there is an image
 * - 'start': the unit-normal noise that x started with, x = init + initial · start
 */
export type Term = readonly [coefficient: number, register: string]

/** One evaluation of the model. Its result, the denoised estimate, is the register 'denoised' until the next call. */
export interface ModelCall {
  /** Noise level of the input, > 0. */
  readonly sigma: number
  /** Training timestep of that level, 0 … 999, fractional. */
  readonly timestep: number
  /** What the model sees, Σ coefficient · register, in variance-exploding space: x₀ + σ · noise. */
  readonly input: readonly Term[]
}

/**
 * register ← Σ coefficient · register. It may read what earlier writes left, and its own old value; no terms make it 0.
 * With `outside`, register ← mask ⊙ Σ terms + (1 − mask) ⊙ Σ outside, the mask being 1 where the picture is to be repainted.
 */
export interface Write {
  readonly register: string
  readonly terms: readonly Term[]
  readonly outside?: readonly Term[]
}

export interface PlanStep {
  /** The user's step this belongs to, from 0; a sampler with several calls per step has several of these with one index. */
  readonly index: number
  /** Comes before the writes. */
  readonly call?: ModelCall
  readonly writes: readonly Write[]
}

/** A whole sampling run as plain data: no functions, no classes, survives structuredClone. The result is 'x' after the last step. */
export interface SamplingPlan {
  readonly sampler: string
  /** Number of steps with a call. */
  readonly calls: number
  readonly steps: readonly PlanStep[]
  /** σ that unit-normal start noise is scaled with. */
  readonly initial: number
}

/** A sampler: everything it decides follows from the noise levels and its options. */
export type MakePlan = (sigmas: number[], options: Record<string, unknown>) => SamplingPlan

/** The registers that a sampler reads but does not write. */
export const givenRegisters: readonly string[] = ['denoised', 'uncond', 'init', 'start']

const drawPattern = /^noise:(0|[1-9]\d{0,8})$/

/** k of the register 'noise:k', undefined for any other register. */
export function drawIndex(register: string): number | undefined {
  const match = drawPattern.exec(register)
  return match ? Number(match[1]) : undefined
}
