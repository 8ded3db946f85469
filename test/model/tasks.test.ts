import { afterAll, describe, expect, test } from 'vitest'
import type { NativeEngine, NativeGenerate, NativeRefiner } from '../../bindings/addon.js'
import type { PlanStep, SamplingPlan, Write } from '../../lib/index.js'
import { encodePlan } from '../../lib/sampling/encode-plan.js'
import { tinyCheckpoint } from '../support/checkpoints.mjs'
import { psnr, relativeError } from '../support/measures.js'
import { branchesOf, draw, latentsRequest, loadRequest, newEngine } from '../support/native-request.js'
import { goldenFile, type TaskCase, taskGoldens } from '../support/task-goldens.js'

// The goldens are computed in float64. What the engine's fp32 networks round adds up over the calls: up to 1.5e-5 of the largest latent, found
// with zero terminal SNR, whose first step goes from σ = 4096 to 13. Small mistakes show: a guidance of 1.5 for 2 in the last of six calls gives
// 1.7e-4, a level 0.1 % off 6e-4, the score of the other branch in the refiner 6e-4.
const latentTolerance = 5e-5
// Of bytes, of which such differences turn a few by 1: found are 78 dB and more.
const pictureDecibels = 60

// What Diffusers' pipelines draw (tools/reference/task_goldens.py), drawn by the engine from plans written down here.
interface Case extends TaskCase {
  initial: number
  sigmas: number[]
  timesteps: number[]
  /** Inpainting: the start is noise alone. */
  whole?: boolean
  refiner?: { spec: string; seed: number; from: number; sizes: number[][] }
}

type Variation = { seed: number; other: number; strength: number }
const { cases, golden } = taskGoldens<Record<string, Case> & { variation: Variation }>('tasks')

const engines = new Map<string, Promise<{ engine: NativeEngine; scale: number }>>()

function engineFor({ spec, vae, refiner }: Pick<Case, 'spec' | 'vae' | 'refiner'>) {
  const key = `${spec} ${vae} ${refiner?.spec}`
  const known = engines.get(key)
  if (known) return known
  const engine = newEngine()
  const parts = {
    vae: goldenFile(vae) ?? '',
    refiner: refiner ? tinyCheckpoint(refiner.spec, { seed: refiner.seed }) : '',
  }
  const loaded = engine.load(loadRequest(tinyCheckpoint(spec), parts)).then(({ scale }) => ({ engine, scale }))
  engines.set(key, loaded)
  return loaded
}
afterAll(async () => {
  for (const loaded of engines.values()) await (await loaded).engine.close()
})

/** Euler's method over the levels of the case; `keep`: what lies outside the mask returns to the picture's own after each step. */
function eulerPlan({ sigmas, timesteps, initial, whole }: Case, keep: boolean): SamplingPlan {
  const steps: PlanStep[] = timesteps.map((timestep, index) => {
    const [sigma, next] = [sigmas[index]!, sigmas[index + 1]!]
    const step: Write = { register: 'x', terms: [[next / sigma, 'x'], [1 - next / sigma, 'denoised']] } // prettier-ignore
    const write: Write = keep ? { ...step, outside: [[1, 'init'], [next, 'start']] } : step // prettier-ignore
    return { index, call: { sigma, timestep, input: [[1, 'x']] }, writes: [write] }
  })
  if (keep && whole) steps.unshift({ index: 0, writes: [{ register: 'x', terms: [[initial, 'start']] }] })
  return { sampler: 'euler', calls: timesteps.length, steps, initial }
}

async function requestOf(name: string, given: Case): Promise<NativeGenerate> {
  const { engine, scale } = await engineFor(given)
  const { width, height, guidance, refiner } = given
  const picture = { width, height, data: golden.picture!.data as Uint8Array }
  const mask = (golden[`${name}.mask`]?.data as Float32Array | undefined) ?? null
  const area = golden[`${name}.area`]?.data as Uint8Array | undefined
  const own = given.spec === 'tiny-inpaint' // the model itself reads what lies outside
  const keep = mask !== null && !own
  const fromPicture = name === 'img2img' || name === 'taesd' || keep || (area && !given.whole)
  const hidden = area?.map((value) => (value < 128 ? 0 : 1))
  const calls = given.timesteps.length
  let refined: NativeRefiner | null = null
  if (refiner) {
    const { prompts, branches } = branchesOf(given, guidance, calls, { from: refiner.from })
    refined = { from: refiner.from, prompts, branches, sizes: Float32Array.from(refiner.sizes.flat()) }
  }
  const { prompts, branches } = branchesOf(given, guidance, calls, { to: refiner?.from })
  return latentsRequest({
    prompts,
    branches,
    rescale: given.rescale,
    projection: given.projection,
    plan: encodePlan(eulerPlan(given, keep)),
    height: height / scale,
    width: width / scale,
    seeds: Float64Array.of(given.seed),
    rng: 'torch-cpu',
    init: fromPicture ? await engine.encodeImage(picture) : null,
    mask: keep ? mask : null,
    extra: own ? Float32Array.from([...mask!, ...(await engine.encodeImage({ ...picture, hidden }))]) : null,
    sizes: Float32Array.of(height, width, 0, 0, height, width),
    refiner: refined,
  })
}

const { variation, ...pictures } = cases

describe.each(Object.entries(pictures))('as Diffusers: %s', (name, given) => {
  test('latents, and the picture', async () => {
    const { engine } = await engineFor(given)
    const request = await requestOf(name, given)
    const { latents, rgb } = await draw(engine, request)
    expect(rgb).toEqual([])
    expect(relativeError(latents!, golden[`${name}.latents`]!.data)).toBeLessThan(latentTolerance)
    const decoded = await draw(engine, { ...request, output: 'images' })
    expect(decoded.latents).toBeUndefined()
    expect(psnr(decoded.rgb[0]!, golden[`${name}.rgb`]!.data)).toBeGreaterThan(pictureDecibels)
  })
})

describe('variation', () => {
  const [, channels, height, width] = [1, 4, 6, 5]
  // A plan without a step: its result is the start noise.
  const noise = (seed: number, other?: number, strength = variation.strength, count = 1) =>
    engineFor({ spec: 'tiny-a' }).then(async ({ engine }) => {
      const seeds = (first: number) => Float64Array.from({ length: count }, (_, i) => first + i)
      const plan = Float64Array.of(5, 0, 1)
      const given = other === undefined ? null : { seeds: seeds(other), strength }
      const request = latentsRequest({
        prompts: [],
        branches: [],
        plan,
        height,
        width,
        seeds: seeds(seed),
        rng: 'torch-cpu',
        variation: given,
      })
      return (await draw(engine, request)).latents!
    })

  test("mixes two seeds' noise as A1111 does", async () => {
    const found = await noise(variation.seed, variation.other)
    expect(found.length).toBe(channels! * height! * width!)
    // Both are fp32; the golden's arc cosine too, which loses some of it where columns are nearly parallel.
    expect(relativeError(found, golden['variation.noise']!.data)).toBeLessThan(1e-5)
  })

  test('of strength 0 changes nothing, of strength 1 is the other seed, with the same seed is that', async () => {
    const [own, other] = [await noise(1), await noise(2)]
    expect(await noise(1, 2, 0)).toEqual(own)
    expect(relativeError(await noise(1, 2, 1), other)).toBeLessThan(1e-6)
    expect(relativeError(await noise(1, 1, 0.4), own)).toBeLessThan(1e-6)
    expect(relativeError(own, other)).toBeGreaterThan(0.1)
  })

  test('mixes each picture with a seed of its own', async () => {
    const both = await noise(1, 10, 0.3, 2)
    expect(both.slice(both.length / 2)).toEqual(await noise(2, 11, 0.3))
  })
})
