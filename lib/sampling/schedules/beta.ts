import { defineSchedule, range, spaced } from './schedule.js'

/**
 * Noise levels at evenly spaced quantiles of the distribution Beta(0.6, 0.6), linear in σ between the ends: dense at both of them.
 * Lee et al. 2024, "Beta Sampling is All You Need"; the form of A1111, where ComfyUI takes quantiles of the timestep.
 */
export const beta = defineSchedule('beta', range, (steps, { sigmaMin, sigmaMax }) =>
  Array.from({ length: steps }, (_, i) => sigmaMin + quantile(spaced(1, 0, steps, i)) * (sigmaMax - sigmaMin)),
)

/** Both parameters of the distribution, which makes it symmetric. */
const shape = 0.6

/** ∫₀ˣ (u(1 − u))^(shape − 1) du for x ≤ ½, term by term: the binomial series of (1 − u)^(shape − 1). */
function integral(x: number): number {
  let sum = 0
  let coefficient = 1
  for (let k = 0; k < 60; coefficient *= (++k - shape) / k) sum += (coefficient * x ** k) / (shape + k)
  return sum * x ** shape
}

const half = integral(0.5)

/** x with `share` of the distribution below it. */
function quantile(share: number): number {
  if (share > 0.5) return 1 - quantile(1 - share)
  if (share === 0) return 0
  const wanted = 2 * share * half
  // The first term alone gives a little too much. The curve is concave: Newton's method then stays below and never overshoots.
  let x = (wanted * shape) ** (1 / shape)
  for (let i = 0; i < 8; ++i) x -= (integral(x) - wanted) * (x * (1 - x)) ** (1 - shape)
  return x
}
