import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NativeConditioning, NativeEngine, NativeGenerate } from '../../bindings/addon.js'
import { type PlanStep, runPlan, type SamplingPlan, type Term } from '../../lib/index.js'
import { encodePlan } from '../../lib/sampling/encode-plan.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { relativeError } from '../support/measures.js'
import { branchesOf, draw, latentsRequest, loadRequest, newEngine } from '../support/native-request.js'

// The meaning of a plan is `runPlan`, in float64. Here it asks the engine's own network, so what differs is the executor alone: registers
// and noise in fp32, which the network of tiny-b passes on about as large as they were. Found are 3e-6; any term left out is off by 1e-2.
const tolerance = 2e-5

const [height, width, channels, count] = [3, 5, 4, 2]
const size = height * width * channels
const texts = { prompt: 'a red fox', negativePrompt: 'blurry' }
const seeds = Float64Array.of(3, 4)
const sizes = Float32Array.of(64, 48, 0, 8, 64, 48)

let engine: NativeEngine
let wanted: NativeConditioning
let unwanted: NativeConditioning

beforeAll(async () => {
  engine = newEngine()
  await engine.load(loadRequest(tinyCheckpoint('tiny-b')))
  const { prompts } = branchesOf(texts, 3, 1)
  const encode = (i: number) => engine.encodePrompt({ ...prompts[i]!, loras: [], loraDirectory: '' })
  ;[unwanted, wanted] = [await encode(0), await encode(1)]
})
afterAll(() => engine?.close())

const run = async (plan: SamplingPlan, rest: Partial<NativeGenerate> = {}, branches = branchesOf(texts, 1, plan.calls)) =>
  (
    await draw(
      engine,
      latentsRequest({
        prompts: branches.prompts,
        branches: branches.branches,
        plan: encodePlan(plan),
        height,
        width,
        seeds,
        sizes,
        ...rest,
      }),
    )
  ).latents!

/** x ← the register, without a model call. */
const only = (register: string): SamplingPlan => ({
  sampler: 'only',
  calls: 0,
  initial: 1,
  steps: [{ index: 0, writes: [{ register: 'x', terms: [[1, register]] }] }],
})

const wide = (values: ArrayLike<number>) => Float64Array.from(values)
/** Of each picture. */
const deviations = (values: Float64Array) =>
  Array.from({ length: count }, (_, i) => {
    const own = values.subarray(i * size, (i + 1) * size)
    const mean = own.reduce((a, b) => a + b) / size
    return Math.sqrt(own.reduce((sum, v) => sum + (v - mean) ** 2, 0) / size)
  })

/** What `denoise` of runPlan returns, by the engine's raw predictions. Lin et al. 2023, section 3.4, for the rescale. */
async function estimates(input: Float64Array, sigma: number, timestep: number, guidance: number, rescale: number) {
  const latents = Float32Array.from(input, (v) => v / Math.sqrt(sigma ** 2 + 1))
  const predict = async ({ context, pooled, tokens }: NativeConditioning) =>
    wide(
      await engine.predict({
        latents,
        count,
        height,
        width,
        timestep,
        context,
        pooled,
        prompts: 1,
        tokens,
        sizes,
        loras: [],
        loraDirectory: '',
      }),
    )
  const [conditional, unconditional] = [await predict(wanted), await predict(unwanted)]
  const guided = conditional.map((v, i) => unconditional[i]! + guidance * (v - unconditional[i]!))
  const [wantedDeviations, found] = [deviations(conditional), deviations(guided)]
  const scaled = guided.map((v, i) => v * (1 + rescale * (wantedDeviations[Math.floor(i / size)]! / found[Math.floor(i / size)]! - 1)))
  const denoised = (prediction: Float64Array) => input.map((v, i) => v - sigma * prediction[i]!)
  return { denoised: denoised(scaled), uncond: denoised(unconditional) }
}

interface Setting {
  plan: SamplingPlan
  guidance: number[]
  rescale: number
  init: Float32Array
  mask: Float32Array
}

const largest = (arrays: Float64Array[]) =>
  Math.max(1, ...arrays.map((values) => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0)))

/** runPlan with a network that answers later: each run gets one call further. */
async function reference({ plan, guidance, rescale, init, mask }: Setting, noise: Float64Array[], start: Float64Array) {
  const all = (each: (i: number) => number) => Float64Array.from({ length: count * size }, (_, i) => each(i))
  const extra = { init: all((i) => init[i % size]!), start, mask: all((i) => mask[i % (height * width)]!) }
  const x = start.map((v, i) => plan.initial * v + extra.init[i]!)
  const timesteps = plan.steps.flatMap(({ call }) => (call ? [call.timestep] : []))
  const answers: { denoised: Float64Array; uncond: Float64Array }[] = []
  for (;;) {
    let calls = 0
    let asked: { input: Float64Array; sigma: number } | undefined
    const denoise = (input: Float64Array, sigma: number) => {
      if (calls === answers.length) asked ??= { input, sigma }
      return answers[calls++] ?? input
    }
    const result = runPlan(plan, x, denoise, (k) => noise[k]!, extra)
    if (!asked) return { result, largest: largest([result, ...answers.flatMap(({ denoised, uncond }) => [denoised, uncond])]) }
    const at = answers.length
    answers.push(await estimates(asked.input, asked.sigma, timesteps[at]!, Math.max(1, guidance[at]!), guidance[at]! > 1 ? rescale : 0))
  }
}

const numbers = (length: number, low: number, high: number) =>
  fc.array(fc.float({ min: low, max: high, noNaN: true }), { minLength: length, maxLength: length }).map((list) => Float32Array.from(list))

/** Plans of any shape: calls or none, registers read and written in any order, masked or not. */
const settings: fc.Arbitrary<Setting> = fc
  .record({
    steps: fc.array(
      fc.record({
        calls: fc.boolean(),
        sigma: fc.double({ min: 0.05, max: 10, noNaN: true }),
        timestep: fc.double({ min: 0, max: 999, noNaN: true }),
        choices: fc.array(fc.nat(1000), { minLength: 60, maxLength: 60 }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    guidance: fc.array(fc.constantFrom(0, 1, 1.5, 4), { minLength: 4, maxLength: 4 }),
    rescale: fc.constantFrom(0, 0, 0.7),
    init: numbers(size, -2, 2),
    mask: numbers(height * width, 0, 1),
    initial: fc.double({ min: 0.1, max: 5, noNaN: true }),
  })
  .map(({ steps, guidance, rescale, init, mask, initial }) => {
    const readable = ['x', 'init', 'start']
    let draws = 0
    const made = steps.map(({ calls, sigma, timestep, choices }, index): PlanStep => {
      let chosen = 0
      const next = (below: number) => choices[chosen++ % choices.length]! % below
      const terms = (atLeast: number): Term[] =>
        Array.from({ length: atLeast + next(3) }, () => {
          const coefficient = (next(200) - 100) / 100
          const which = next(readable.length + 1)
          if (which < readable.length) return [coefficient, readable[which]!]
          if (next(2) || draws === 0) ++draws
          return [coefficient, `noise:${draws - 1}`]
        })
      const write = () => {
        const inside = terms(1)
        const outside = next(2) ? terms(0) : undefined
        const register = ['x', 'old', 'slope'][next(3)]!
        if (!readable.includes(register)) readable.push(register)
        return outside ? { register, terms: inside, outside } : { register, terms: inside }
      }
      const call = calls ? { sigma, timestep, input: terms(1) } : undefined
      if (call && !readable.includes('uncond')) readable.push('denoised', 'uncond')
      const writes = Array.from({ length: 1 + next(3) }, write)
      return call ? { index, call, writes } : { index, writes }
    })
    const plan = { sampler: 'any', calls: made.filter(({ call }) => call).length, initial, steps: made }
    return { plan, guidance: guidance.slice(0, plan.calls), rescale, init, mask }
  })

describe('the engine executes plans as runPlan does', () => {
  test('of any shape, batches and soft masks, with guidance that comes and goes, and rescale', async () => {
    const noise: Float64Array[] = []
    for (let k = 0; k < 60; ++k) noise.push(wide(await run(only(`noise:${k}`))))
    const start = wide(await run(only('start')))
    await fc.assert(
      fc.asyncProperty(settings, async (setting) => {
        const { plan, guidance, rescale, init, mask } = setting
        const unconditional = JSON.stringify(plan.steps).includes('"uncond"')
        const found = await run(plan, { init, mask, rescale }, branchesOf(texts, guidance, plan.calls, { unconditional }))
        const { result, largest } = await reference(setting, noise, start)
        const error = found.reduce((most, v, i) => Math.max(most, Math.abs(v - result[i]!)), 0)
        expect(error / largest).toBeLessThan(tolerance)
      }),
      { numRuns: 80 },
    )
  })

  test("without an unconditional prediction, 'uncond' is 'denoised'", async () => {
    const plan = (register: string): SamplingPlan => ({
      sampler: 'one',
      calls: 1,
      initial: 2,
      steps: [{ index: 0, call: { sigma: 2, timestep: 500, input: [[1, 'x']] }, writes: [{ register: 'x', terms: [[1, register]] }] }],
    })
    const denoised = await run(plan('denoised'))
    expect(await run(plan('uncond'))).toEqual(denoised)
    const guided = branchesOf(texts, 1, 1, { unconditional: true })
    const uncond = await run(plan('uncond'), {}, guided)
    expect(relativeError(uncond, denoised)).toBeGreaterThan(1e-3)
    expect(await run(plan('denoised'), {}, guided)).toEqual(denoised)
  })

  test('a picture of a batch is what it is alone', async () => {
    const init = Float32Array.from({ length: 2 * size }, (_, i) => Math.sin(i))
    const plan: SamplingPlan = {
      sampler: 'one',
      calls: 1,
      initial: 2,
      steps: [
        {
          index: 0,
          call: { sigma: 2, timestep: 500, input: [[1, 'x']] },
          writes: [{ register: 'x', terms: [[1, 'denoised']], outside: [[1, 'init']] }], // prettier-ignore
        },
      ],
    }
    const mask = Float32Array.from({ length: height * width }, (_, i) => i / (height * width))
    const branches = branchesOf(texts, 5, 1)
    const both = await run(plan, { init, mask, rescale: 0.5 }, branches)
    const second = await run(plan, { init: init.slice(size), mask, rescale: 0.5, seeds: seeds.slice(1) }, branches)
    expect(both.slice(size)).toEqual(second)
    expect(both.slice(0, size)).not.toEqual(second)
  })
})
