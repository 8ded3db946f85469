import { invalid } from '../check.js'
import { drawIndex, type SamplingPlan, type Term } from './plan.js'
import { validatePlan } from './validate-plan.js'

/**
 * Runs a plan in double precision. This is the meaning of a plan: the engine must give the same within its own precision.
 *
 * @param x       the start in variance-exploding space, already scaled (`plan.initial` · unit-normal noise); left as it is
 * @param denoise the denoised estimate of `x` at noise level `sigma`, as long as `x`
 * @param noise   the k-th unit-normal draw, as long as `x`; asked for once per k, in ascending order
 * @throws        SdxlError ERR_INVALID_ARGUMENT for a plan that is not valid, or a result of another length
 */
export function runPlan(
  plan: SamplingPlan,
  x: Float64Array,
  denoise: (x: Float64Array, sigma: number) => Float64Array,
  noise: (k: number) => Float64Array,
): Float64Array {
  validatePlan(plan)
  if (!(x instanceof Float64Array)) throw invalid('x', 'a Float64Array', x)
  const registers = new Map<string, Float64Array>([['x', x.slice()]])

  const sized = (field: string, values: Float64Array) => {
    if (values instanceof Float64Array && values.length === x.length) return values
    throw invalid(field, `a Float64Array of ${x.length} values`, values)
  }
  const read = (register: string) => {
    const draw = drawIndex(register)
    if (draw !== undefined && !registers.has(register)) registers.set(register, sized(`the result of noise(${draw})`, noise(draw)))
    return registers.get(register)!
  }
  const combine = (terms: readonly Term[]) => {
    const sum = new Float64Array(x.length)
    for (const [coefficient, register] of terms) {
      const values = read(register)
      for (let i = 0; i < sum.length; ++i) sum[i]! += coefficient * values[i]!
    }
    return sum
  }

  for (const { call, writes } of plan.steps) {
    if (call) registers.set('denoised', sized('the result of denoise(x, sigma)', denoise(combine(call.input), call.sigma)))
    for (const { register, terms } of writes) registers.set(register, combine(terms))
  }
  return registers.get('x')!
}
