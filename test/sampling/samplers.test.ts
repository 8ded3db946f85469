import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  runPlan,
  samplerOptions,
  type SamplingOptions,
  samplerNames,
  samplingPlan,
  sigmas,
  sigmaToTimestep,
} from '../../lib/sampling/index.js'
import { expectClose, golden } from './golden.js'

interface Samplers {
  start: number[]
  noise: number[][]
  sigmas: number[][]
  cases: { sampler: string; sigmas: number; options: SamplingOptions; x: number[] }[]
}
interface UnfinishedCase {
  sampler: string
  levels: number[]
  options: SamplingOptions
  x: number[]
}

/** As in tools/reference/sampling_tables.py: smooth and nonlinear, another function for every element. */
const denoiser = (phase: number) => (x: Float64Array, sigma: number) =>
  x.map((v, i) => v / (1 + sigma ** 2) + Math.cos((0.7 * v) / Math.sqrt(1 + sigma ** 2) + phase * i) / (1 + 0.2 * sigma))
const both = (x: Float64Array, sigma: number) => ({ denoised: denoiser(0.5)(x, sigma), uncond: denoiser(0.8)(x, sigma) })

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

const builtIns = samplerNames()
const { start, noise } = golden<Samplers>('samplers')

/** Both sides are in double precision and differ in the order of operations only; but see `looser`. */
const tolerance = 1e-9
/**
 * These sum or integrate otherwise than the reference: DEIS exactly where it sums 10000 values, SA-Solver and UniPC solve small systems of
 * other variables, ER-SDE's reference keeps the points of its sums in single precision, DPM fast's the differences of nearly equal levels.
 */
const looser: Record<string, number> = { deis: 1e-7, sa_solver: 1e-8, sa_solver_pece: 1e-8, er_sde: 1e-7, dpm_fast: 1e-8 }

function expectCase(levels: number[], { sampler, options, x }: Omit<UnfinishedCase, 'levels'>): void {
  const plan = samplingPlan(sampler, levels, options)
  const scaled = Float64Array.from(start, (v) => v * plan.initial)
  expectClose(
    runPlan(plan, scaled, both, (k) => Float64Array.from(noise[k]!)),
    x,
    looser[sampler] ?? tolerance,
  )
}

describe.each(['samplers', 'samplers-ui'])('%s against the references', (file) => {
  const { sigmas: lists, cases } = golden<Samplers>(file)
  it.each(cases.map((c) => [`${c.sampler} list ${c.sigmas} ${JSON.stringify(c.options)}`, c] as const))('%s', (_, c) => {
    expectCase(lists[c.sigmas]!, c)
  })
})

describe.each(['samplers-diffusers', 'samplers-a1111'])('%s against the references', (file) => {
  const cases = golden<UnfinishedCase[]>(file)
  it.each(cases.map((c) => [`${c.sampler} ${c.levels.length} ${JSON.stringify(c.options)}`, c] as const))('%s', (_, c) => {
    expectCase(c.levels, c)
  })
})

it('covers every built-in sampler', () => {
  const cases = [
    ...['samplers', 'samplers-ui'].flatMap((file) => golden<Samplers>(file).cases),
    ...['samplers-diffusers', 'samplers-a1111'].flatMap((file) => golden<UnfinishedCase[]>(file)),
  ]
  expect(new Set(cases.map((c) => c.sampler))).toEqual(new Set(builtIns))
})

/** Samplers that end at the lowest level of the list above 0, or close to 0, instead of at the estimate. */
const endAbove = ['uni_pc', 'uni_pc_bh2', 'dpm_fast']

describe('every built-in sampler', () => {
  it('makes plain data that says how often the model is called', () => {
    fc.assert(
      fc.property(fc.constantFrom(...builtIns), levelLists, (sampler, levels) => {
        const plan = samplingPlan(sampler, levels)
        expect(structuredClone(plan)).toEqual(plan)
        expect(plan).toMatchObject({ sampler, calls: plan.steps.length, initial: levels[0] })
        // The user's steps, each called for at least once.
        expect(new Set(plan.steps.map((step) => step.index))).toEqual(new Set(levels.slice(1).keys()))
        for (const step of plan.steps) {
          expect(step.call!.timestep).toBe(sigmaToTimestep(step.call!.sigma))
          for (const { terms } of step.writes) for (const [coefficient] of terms) expect(Number.isFinite(coefficient)).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('returns the last denoised estimate, without noise, when it ends at 0', () => {
    fc.assert(
      fc.property(fc.constantFrom(...builtIns.filter((name) => !endAbove.includes(name))), levelLists, (sampler, levels) => {
        const plan = samplingPlan(sampler, [...levels.filter((level) => level > 0), 0])
        expect(plan.steps.at(-1)!.writes.at(-1)).toEqual({ register: 'x', terms: [[1, 'denoised']] })
        // One call for that step also of samplers with two; only PECE evaluates its corrected point again.
        if (sampler !== 'sa_solver_pece') expect(plan.steps.filter((step) => step.index === plan.steps.at(-1)!.index)).toHaveLength(1)
      }),
      { numRuns: 500 },
    )
  })

  it('takes one step, to 0 or not', () => {
    for (const sampler of builtIns) {
      const [calls, ends] = [samplingPlan(sampler, [7, 0]).calls, samplingPlan(sampler, [7, 2])]
      expect([sampler, calls]).toEqual([sampler, 1])
      expect(ends.calls).toBeGreaterThanOrEqual(1)
    }
  })

  it('leaves exactly the noise of the last level on a perfectly known picture, where none is renewed', () => {
    const picture = [0.3, -1.2, 2]
    // Consistency samplers only know fresh noise, ER-SDE without its noise keeps less than a level's, and
    // the weights of ipndm_v and deis do not quite add up.
    const without = builtIns.filter((name) => !['lcm', 'restart', 'er_sde', 'ipndm_v', 'deis'].includes(name))
    fc.assert(
      fc.property(fc.constantFrom(...without), levelLists, (sampler, levels) => {
        const start = [1, -0.5, 0.25]
        const at = (sigma: number) => Float64Array.from(picture, (v, i) => v + sigma * start[i]!)
        const options = 'eta' in samplerOptions(sampler)! ? { eta: 0 } : 'sNoise' in samplerOptions(sampler)! ? { sNoise: 0 } : {}
        const x = runPlan(samplingPlan(sampler, levels, options), at(levels[0]!), () => Float64Array.from(picture), noNoise)
        let end = levels.at(-1)!
        if (end === 0 && sampler.startsWith('uni_pc')) end = 0.001
        if (end === 0 && sampler === 'dpm_fast' && levels.length > 2) end = levels.at(-2)!
        at(end).forEach((wanted, i) => {
          expect(x[i]).toBeCloseTo(wanted, 7)
        })
      }),
      { numRuns: 500 },
    )
  })

  it('keeps to levels above and below those of the training', () => {
    for (const sampler of builtIns) {
      for (const levels of [
        [300, 40, 1e-3, 1e-4, 0],
        [0.02, 0.01, 0.0005],
      ]) {
        const plan = samplingPlan(sampler, levels)
        const x = runPlan(plan, Float64Array.of(plan.initial), denoiser(0.5), () => Float64Array.of(1))
        expect([sampler, Number.isFinite(x[0])]).toEqual([sampler, true])
      }
    }
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

describe('restart', () => {
  it.each([
    ['goes up from the level nearest to 0.1', 0.03, [2.25]],
    ['goes up from 0, where no level is nearer to 0.1', 0.5, [1.65]],
  ])('%s', (_, sigmaMin, tops) => {
    const plan = samplingPlan('restart', sigmas('karras', 20, { sigmaMin }))
    // Of a picture that is known to be 0 x is noise alone, in a direction of its own for every draw.
    const direction = (k: number) => Float64Array.from({ length: 3 }, (_, i) => (i === k ? 1 : 0))
    const levels: number[] = []
    const denoise = (x: Float64Array, sigma: number) => {
      expect(Math.hypot(...x)).toBeCloseTo(sigma, 9)
      levels.push(sigma)
      return new Float64Array(3)
    }
    const start = direction(2).map((v) => v * plan.initial)
    expect([...runPlan(plan, start, denoise, direction)]).toEqual([0, 0, 0])
    const raised = levels.filter((level, i) => i > 0 && level > levels[i - 1]!)
    expect(raised.map((level) => Number(level.toFixed(2)))).toEqual(tops)
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
    ['an unknown sampler', ['eular', [1, 0]], /one of euler, euler_a, .*dpmpp_2m.* for sampler, received "eular"/],
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
