// A sampler of one's own: Euler's method that renews noise in the first part of the run only. It is written down as a plan, tried without a
// model, and then used like a built-in one.
import { defineSampler, generate, planner, runPlan, samplingPlan, sigmas, tinyModel } from 'node-sdxl'

defineSampler(
  'euler_early',
  planner('euler_early', { eta: 1, share: 0.5 }, (plan, { eta, share }) => {
    for (const { index, from, to } of plan.intervals) {
      const early = index < share * plan.intervals.length
      const up = early && to > 0 ? Math.min(to, eta * to * Math.sqrt(1 - (to / from) ** 2)) : 0 // fresh noise
      const down = Math.sqrt(to ** 2 - up ** 2) // what the step goes down to
      plan.call(index, from)
      plan.write('x', [down / from, 'x'], [1 - down / from, 'denoised'], plan.noise(up))
    }
  }),
)

// The exact denoiser of unit-normal pictures: whatever noise is drawn, the result should be about as large as such a picture.
const plan = samplingPlan('euler_early', sigmas('karras', 20))
const noise = () => Float64Array.from({ length: 10_000 }, normal)
const start = noise().map((v) => v * plan.initial)
const x = runPlan(plan, start, (input, sigma) => input.map((v) => v / (1 + sigma ** 2)), noise)
const size = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length)
console.log(`${plan.calls} calls; pictures of the size 1 come out with the size ${size.toFixed(2)}`)

const { images } = await generate({ model: tinyModel, prompt: 'a green square', guidance: 4, steps: 20, seed: 2, sampler: 'euler_early' })
await images[0].toFile('own-sampler.png')

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())
}
