import { builtInSampler } from './sampler.js'

/**
 * Consistency sampling: the denoised estimate with fresh noise of the next level. Song et al. 2023, "Consistency Models", algorithm 1, and
 * Luo et al. 2023, "Latent Consistency Models"; ComfyUI `sample_lcm`. One call per step.
 */
export const lcm = builtInSampler('lcm', { sNoise: 1 }, (plan, { sNoise }) => {
  for (const { index, from, to } of plan.intervals) plan.call(index, from).write('x', [1, 'denoised'], plan.noise(sNoise * to))
})

/**
 * Strategic stochastic sampling of trajectory consistency models: Euler's method to the timestep (1 − eta) · t of the next level's t, rounded
 * down, then fresh noise up to that level. Zheng et al. 2024, "Trajectory Consistency Distillation", algorithm 4; Diffusers
 * `TCDScheduler`, which calls eta γ and uses 0.3. With eta 0 it is euler, with eta 1 nearly lcm. One call per step.
 */
export const tcd = builtInSampler('tcd', { eta: 1, sNoise: 1 }, (plan, { eta, sNoise }) => {
  const { table } = plan
  for (const { index, from, to } of plan.intervals) {
    let down = to
    if (eta > 0 && to > 0) {
      // A timestep that went through its level may come back a little below the whole number it was.
      const timestep = Math.floor(Math.max(1 - eta, 0) * table.sigmaToTimestep(to) + 1e-6)
      down = Math.min(table.timestepToSigma(timestep), to)
    }
    const up = Math.sqrt(to ** 2 - down ** 2)
    plan.call(index, from).write('x', [down / from, 'x'], [1 - down / from, 'denoised'], plan.noise(sNoise * up))
  }
})
