import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  noiseTable,
  type SigmasOptions,
  sigmas,
  sigmaToTimestep,
  scheduleNames,
  timestepsToSigmas,
  timestepToSigma,
} from '../../lib/sampling/index.js'
import { expectClose, golden } from './golden.js'

// The reference is in double precision too, but keeps timesteps in single precision: up to 3e-5 of a timestep, of which one step of the
// table is worth at most 0.35 in log σ. A wrong formula, index or rounding is off by 1e-3 and more.
const tolerance = 1e-5

describe('noise table', () => {
  type Table = Record<'every37' | 'sigma' | 'timestep' | 'time' | 'level', number[]> & { last: number }
  const tables = golden<Record<'standard' | 'zeroTerminalSnr', Table>>('noise-table')

  it.each(['standard', 'zeroTerminalSnr'] as const)('%s equals k-diffusion', (name) => {
    const wanted = tables[name]
    const table = noiseTable(name === 'zeroTerminalSnr')
    // The zero-terminal table subtracts nearly equal numbers twice, so double precision leaves 1e-9.
    expectClose([table.sigmaMax], [wanted.last], 1e-9)
    expectClose(
      wanted.every37.map((_, i) => table.timestepToSigma(37 * i)),
      wanted.every37,
      1e-9,
    )
    // No single precision on this way round.
    wanted.timestep.forEach((timestep, i) => {
      expect(table.sigmaToTimestep(wanted.sigma[i]!)).toBeCloseTo(timestep, 8)
    })
    expectClose(
      wanted.time.map((time) => table.timestepToSigma(time)),
      wanted.level,
      tolerance,
    )
  })

  it('has the known ends', () => {
    expect(timestepToSigma(999)).toBeCloseTo(14.6146, 4)
    expect(timestepToSigma(0)).toBeCloseTo(0.0292, 4)
    expect(noiseTable(true).sigmaMax).toBeCloseTo(4518.8, 1)
  })

  it('takes the nearer end outside the table', () => {
    expect([sigmaToTimestep(0), sigmaToTimestep(0.001), sigmaToTimestep(15), sigmaToTimestep(Infinity)]).toEqual([0, 0, 999, 999])
    expect(timestepToSigma(-3)).toBe(timestepToSigma(0))
    expect(timestepToSigma(2000)).toBe(timestepToSigma(999))
    for (const bad of [NaN, -1]) expect(() => sigmaToTimestep(bad)).toThrow(/sigma, received/)
    expect(() => timestepToSigma(NaN)).toThrow(/timestep, received/)
  })

  it('is its own inverse, fractions included', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 999, noNaN: true }), (timestep) => {
        expect(sigmaToTimestep(timestepToSigma(timestep))).toBeCloseTo(timestep, 7)
      }),
    )
  })
})

describe('sigmas', () => {
  type Case = { scheduler: string; steps: number; options: SigmasOptions; sigmas: number[] }
  const cases = ['schedules', 'schedules-ui'].flatMap((file) => golden<Case[]>(file))

  it.each(cases.map((c) => [`${c.scheduler} ${c.steps} ${JSON.stringify(c.options)}`, c] as const))('%s equals the reference', (_, c) => {
    expectClose(sigmas(c.scheduler, c.steps, c.options), c.sigmas, tolerance)
  })

  const withRange = ['normal', 'karras', 'exponential', 'polyexponential', 'sgm_uniform', 'beta', 'kl_optimal']
  const most: Record<string, number> = { turbo: 10, lcm: 50, simple: 1000, trailing: 1000, ddim_uniform: 999 }

  it('covers every schedule', () => {
    expect(new Set(cases.map((c) => c.scheduler))).toEqual(new Set(scheduleNames()))
  })

  it('of one step is the highest level and 0', () => {
    for (const scheduler of scheduleNames()) {
      const levels = sigmas(scheduler, 1)
      // The published tables have their own top; the lowest of evenly spaced timesteps is where "ddim_uniform" begins.
      const top = scheduler === 'ddim_uniform' ? timestepToSigma(1) : timestepToSigma(999)
      expect(Math.abs(levels[0]! / top - 1)).toBeLessThan(5e-5)
      expect(levels.slice(1)).toEqual([0])
    }
  })

  it('keeps the given range', () => {
    for (const scheduler of withRange) {
      const levels = sigmas(scheduler, 7, { sigmaMin: 0.3, sigmaMax: 9 })
      expect(levels[0]).toBeCloseTo(9, 10)
      if (scheduler !== 'sgm_uniform') expect(levels.at(-2)).toBeCloseTo(0.3, 10)
    }
    expect(sigmas('linear_quadratic', 7, { sigmaMax: 9 })[0]).toBe(9)
  })

  it('begins at the top of the table for zero terminal SNR', () => {
    for (const scheduler of scheduleNames().filter((name) => !['ddim_uniform', 'ays', 'gits'].includes(name))) {
      expect(sigmas(scheduler, 8, { zeroTerminalSnr: true })[0]).toBeCloseTo(4518.76, 2)
    }
  })

  it('has steps + 1 descending levels, the last 0', () => {
    const range = fc.record({
      sigmaMin: fc.double({ min: 0.03, max: 1, noNaN: true }),
      sigmaMax: fc.double({ min: 1.1, max: 14.6, noNaN: true }),
    })
    fc.assert(
      fc.property(
        fc.constantFrom(...scheduleNames()),
        fc.integer({ min: 1, max: 300 }),
        range,
        fc.boolean(),
        (scheduler, wanted, given, zero) => {
          const steps = Math.min(wanted, most[scheduler] ?? wanted)
          const levels = sigmas(scheduler, steps, { ...(withRange.includes(scheduler) ? given : {}), zeroTerminalSnr: zero })
          expect(levels.length).toBe(steps + 1)
          expect(levels.at(-1)).toBe(0)
          for (let i = 1; i < levels.length; ++i) expect(levels[i]!).toBeLessThan(levels[i - 1]!)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('says where there are no more levels', () => {
    for (const [scheduler, steps] of Object.entries(most)) {
      expect(sigmas(scheduler, steps)).toHaveLength(steps + 1)
      const message = new RegExp(`at most ${steps} for steps with the scheduler "${scheduler}", received ${steps + 1}`)
      expect(() => sigmas(scheduler, steps + 1)).toThrow(message)
      expect(() => sigmas(scheduler, steps + 1)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
    }
  })

  const bad: [string, unknown[], RegExp][] = [
    ['an unknown scheduler', ['linear', 4], /one of .*normal.*ays.* for scheduler, received "linear"/],
    ['no scheduler', [undefined, 4], /scheduler, received undefined/],
    ['no steps', ['karras', 0], /an integer from 1 to 10000 for steps, received 0 of type number/],
    ['half a step', ['karras', 2.5], /for steps, received 2.5/],
    ['steps as text', ['karras', '4'], /for steps, received "4" of type string/],
    ['steps beyond memory', ['karras', 1e9], /for steps, received 1000000000/],
    [
      'an unknown option',
      ['karras', 4, { sigma_min: 1 }],
      /Unknown option sigma_min; allowed are sigmaMin, sigmaMax, rho, zeroTerminalSnr/,
    ],
    ['an option of another scheduler', ['normal', 4, { rho: 7 }], /Unknown option rho/],
    ['a range where levels are given', ['simple', 4, { sigmaMin: 0.1 }], /Unknown option sigmaMin; allowed are zeroTerminalSnr/],
    ['a lowest level that is not used', ['linear_quadratic', 4, { sigmaMin: 0.1 }], /Unknown option sigmaMin/],
    ['options null', ['karras', 4, null], /for options, received null/],
    ['rho 0', ['karras', 4, { rho: 0 }], /a positive finite number for rho, received 0/],
    ['rho not finite', ['karras', 4, { rho: Infinity }], /for rho, received Infinity/],
    ['sigmaMin negative', ['karras', 4, { sigmaMin: -1 }], /for sigmaMin, received -1/],
    ['sigmaMax NaN', ['normal', 4, { sigmaMax: NaN }], /for sigmaMax, received NaN/],
    ['a range upside down', ['karras', 4, { sigmaMin: 3, sigmaMax: 2 }], /less than sigmaMax, 2, for sigmaMin, received 3/],
    ['zeroTerminalSnr as text', ['karras', 4, { zeroTerminalSnr: 'yes' }], /a boolean for zeroTerminalSnr/],
    ['a level above the table', ['normal', 4, { sigmaMax: 20 }], /at most 14\.6\d+ with the scheduler "normal" for sigmaMax, received 20/],
    ['a level below the table', ['normal', 4, { sigmaMin: 0.01 }], /at least 0\.029\d+ with the scheduler "normal" for sigmaMin/],
    ['a rho that overflows', ['karras', 4, { rho: 1e-3 }], /gives no descending levels/],
    ['a range without width', ['karras', 4, { sigmaMin: 1, sigmaMax: 1 + 1e-15 }], /gives no descending levels/],
  ]
  it.each(bad)('rejects %s', (_, args, message) => {
    const call = () => sigmas(...(args as Parameters<typeof sigmas>))
    expect(call).toThrow(message)
    expect(call).toThrow(expect.objectContaining({ name: 'SdxlError', code: 'ERR_INVALID_ARGUMENT' }))
  })
})

describe('timestepsToSigmas', () => {
  it('is the levels of the timesteps, and 0', () => {
    expect(timestepsToSigmas([999, 500.5, 0])).toEqual([timestepToSigma(999), timestepToSigma(500.5), timestepToSigma(0), 0])
    expect(timestepsToSigmas([999, 749, 499, 249])).toEqual(sigmas('trailing', 4))
    expect(timestepsToSigmas([999], { zeroTerminalSnr: true })).toEqual(sigmas('normal', 1, { zeroTerminalSnr: true }))
  })

  it.each([
    [[[]], /an array of at least 1 timesteps for timesteps/],
    [[undefined], /for timesteps, received undefined/],
    [[[1000]], /a number from 0 to 999 for timesteps\[0\], received 1000/],
    [[[9, NaN]], /for timesteps\[1\], received NaN/],
    [[[9, 9]], /less than the timestep before it, 9, for timesteps\[1\]/],
    [[[9], { rho: 1 }], /Unknown option rho/],
  ])('rejects %j', (args, message) => {
    expect(() => timestepsToSigmas(...(args as Parameters<typeof timestepsToSigmas>))).toThrow(message)
  })
})
