// Making, checking and encoding the plan of every sampler, per step: what sampling costs before the engine begins.
import { samplerNames, samplingPlan, sigmas } from 'node-sdxl'
import { encodePlan } from '../dist/esm/lib/sampling/encode-plan.js'
import { median } from './times.mjs'

const steps = 30

/** Milliseconds per step: of the first plan, when nothing is compiled, and the median of many. */
function measure(sampler, scheduler) {
  const times = Array.from({ length: 101 }, () => {
    const begun = performance.now()
    encodePlan(samplingPlan(sampler, sigmas(scheduler, steps)))
    return (performance.now() - begun) / steps
  })
  return { sampler, first: times[0], warm: median(times.slice(50)) }
}

export function benchPlans() {
  const rows = samplerNames().map((sampler) => measure(sampler, 'karras'))
  console.log(`\nplans of ${steps} steps, milliseconds per step: making, checking and encoding`)
  for (const { sampler, first, warm } of rows) console.log(`  ${sampler.padEnd(28)} first ${first.toFixed(4)}   warm ${warm.toFixed(4)}`)
  const worst = (key) => rows.reduce((most, row) => (row[key] > most[key] ? row : most))
  console.log(
    `  most: first ${worst('first').first.toFixed(4)} (${worst('first').sampler}), warm ${worst('warm').warm.toFixed(4)} (${worst('warm').sampler})`,
  )
}
