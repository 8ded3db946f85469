import { invalid } from '../../check.js'
import { builtInSampler } from './sampler.js'
import { ancestral } from './steps.js'

/**
 * DPM-Solver++ for the stochastic equation, single step: a half step to the level between (in log σ), then the whole step with the estimate
 * found there, each with its own share of fresh noise. Lu et al. 2022, "DPM-Solver++", section 6; k-diffusion `sample_dpmpp_sde`.
 * Two calls per step, one for the step to σ = 0.
 *
 * Both noises follow one Brownian path over σ: step i draws 2i for the first part and 2i + 1 for the second, and the whole step's noise is
 * their sum, each weighted with the root of its part of the way. `r`, between 0 and 1, is where the middle lies.
 */
export const dpmppSde = builtInSampler('dpmpp_sde', { eta: 1, sNoise: 1, r: 1 / 2 }, (plan, { eta, sNoise, r }) => {
  if (r === 0 || r >= 1) throw invalid('r', 'a number between 0 and 1', r)
  for (const { index, from, to } of plan.intervals) {
    plan.call(index, from)
    if (to === 0) {
      plan.write('x', [1, 'denoised'])
      continue
    }
    const middle = from * (to / from) ** r
    const half = ancestral(from, middle, eta)
    const whole = ancestral(from, to, eta)
    const noise = plan.noise(sNoise * half.up)
    if (r !== 1 / 2) plan.write('first', [1, 'denoised'])
    plan.call(index, middle, [half.down / from, 'x'], [1 - half.down / from, 'denoised'], noise)

    const gain = 1 - whole.down / from
    const share = 1 / (2 * r)
    const along = (width: number) => sNoise * whole.up * Math.sqrt(width / (from - to))
    plan.write(
      'x',
      [whole.down / from, 'x'],
      [gain * (1 - share), 'first'],
      [gain * share, 'denoised'],
      [along(from - middle), noise[1]],
      plan.noise(along(middle - to)),
    )
  }
})
