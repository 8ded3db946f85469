import type { Term } from '../plan.js'
import { integer } from '../sampler-options.js'
import { builtInSampler } from './sampler.js'

/** The paper's noise scale: it decides how much noise is renewed at which level. */
const scale = (sigma: number) => sigma * (Math.exp(sigma ** 0.3) + 10)

/** Points of the sums that stand for integrals; ComfyUI's number, as they are coarse enough to be seen in the result. */
const points = 200

/**
 * Extended reverse-time SDE solver with up to three estimates. Cui et al. 2023, "Elucidating the solution space of extended reverse-time SDE
 * for diffusion models", algorithm 3; ComfyUI `sample_er_sde`. One call per step.
 *
 * `order` is the most estimates used, 1 … 3; `sNoise` scales the noise.
 */
export const erSde = builtInSampler('er_sde', { sNoise: 1, order: integer(3, 1, 3) }, (plan, { sNoise, order }) => {
  const level = (index: number) => plan.intervals[index]!.from
  for (const { index, from, to } of plan.intervals) {
    plan.call(index, from)
    if (to === 0) {
      plan.write('x', [1, 'denoised'])
      continue
    }
    const ratio = scale(to) / scale(from)
    const up = Math.sqrt(Math.max(to ** 2 - (from * ratio) ** 2, 0))
    const used = Math.min(order, index + 1)
    const terms: Term[] = []
    if (used > 1) {
      const width = (from - to) / points
      let [sum, weighted] = [0, 0]
      for (let k = 0; k < points; ++k) {
        const at = to + k * width
        sum += width / scale(at)
        weighted += ((at - from) * width) / scale(at)
      }
      // dD/dσ between the last two calls, and with three estimates its change since the step before.
      const slope = place(index)
      plan.write(slope, [1 / (from - level(index - 1)), 'denoised'], [-1 / (from - level(index - 1)), 'previous'])
      terms.push([to - from + sum * scale(to), slope])
      if (used > 2) {
        const bend = ((to - from) ** 2 / 2 + weighted * scale(to)) / ((from - level(index - 2)) / 2)
        terms.push([bend, slope], [-bend, place(index - 1)])
      }
    }
    plan.write('x', [ratio, 'x'], [1 - ratio, 'denoised'], ...terms, plan.noise(sNoise * up))
    if (plan.intervals[index + 1]?.to && order > 1) plan.write('previous', [1, 'denoised'])
  }
})

const place = (index: number) => (index % 2 === 0 ? 'slopeEven' : 'slopeOdd')
