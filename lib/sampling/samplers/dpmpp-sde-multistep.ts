import type { Term } from '../plan.js'
import type { PlanBuilder } from '../plan-builder.js'
import { builtInSampler } from './sampler.js'

type SolverType = 'midpoint' | 'heun'

function secondOrderSteps(plan: PlanBuilder, { eta, sNoise }: { eta: number; sNoise: number }, solverType: SolverType): void {
  const slope = (h: number) => (solverType === 'heun' ? 1 + Math.expm1(-h) / h : -Math.expm1(-h) / 2)
  let last = 0
  for (const { index, from, to } of plan.intervals) {
    plan.call(index, from)
    const step = stochasticStep(from, to, eta)
    const share = index > 0 && to > 0 ? (slope(step.length) * step.width) / last : 0
    plan.write('x', [step.kept, 'x'], [step.gain + share, 'denoised'], [-share, 'previous'], plan.noise(sNoise * step.up))
    if (plan.intervals[index + 1]?.to) plan.write('previous', [1, 'denoised'])
    last = step.width
  }
}

/**
 * DPM-Solver++(2M) for the stochastic equation. Lu et al. 2022, "DPM-Solver++", section 6; k-diffusion `sample_dpmpp_2m_sde`.
 * One call per step; the one to σ = 0 is of first order.
 *
 * `eta` scales the noise that is renewed (0: none), `sNoise` the noise that is added, and `solverType` chooses how the slope of the denoised
 * estimate enters.
 */
export const dpmpp2mSde = builtInSampler('dpmpp_2m_sde', { eta: 1, sNoise: 1, solverType: ['midpoint', 'heun'] }, (plan, options) =>
  secondOrderSteps(plan, options, options.solverType),
)

/** dpmpp_2m_sde with the solver type "heun", which A1111 and ComfyUI have as a sampler of its own. */
export const dpmpp2mSdeHeun = builtInSampler('dpmpp_2m_sde_heun', { eta: 1, sNoise: 1 }, (plan, options) =>
  secondOrderSteps(plan, options, 'heun'),
)

/**
 * The same with the last three estimates. k-diffusion `sample_dpmpp_3m_sde`. One call per step; the first is of first order, the second of
 * second order. The options are `eta` and `sNoise` of dpmpp_2m_sde.
 */
export const dpmpp3mSde = builtInSampler('dpmpp_3m_sde', { eta: 1, sNoise: 1 }, (plan, { eta, sNoise }) => {
  const steps = plan.intervals.map(({ from, to }) => stochasticStep(from, to, eta))
  for (const { index, from, to } of plan.intervals) {
    plan.call(index, from)
    const { kept, gain, up, width, length } = steps[index]!
    const [r0, r1] = [steps[index - 1], steps[index - 2]].map((step) => (step ? step.width / width : 0)) as [number, number]
    const phi2 = 1 + Math.expm1(-length) / length
    const phi3 = phi2 / length - 0.5
    // Shares of the differences between this estimate and the one before, and between that one and the one before it.
    const [newer, older] =
      to === 0 || index === 0
        ? [0, 0]
        : index === 1
          ? [phi2 / r0, 0]
          : [(phi2 * (1 + r0 / (r0 + r1)) - phi3 / (r0 + r1)) / r0, (-phi2 * (r0 / (r0 + r1)) + phi3 / (r0 + r1)) / r1]
    const history: Term[] = [
      [older - newer, 'previous'],
      [-older, 'beforePrevious'],
    ]
    plan.write('x', [kept, 'x'], [gain + newer, 'denoised'], ...history, plan.noise(sNoise * up))
    if (!plan.intervals[index + 1]?.to) continue
    if (index > 0) plan.write('beforePrevious', [1, 'previous'])
    plan.write('previous', [1, 'denoised'])
  }
})

/** What a step of the stochastic equation keeps of x, takes of the estimate and adds of noise; `width` in λ = −log σ, `length` with eta. */
function stochasticStep(from: number, to: number, eta: number) {
  const width = Math.log(from / to)
  const length = width * (1 + eta)
  const kept = (to / from) ** (1 + eta)
  return { width, length, kept, gain: 1 - kept, up: to * Math.sqrt(1 - (to / from) ** (2 * eta)) }
}
