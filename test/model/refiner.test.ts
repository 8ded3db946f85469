import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { NativeEngine, NativeGenerate, NativeLoad } from '../../bindings/addon.js'
import type { SamplingPlan } from '../../lib/index.js'
import { encodePlan } from '../../lib/sampling/encode-plan.js'
import { specs } from '../../tools/checkpoint/specs.mjs'
import { parameterCounts, synthesizeCheckpoint } from '../../tools/synthesize-checkpoint.mjs'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { temporaryFolder } from '../support/files.js'
import { kohya } from '../support/lora-drawing.js'
import { relativeError } from '../support/measures.js'
import { branchesOf, draw, latentsRequest, loadRequest, newEngine } from '../support/native-request.js'
import { rewriteTensors, tensorBytes } from '../support/tensor-bytes.js'

// Whole pictures are compared with Diffusers' in tasks.test.ts.
const folder = temporaryFolder()
const base = tinyCheckpoint('tiny-a')
const refiner = tinyCheckpoint('tiny-refiner')
const texts = { prompt: 'a red fox', negativePrompt: 'blurry' }
const [height, width, calls] = [5, 6, 3]

/** Euler's method from σ = 4 in three steps. */
const plan: SamplingPlan = {
  sampler: 'euler',
  calls,
  initial: 4,
  steps: [4, 2, 1].map((sigma, index) => {
    const ratio = [0.5, 0.5, 0][index]!
    const call = { sigma, timestep: 800 - 200 * index, input: [[1, 'x']] as [number, string][] }
    return { index, call, writes: [{ register: 'x', terms: [[ratio, 'x'], [1 - ratio, 'denoised']] }] } // prettier-ignore
  }),
}

const open: NativeEngine[] = []
afterAll(() => Promise.all(open.map((engine) => engine.close())))

async function load(path: string, rest: Partial<NativeLoad> = {}) {
  const engine = newEngine()
  open.push(engine)
  const info = await engine.load(loadRequest(path, rest))
  return { engine, info }
}
const failure = (rest: Partial<NativeLoad>) =>
  load(base, rest).then(
    () => undefined,
    (error: unknown) => error as { code: string; message: string; details: Record<string, unknown> },
  )

async function latents(engine: NativeEngine, from: number | null, rest: Partial<NativeGenerate> = {}) {
  const branches = (part: Parameters<typeof branchesOf>[3]) => branchesOf(texts, 3, calls, part)
  const own = from === null ? null : branches({ from })
  const sizes = own && Float32Array.from(own.branches.flatMap(({ unconditional }) => [64, 64, 0, 0, unconditional ? 2.5 : 6]))
  const { prompts, branches: list } = branches({ to: from ?? calls })
  const request = latentsRequest({
    prompts,
    branches: list,
    plan: encodePlan(plan),
    height,
    width,
    seeds: Float64Array.of(9),
    refiner: own && { from: from!, prompts: own.prompts, branches: own.branches, sizes: sizes! },
    ...rest,
  })
  return (await draw(engine, request)).latents!
}

test('calls before the hand-over are the base model’s, those behind it the refiner’s', async () => {
  const { engine } = await load(base, { refiner })
  const all = await Promise.all([0, 1, 2, 3].map((from) => latents(engine, from)))
  expect(await latents(engine, null)).toEqual(all[3])
  for (const [i, one] of all.entries()) for (const other of all.slice(i + 1)) expect(relativeError(one, other)).toBeGreaterThan(1e-3)
})

test('LoRAs act on the base alone', async () => {
  const { engine } = await load(base, { refiner })
  const loras = [{ path: kohya, name: '', unet: 1, textEncoder: 1 }]
  expect(await latents(engine, 0, { loras })).toEqual(await latents(engine, 0))
  expect(relativeError(await latents(engine, 2, { loras }), await latents(engine, 2))).toBeGreaterThan(1e-4)
})

test('its weights count: in memory, against the budget, and in progress', async () => {
  const alone = (await load(base)).info
  const phases = new Map<string, number>()
  const engine = newEngine()
  open.push(engine)
  const both = await engine.load(loadRequest(base, { refiner }), undefined, ({ phase, loaded }) => phases.set(phase, loaded))
  expect([alone.hasRefiner, both.hasRefiner]).toEqual([false, true])
  const { unet, textEncoder2 } = parameterCounts('tiny-refiner')
  const added = both.weightBytes - alone.weightBytes
  // Packed rows are filled up to whole panels, which is much for a network so small.
  expect(added / (4 * (unet + textEncoder2))).toBeGreaterThan(1)
  expect(added / (4 * (unet + textEncoder2))).toBeLessThan(1.3)
  expect([...phases.keys()]).toEqual(expect.arrayContaining(['unet', 'refiner_text_encoder_2', 'refiner_unet', 'ready']))
  expect(phases.get('refiner_unet')! / phases.get('ready')!).toBeGreaterThan(0.9)
  const memoryBudget = Math.ceil(alone.weightBytes + added / 2)
  expect(await failure({ memoryBudget })).toBeUndefined()
  expect(await failure({ memoryBudget, refiner })).toMatchObject({ code: 'ERR_OUT_OF_MEMORY', details: { limit: memoryBudget } })
})

test('it predicts what its own file says, v or epsilon', async () => {
  const v = join(folder, 'v-refiner.safetensors')
  synthesizeCheckpoint({ ...specs['tiny-refiner']!, prediction: 'v' }, v, { dtype: 'f32' })
  const once = { ...plan, calls: 1, steps: plan.steps.slice(2) } // x₀ = D(x; 1)
  const [sigma, start] = [1, { ...plan, calls: 0, steps: [] }]
  const one = async (path: string) => {
    const { engine } = await load(base, { refiner: path })
    const { prompts, branches } = branchesOf(texts, 1, 1)
    const own = { from: 0, prompts, branches, sizes: Float32Array.of(64, 64, 0, 0, 6) }
    const common = { prompts, branches, height, width, seeds: Float64Array.of(9) }
    const x = (await draw(engine, latentsRequest({ ...common, branches: [], plan: encodePlan(start) }))).latents!
    return { x, denoised: (await draw(engine, latentsRequest({ ...common, plan: encodePlan(once), refiner: own }))).latents! }
  }
  const [epsilon, velocity] = [await one(refiner), await one(v)]
  // Both have the same weights, so the network's prediction is the same.
  const wanted = epsilon.x.map((x, i) => x / (sigma ** 2 + 1) - ((x - epsilon.denoised[i]!) / sigma) * (sigma / Math.sqrt(sigma ** 2 + 1)))
  expect(relativeError(velocity.denoised, wanted)).toBeLessThan(1e-5)
})

describe('what is no refiner for this model is told', () => {
  const rest = (keep: (name: string) => boolean) => {
    const path = join(folder, 'part.safetensors')
    const { tensors } = tensorBytes(refiner)
    rewriteTensors(path, Object.fromEntries(Object.entries(tensors).filter(([name]) => keep(name))))
    return path
  }
  test('a base model', async () => {
    const error = await failure({ refiner: base })
    expect(error).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED', details: { path: base, field: 'refiner' } })
    expect(error?.message).toMatch(/two text encoders.* reads 6 size numbers/)
  })
  test('a file that lacks a part or a tensor', async () => {
    const lacking = await failure({ refiner: rest((name) => !name.startsWith('conditioner.')) })
    expect(lacking).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { missing: ['text_encoder_2'] } })
    const broken = await failure({ refiner: rest((name) => name !== 'model.diffusion_model.out.0.weight') })
    expect(broken).toMatchObject({ code: 'ERR_MODEL_FORMAT', details: { count: 1 } })
    expect(await failure({ refiner: join(folder, 'absent.safetensors') })).toMatchObject({ code: 'ERR_MODEL_NOT_FOUND' })
  })
  test('its VAE is not needed', async () => {
    expect(await failure({ refiner: rest((name) => !name.startsWith('first_stage_model.')) })).toBeUndefined()
  })
  test('one for other latents', async () => {
    const path = join(folder, 'eight.safetensors')
    const spec = specs['tiny-refiner']!
    const unet = { ...spec.unet, in_channels: 8, out_channels: 8 }
    synthesizeCheckpoint({ ...spec, name: 'eight', unet, vae: { ...spec.vae, latent_channels: 8 } }, path)
    expect(await failure({ refiner: path })).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED', details: { found: 8, wanted: 4 } })
  })
  test('one of other noise levels', async () => {
    const path = join(folder, 'edm.safetensors')
    const { tensors } = tensorBytes(refiner)
    rewriteTensors(path, { ...tensors, edm_mean: { dtype: 'F32', shape: [1], bytes: Buffer.alloc(4) } })
    expect(await failure({ refiner: path })).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED', details: { path, tensor: 'edm_mean' } })
  })
})

test('the option `prediction` outranks what the file says', async () => {
  const says = tinyCheckpoint('tiny-v') // tiny-a's weights with a marker
  const drawn = async (path: string, rest: Partial<NativeLoad>) => {
    const { engine, info } = await load(path, rest)
    return { prediction: info.prediction, latents: await latents(engine, null) }
  }
  const [epsilon, v] = [await drawn(base, {}), await drawn(says, {})]
  expect([epsilon.prediction, v.prediction]).toEqual(['epsilon', 'v'])
  expect(await drawn(says, { prediction: 'epsilon' })).toEqual(epsilon)
  expect(await drawn(base, { prediction: 'v' })).toEqual(v)
  expect(relativeError(epsilon.latents, v.latents)).toBeGreaterThan(0.01)
})

// lib/ asks for none of these; the engine must not read memory that is not there.
test('a request that lacks what it needs is refused', async () => {
  const { engine, info } = await load(tinyCheckpoint('tiny-inpaint'))
  expect([info.latentChannels, info.inChannels]).toEqual([4, 9])
  const extra = new Float32Array(5 * height * width)
  const refused = (rest: Partial<NativeGenerate>, message: RegExp) =>
    expect(latents(engine, null, { extra, ...rest })).rejects.toMatchObject({
      code: 'ERR_INTERNAL',
      message: expect.stringMatching(message) as string,
    })
  await expect(latents(engine, null, { extra })).resolves.toHaveLength(4 * height * width)
  await refused({ extra: null }, /extra/)
  await refused({ extra: extra.slice(1) }, /extra/)
  await refused({ branches: [] }, /branches/)
  await refused({ init: new Float32Array(7) }, /init/)
  const write = (terms: [number, string][], outside?: [number, string][]) =>
    encodePlan({ ...plan, calls: 0, steps: [{ index: 0, writes: [{ register: 'x', terms, ...(outside ? { outside } : {}) }] }] })
  await refused({ plan: write([[1, 'init']]), branches: [] }, /init/)
  await refused({ plan: write([[1, 'x']], [[1, 'start']]), branches: [] }, /mask/)
  await refused({ plan: write([[1, 'x']]).with(6, 3), branches: [] }, /plan/) // writes 'init'
  await refused({ refiner: { from: 0, prompts: [], branches: [], sizes: new Float32Array() } }, /refiner/)
})
