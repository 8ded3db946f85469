import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkPromptOptions, layoutPrompt } from '../../lib/prompt/index.js'
import { runPlan, samplerHabits, samplerNames, samplingPlan, sigmas, validatePlan } from '../../lib/sampling/index.js'
import { guidancePerCall } from '../../lib/tasks/guidance.js'
import { inpaintPlan, startPlan } from '../../lib/tasks/inpaint-plan.js'
import { refinerFrom } from '../../lib/tasks/refiner-switch.js'

const size = 6
/** Any numbers that depend on the seed and the place. */
const values = (seed: number) => Float64Array.from({ length: size }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233) * 1.7)
const init = values(1)
const start = values(2)
const mask = Float64Array.of(0, 0, 1, 1, 1, 0)
const denoise = (x: Float64Array, sigma: number) => x.map((v, i) => Math.tanh(v / (1 + sigma)) + 0.1 * i)
const noise = (k: number) => values(10 + k)
const begin = (initial: number) => init.map((v, i) => v + initial * start[i]!)
const run = (plan: ReturnType<typeof samplingPlan>) => runPlan(plan, begin(plan.initial), denoise, noise, { init, start, mask })

describe('inpainting', () => {
  // Plain k-diffusion loops around a denoiser that A1111 and ComfyUI wrap; Euler's method.
  const levels = sigmas('karras', 5)
  const euler = (wrap: (x: Float64Array, sigma: number) => Float64Array, after = (x: Float64Array, _: number) => x) => {
    let x: Float64Array = begin(levels[0]!)
    for (let i = 0; i < 5; ++i) {
      const [sigma, next] = [levels[i]!, levels[i + 1]!]
      const denoised = wrap(x, sigma)
      x = after(
        x.map((v, j) => v + ((v - denoised[j]!) / sigma) * (next - sigma)),
        next,
      )
    }
    return x
  }
  const keep = (inside: Float64Array, outside: Float64Array) => inside.map((v, i) => mask[i]! * v + (1 - mask[i]!) * outside[i]!)
  const noisy = (sigma: number) => init.map((v, i) => v + sigma * start[i]!)

  test.each([
    ['a1111', () => euler((x, sigma) => keep(denoise(x, sigma), init))],
    ['comfy', () => euler((x, sigma) => keep(denoise(keep(x, noisy(sigma)), sigma), init))],
    ['diffusers', () => euler(denoise, (x, next) => keep(x, noisy(next)))],
  ] as const)('in the mode %s is what that program computes', (mode, wanted) => {
    const found = run(inpaintPlan(samplingPlan('euler', levels), mode, 0))
    wanted().forEach((v, i) => expect(found[i]).toBeCloseTo(v, 12))
  })

  const modes = ['a1111', 'comfy', 'diffusers'] as const
  test.each(samplerNames().flatMap((name) => modes.map((mode) => [name, mode] as const)))(
    '%s in the mode %s ends with the picture outside of the mask',
    (name, mode) => {
      const found = run(inpaintPlan(samplingPlan(name, sigmas('normal', 6)), mode, 0))
      // ComfyUI's last word is the estimate: samplers whose last step is more than that, or ends at 0.001 in place of 0, come near the picture.
      const near = mode === 'comfy' && /cfg_pp|uni_pc|dpm_fast/.test(name)
      found.forEach((v, i) => mask[i] === 0 && (near ? expect(Math.abs(v - init[i]!)).toBeLessThan(1) : expect(v).toBeCloseTo(init[i]!, 9)))
    },
  )

  test('a mask of ones changes nothing', () => {
    fc.assert(
      fc.property(fc.constantFrom(...samplerNames()), fc.constantFrom(...modes), fc.integer({ min: 1, max: 7 }), (name, mode, steps) => {
        const plan = samplingPlan(name, sigmas('karras', steps))
        const whole = { init, start, mask: new Float64Array(size).fill(1) }
        const found = runPlan(inpaintPlan(plan, mode, 0), begin(plan.initial), denoise, noise, whole)
        const wanted = runPlan(plan, begin(plan.initial), denoise, noise)
        found.forEach((v, i) => expect(v).toBeCloseTo(wanted[i]!, 9))
      }),
      { numRuns: 100 },
    )
  })

  test('starts from noise, from nothing, or from noise alone', () => {
    const plan = samplingPlan('euler', [3, 1, 0])
    const first = (kind: 'noise' | 'nothing' | 'noise alone') => {
      let seen: Float64Array | undefined
      const look = (x: Float64Array, sigma: number) => denoise((seen ??= x.slice()), sigma)
      const started = startPlan(plan, kind)
      validatePlan(started)
      runPlan(started, begin(3), look, noise, { init, start, mask })
      return seen!
    }
    init.forEach((v, i) => {
      expect(first('noise')[i]).toBeCloseTo(mask[i] ? 4 * start[i]! : v + 3 * start[i]!, 12)
      expect(first('nothing')[i]).toBeCloseTo((mask[i] ? 0 : v) + 3 * start[i]!, 12)
      expect(first('noise alone')[i]).toBeCloseTo(3 * start[i]!, 12)
    })
  })
})

describe('guidance by the call', () => {
  test('follows steps, of which some have two calls, and the interval', () => {
    const heun = samplingPlan('heun', sigmas('normal', 4))
    expect(guidancePerCall(heun, [1, 2, 3, 4], [0, 1])).toEqual([1, 1, 2, 2, 3, 3, 4])
    expect(guidancePerCall(heun, 7, [0.25, 0.75])).toEqual([1, 1, 7, 7, 7, 7, 1])
    expect(guidancePerCall(heun, 7, [0.5, 1])).toEqual([1, 1, 1, 1, 7, 7, 7])
  })
})

describe('the refiner takes over', () => {
  test.each([
    // Diffusers with denoising_end 0.6 and 9 leading timesteps, 889, 778, … 1: five are at or above 400 (tools/reference/task_goldens.py).
    ['timesteps', 'ddim_uniform', 9, 0.6, 5],
    ['timesteps', 'normal', 20, 0.8, 16],
    ['timesteps', 'normal', 20, 0, 0],
    ['timesteps', 'normal', 20, 1, 20],
    ['steps', 'karras', 20, 0.8, 16],
    ['steps', 'karras', 7, 0.5, 3],
  ] as const)('by %s of %s, %i steps, at %f: call %i', (by, scheduler, steps, switchAt, call) => {
    expect(refinerFrom(samplingPlan('euler', sigmas(scheduler, steps)), { switchAt, by })).toBe(call)
  })
})

test('samplers that count two calls per step are what A1111 doubles steps for', () => {
  expect(samplerNames().filter((name) => samplerHabits(name).secondOrder)).toEqual(
    expect.arrayContaining(['heun', 'dpmpp_sde', 'dpmpp_2s_a']),
  )
})

test('a second pass goes on with the schedules of a prompt, as in A1111', () => {
  const until = (text: string) =>
    layoutPrompt(text, checkPromptOptions(undefined), { field: 'prompt', negative: false, steps: 10, before: 20 }).subs[0]!.schedule.map(
      ({ until, text }) => [until, text],
    )
  // A1111: with a point (1.5 − 1.0) · 10 steps, a whole number less the 20 steps before.
  expect(until('[a:b:0.5]')).toEqual([[10, 'b']])
  expect(until('[a:b:1.5]')).toEqual([
    [5, 'a'],
    [10, 'b'],
  ])
  expect(until('[a:b:23]')).toEqual([
    [3, 'a'],
    [10, 'b'],
  ])
  expect(until('[a:b:12]')).toEqual([[10, 'b']])
})
