import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { runPlan, type SamplingOptions, samplerNames, samplingPlan, sigmas, sigmaToTimestep } from '../../lib/sampling/index.js'
import { expectClose, golden } from './golden.js'

interface Samplers {
  start: number[]
  noise: number[][]
  sigmas: number[][]
  cases: { sampler: string; sigmas: number; options: SamplingOptions; x: number[] }[]
}
const reference = golden<Samplers>('samplers')

/** As in tools/reference/sampling_tables.py: smooth and nonlinear, another function for every element. */
const denoise = (x: Float64Array, sigma: number) =>
  x.map((v, i) => v / (1 + sigma ** 2) + Math.cos((0.7 * v) / Math.sqrt(1 + sigma ** 2) + 0.5 * i) / (1 + 0.2 * sigma))

const noNoise = (): Float64Array => {
  throw new Error('this plan draws no noise')
}

/** A list of noise levels as users give them, finished or not. */
const levelLists = fc
  .uniqueArray(fc.double({ min: 0.01, max: 20, noNaN: true }), {
    minLength: 2,
    maxLength: 12,
    comparator: (a, b) => Math.abs(a - b) < 1e-3,
  })
  .chain((levels) => fc.boolean().map((finished) => [...levels.sort((a, b) => b - a), ...(finished ? [0] : [])]))

const builtIns = ['euler', 'euler_a', 'dpmpp_2m']

describe('samplers against k-diffusion', () => {
  it.each(reference.cases.map((c) => [`${c.sampler} list ${c.sigmas} ${JSON.stringify(c.options)}`, c] as const))('%s', (_, c) => {
    const levels = reference.sigmas[c.sigmas]!
    const plan = samplingPlan(c.sampler, levels, c.options)
    const start = Float64Array.from(reference.start, (v) => v * plan.initial)
    // Both sides are in double precision and differ in the order of operations only, over at most 25 steps.
    expectClose(
      runPlan(plan, start, denoise, (k) => Float64Array.from(reference.noise[k]!)),
      c.x,
      1e-10,
    )
  })

  it('covers every built-in sampler', () => {
    expect(new Set(reference.cases.map((c) => c.sampler))).toEqual(new Set(builtIns))
    expect(samplerNames().slice(0, builtIns.length)).toEqual(builtIns)
  })
})

describe('every built-in sampler', () => {
  it('makes plain data with finite coefficients and one call per step', () => {
    fc.assert(
      fc.property(fc.constantFrom(...builtIns), levelLists, (sampler, levels) => {
        const plan = samplingPlan(sampler, levels)
        expect(structuredClone(plan)).toEqual(plan)
        expect(plan).toMatchObject({ sampler, calls: levels.length - 1, initial: levels[0] })
        plan.steps.forEach((step, i) => {
          expect(step.index).toBe(i)
          expect(step.call).toEqual({ sigma: levels[i], timestep: sigmaToTimestep(levels[i]!), input: [[1, 'x']] })
          for (const { terms } of step.writes) for (const [coefficient] of terms) expect(Number.isFinite(coefficient)).toBe(true)
        })
      }),
    )
  })

  it('returns the last denoised estimate, without noise, when it ends at 0', () => {
    fc.assert(
      fc.property(fc.constantFrom(...builtIns), levelLists, (sampler, levels) => {
        const plan = samplingPlan(sampler, [...levels.filter((level) => level > 0), 0])
        expect(plan.steps.at(-1)!.writes).toEqual([{ register: 'x', terms: [[1, 'denoised']] }])
      }),
    )
  })

  it('leaves exactly the noise of the last level on a perfectly known picture', () => {
    const picture = [0.3, -1.2, 2]
    fc.assert(
      fc.property(fc.constantFrom('euler', 'dpmpp_2m'), levelLists, (sampler, levels) => {
        const noise = [1, -0.5, 0.25]
        const at = (sigma: number) => Float64Array.from(picture, (v, i) => v + sigma * noise[i]!)
        const x = runPlan(samplingPlan(sampler, levels), at(levels[0]!), () => Float64Array.from(picture), noNoise)
        at(levels.at(-1)!).forEach((wanted, i) => {
          expect(x[i]).toBeCloseTo(wanted, 9)
        })
      }),
    )
  })

  it('does not change the given levels', () => {
    const levels = Object.freeze(sigmas('karras', 5)) as number[]
    for (const sampler of builtIns) expect(() => samplingPlan(sampler, levels)).not.toThrow()
  })
})

describe('euler_a', () => {
  /** Noise registers in the order of their reading. */
  const draws = (levels: number[], options: SamplingOptions = {}) =>
    samplingPlan('euler_a', levels, options).steps.flatMap((step) =>
      step.writes.flatMap(({ terms }) => terms.map(([, register]) => register).filter((register) => register.startsWith('noise:'))),
    )

  it('counts draws from 0 over the steps that add noise', () => {
    expect(draws([4, 3, 2, 1, 0])).toEqual(['noise:0', 'noise:1', 'noise:2'])
    expect(draws([4, 3, 2, 1])).toEqual(['noise:0', 'noise:1', 'noise:2'])
    expect(draws([4, 0])).toEqual([])
    expect(draws([4, 3, 2, 0], { sNoise: 0 })).toEqual([])
  })

  it('with eta 0 is euler', () => {
    fc.assert(
      fc.property(levelLists, (levels) => {
        expect({ ...samplingPlan('euler_a', levels, { eta: 0 }), sampler: 'euler' }).toEqual(samplingPlan('euler', levels))
      }),
    )
  })

  it('keeps the variance: what is left and what is added make the next level', () => {
    fc.assert(
      fc.property(levelLists, fc.double({ min: 0, max: 3, noNaN: true }), (levels, eta) => {
        samplingPlan('euler_a', levels, { eta }).steps.forEach((step, i) => {
          const noise = step.writes[0]!.terms.map(([c, register]) => (register === 'x' ? c * levels[i]! : register === 'denoised' ? 0 : c))
          expect(Math.hypot(...noise)).toBeCloseTo(levels[i + 1]!, 9)
        })
      }),
    )
  })
})

describe('zeroTerminalSnr', () => {
  it('takes timesteps from the table that the levels came from', () => {
    const timesteps = samplingPlan('euler', sigmas('normal', 4, { zeroTerminalSnr: true }), { zeroTerminalSnr: true }).steps.map(
      (step) => step.call!.timestep,
    )
    ;[999, 666, 333, 0].forEach((wanted, i) => {
      expect(timesteps[i]).toBeCloseTo(wanted, 6)
    })
  })
})

describe('samplingPlan', () => {
  const bad: [string, unknown[], RegExp][] = [
    ['an unknown sampler', ['eular', [1, 0]], /one of euler, euler_a, dpmpp_2m.* for sampler, received "eular"/],
    ['a name of Object.prototype', ['constructor', [1, 0]], /for sampler, received "constructor"/],
    ['an unknown option', ['euler_a', [1, 0], { s_noise: 1 }], /Unknown option s_noise; allowed are eta, sNoise/],
    ['an option of another sampler', ['euler', [1, 0], { eta: 1 }], /Unknown option eta/],
    ['options null', ['euler', [1, 0], null], /an object for options, received null/],
    ['eta negative', ['euler_a', [1, 0], { eta: -0.1 }], /at least 0 for eta, received -0.1/],
    ['eta as text', ['euler_a', [1, 0], { eta: '1' }], /for eta, received "1" of type string/],
    ['sNoise not finite', ['euler_a', [1, 0], { sNoise: Infinity }], /for sNoise, received Infinity/],
    ['zeroTerminalSnr as number', ['euler', [1, 0], { zeroTerminalSnr: 1 }], /a boolean for zeroTerminalSnr/],
    ['no list', ['euler', undefined], /an array of at least 2 noise levels for sigmas, received undefined/],
    ['one level', ['euler', [1]], /for sigmas, received an array of 1/],
    ['a rising list', ['euler', [1, 2, 0]], /less than the level before it, 1, for sigmas\[1\], received 2/],
    ['a level twice', ['euler', [2, 1, 1, 0]], /for sigmas\[2\], received 1/],
    ['0 before the end', ['euler', [2, 0, 0]], /only the last may be 0\) for sigmas\[1\], received 0/],
    ['a negative level', ['euler', [2, -1]], /at least 0 for sigmas\[1\], received -1/],
    ['NaN', ['euler', [2, NaN, 0]], /for sigmas\[1\], received NaN/],
    ['Infinity', ['euler', [Infinity, 1, 0]], /for sigmas\[0\], received Infinity/],
    ['a level as text', ['euler', ['2', 1, 0]], /for sigmas\[0\], received "2" of type string/],
  ]
  it.each(bad)('rejects %s', (_, args, message) => {
    const call = () => samplingPlan(...(args as Parameters<typeof samplingPlan>))
    expect(call).toThrow(message)
    expect(call).toThrow(expect.objectContaining({ name: 'SdxlError', code: 'ERR_INVALID_ARGUMENT' }))
  })
})
