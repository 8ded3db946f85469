import type { PlanStep, SamplingPlan, Term, Write } from '../sampling/index.js'
import type { InpaintOptions } from './types.js'

/** The register that stands for 'denoised' once the picture is put back into it. */
const estimate = 'inpaint_estimate'
const seen = 'inpaint_seen'

const picture: Term = [1, 'init']
const noisyPicture = (sigma: number): Term[] => (sigma === 0 ? [picture] : [picture, [sigma, 'start']])

/**
 * The same plan with what is outside of the mask kept, for any model.
 *
 * @param last the noise level that the plan ends at
 */
export function inpaintPlan(plan: SamplingPlan, mode: NonNullable<InpaintOptions['mode']>, last: number): SamplingPlan {
  const steps = mode === 'diffusers' ? putBackAfterSteps(plan.steps, last) : putBackIntoEstimates(plan.steps, mode === 'comfy')
  const end: Write = { register: 'x', terms: [[1, 'x']], outside: noisyPicture(last) }
  // A1111 and Diffusers hand back the picture itself outside of the mask; ComfyUI does what its last estimate says.
  if (mode === 'a1111') steps.push({ index: steps.at(-1)!.index, writes: [end] })
  return { ...plan, steps }
}

function putBackIntoEstimates(steps: readonly PlanStep[], intoInput: boolean): PlanStep[] {
  const renamed = (terms: readonly Term[]): Term[] => terms.map(([c, register]) => [c, register === 'denoised' ? estimate : register])
  return steps.flatMap(({ index, call, writes }): PlanStep[] => {
    const blended = writes.map((write) => ({
      ...write,
      terms: renamed(write.terms),
      ...(write.outside ? { outside: renamed(write.outside) } : {}),
    }))
    if (!call) return [{ index, writes: blended }]
    const estimated: Write = { register: estimate, terms: [[1, 'denoised']], outside: [picture] }
    const input = renamed(call.input)
    const step = { index, call: { ...call, input }, writes: [estimated, ...blended] }
    if (!intoInput) return [step]
    const before: Write = { register: seen, terms: input, outside: noisyPicture(call.sigma) }
    return [
      { index, writes: [before] },
      { ...step, call: { ...call, input: [[1, seen]] } },
    ]
  })
}

/** After a step x has the noise level of the next step's first call. */
function putBackAfterSteps(steps: readonly PlanStep[], last: number): PlanStep[] {
  return steps.map((step, i) => {
    if (steps[i + 1]?.index === step.index) return step
    const sigma = steps.slice(i + 1).find(({ call }) => call)?.call?.sigma ?? last
    return { ...step, writes: [...step.writes, { register: 'x', terms: [[1, 'x']], outside: noisyPicture(sigma) }] }
  })
}

/** What the repainted part starts from, in place of the picture. Noise and nothing keep the noise that the run starts with. */
export function startPlan(plan: SamplingPlan, start: 'noise' | 'nothing' | 'noise alone'): SamplingPlan {
  const { index } = plan.steps[0]!
  const terms: Term[] = [[1, 'x'], [-1, 'init'], ...(start === 'noise' ? [[1, 'start'] satisfies Term] : [])]
  const write: Write = { register: 'x', terms, ...(start === 'noise alone' ? {} : { outside: [[1, 'x']] }) }
  return { ...plan, steps: [{ index, writes: [write] }, ...plan.steps] }
}
