import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadModel, type Model, type SamplingPlan, samplingPlan, sigmas, type Term, tinyModel } from '../../lib/index.js'
import { psnr } from '../support/measures.js'
import { defineHeun } from '../support/two-calls.js'

defineHeun('own_heun')

const shape = [1, 4, 16, 16]
const start = Float32Array.from({ length: 1024 }, (_, i) => Math.sin(12.9898 * i * i))
const request = {
  prompt: 'a blue diamond on a yellow background',
  steps: 5,
  guidance: 4,
  seed: 3,
  scheduler: 'karras',
  sampler: 'own_heun',
}

let model: Model
beforeAll(async () => {
  model = await loadModel(tinyModel, { precision: 'fp32' })
})
afterAll(() => model.close())

/** The plan carried out here, call by call, with the model's parts. */
async function carryOut(plan: SamplingPlan): Promise<Float32Array> {
  const positive = await model.encodePrompt(request.prompt)
  const zeros = ({ shape, data }: { shape: number[]; data: Float32Array }) => ({ shape, data: new Float32Array(data.length) })
  const negative = { ...positive, context: zeros(positive.context), pooled: zeros(positive.pooled) }
  const registers = new Map([['x', start.map((v) => v * plan.initial)]])
  const sum = (terms: readonly Term[]) =>
    Float32Array.from({ length: 1024 }, (_, i) =>
      terms.reduce((total, [coefficient, name]) => total + coefficient * registers.get(name)![i]!, 0),
    )

  for (const { call, writes } of plan.steps) {
    if (call) {
      const { sigma, timestep, input } = call
      const x = sum(input)
      const latents = { shape, data: x.map((v) => v / Math.sqrt(sigma ** 2 + 1)) }
      const predict = async (conditioning: typeof positive) => (await model.predict({ latents, timestep, conditioning })).data
      const [conditional, unconditional] = [await predict(positive), await predict(negative)]
      const noise = unconditional.map((v, i) => v + request.guidance * (conditional[i]! - v))
      registers.set(
        'denoised',
        x.map((v, i) => v - sigma * noise[i]!),
      )
    }
    for (const { register, terms } of writes) registers.set(register, sum(terms))
  }
  return registers.get('x')!
}

test('a sampler of one’s own runs in the engine as its plan says', async () => {
  const plan = samplingPlan('own_heun', sigmas('karras', 5))
  expect(plan.calls).toBe(9)
  const steps: number[] = []
  const job = model.generate({ ...request, noise: { shape, data: start } })
  for await (const event of job) if (event.type === 'step') steps.push(event.step)
  expect(steps).toEqual([1, 2, 3, 4, 5])
  const { images } = await job
  const [wanted] = await model.decode({ shape, data: await carryOut(plan) })
  expect(psnr(images[0]!.data, wanted!.data)).toBeGreaterThan(50)
})
