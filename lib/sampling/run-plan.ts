import { checkKeys, invalid } from '../check.js'
import { drawIndex, type SamplingPlan, type Term } from './plan.js'
import { validatePlan } from './validate-plan.js'

/** What a run that starts from a picture has besides the noise; each as long as `x`. */
export interface PlanExtras {
  /** The register 'init'. */
  init?: Float64Array
  /** The register 'start'. */
  start?: Float64Array
  /** 0 … 1, 1 where to repaint; for plans with masked writes. */
  mask?: Float64Array
}

/** `uncond`: the estimate for the unconditional prompt alone, for samplers that read it; by default the same as `denoised`. */
export type Denoised = Float64Array | { denoised: Float64Array; uncond?: Float64Array }

/**
 * Runs a plan in double precision. This is the meaning of a plan: the engine must give the same within its own precision.
 *
 * @param x       the start in variance-exploding space, already scaled (`plan.initial` · unit-normal noise, plus the picture if the run
 *                starts from one); left as it is
 * @param denoise the denoised estimate of `x` at noise level `sigma`, as long as `x`
 * @param noise   the k-th unit-normal draw, as long as `x`; asked for once per k, in ascending order
 * @param extra   what the plan reads of a picture
 * @throws        SdxlError ERR_INVALID_ARGUMENT for a plan that is not valid, a result of another length, or an extra that is read but not
 *                given
 */
export function runPlan(
  plan: SamplingPlan,
  x: Float64Array,
  denoise: (x: Float64Array, sigma: number) => Denoised,
  noise: (k: number) => Float64Array,
  extra: PlanExtras = {},
): Float64Array {
  validatePlan(plan)
  if (!(x instanceof Float64Array)) throw invalid('x', 'a Float64Array', x)
  checkKeys('extra', extra, ['init', 'start', 'mask'])
  const registers = new Map<string, Float64Array>([['x', x.slice()]])

  const sized = (field: string, values: Float64Array) => {
    if (values instanceof Float64Array && values.length === x.length) return values
    throw invalid(field, `a Float64Array of ${x.length} values`, values)
  }
  const read = (register: string) => {
    const known = registers.get(register)
    if (known) return known
    // A valid plan reads nothing else that is not written.
    const draw = drawIndex(register)
    const values =
      draw === undefined
        ? sized(`extra.${register}`, extra[register as 'init' | 'start']!)
        : sized(`the result of noise(${draw})`, noise(draw))
    registers.set(register, values)
    return values
  }
  const combine = (terms: readonly Term[]) => {
    const sum = new Float64Array(x.length)
    for (const [coefficient, register] of terms) {
      const values = read(register)
      for (let i = 0; i < sum.length; ++i) sum[i]! += coefficient * values[i]!
    }
    return sum
  }

  const blend = (inside: Float64Array, outside: Float64Array) => {
    const mask = sized('extra.mask', extra.mask!)
    return inside.map((value, i) => mask[i]! * value + (1 - mask[i]!) * outside[i]!)
  }

  for (const { call, writes } of plan.steps) {
    if (call) {
      const result = denoise(combine(call.input), call.sigma)
      const { denoised, uncond = denoised } = ArrayBuffer.isView(result) ? { denoised: result } : (result ?? {})
      registers.set('denoised', sized('the result of denoise(x, sigma)', denoised))
      registers.set('uncond', sized('uncond in the result of denoise(x, sigma)', uncond))
    }
    for (const { register, terms, outside } of writes) {
      const inside = combine(terms)
      registers.set(register, outside ? blend(inside, combine(outside)) : inside)
    }
  }
  return registers.get('x')!
}
