import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePrompt } from '../../lib/prompt/index.js'

const soup = fc
  .array(
    fc.constantFrom(
      ...['(', ')', '[', '[', ']', ']', ':', '|', '\\', '#', '\n', ' ', 'a', '漢', '😀', '\ufeff', '\ud800'],
      ...['BREAK', ' AND ', '1.5', ':1.2)', ':-0.5)', ':3]', ':.5]', '[a|', '<lora:x:1>', '<', '>', '<y:', ':2', '='],
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''))

describe('any text', () => {
  it('gives entries up to the last step, with weights that are numbers and remarks that lie in the text', () => {
    const options = fc.record({ steps: fc.integer({ min: 1, max: 12 }), negative: fc.boolean(), comments: fc.boolean() })
    fc.assert(
      fc.property(soup, options, (text, given) => {
        const { subs, diagnostics } = parsePrompt(text, given)
        expect(subs.length).toBeGreaterThan(0)
        for (const { weight, schedule } of subs) {
          expect(weight).toBeTypeOf('number')
          const untils = schedule.map((entry) => entry.until)
          expect(untils).toEqual([...new Set(untils)].sort((a, b) => a - b))
          expect(untils.at(-1)).toBe(given.steps)
          expect(untils[0]).toBeGreaterThan(0)
          for (const { pieces } of schedule) {
            expect(pieces.length).toBeGreaterThan(0)
            for (const piece of pieces) expect(piece.weight).not.toBeNaN()
          }
        }
        for (const { code, offset, length } of diagnostics) {
          if (code === 'W_MORE') continue
          expect(offset).toBeGreaterThanOrEqual(0)
          expect(length).toBeGreaterThan(0)
          expect(offset! + length!).toBeLessThanOrEqual(text.length)
        }
        const places = diagnostics.map(({ code, offset }) => `${code} ${offset}`)
        expect(new Set(places).size).toBe(places.length)
      }),
      { numRuns: 3000 },
    )
  })

  it('without syntax is itself', () => {
    const plain = fc.stringMatching(/^[a-zà-ÿ漢 ,.;!?'"-]{0,60}$/)
    fc.assert(
      fc.property(plain, (text) => {
        const shown = text.trimEnd()
        expect(parsePrompt(text)).toEqual({
          subs: [{ weight: 1, schedule: [{ until: 30, text: shown, pieces: [{ text: shown, weight: 1 }] }] }],
          loras: [],
          diagnostics: [],
        })
      }),
    )
  })

  it('is itself when every character is escaped', () => {
    fc.assert(
      fc.property(soup, (text) => {
        const escaped = Array.from(text, (character) => `\\${character}`).join('')
        const { subs } = parsePrompt(`${escaped}.`)
        expect(subs.map((sub) => sub.schedule.map((entry) => entry.pieces))).toEqual([[[{ text: `${text}.`, weight: 1 }]]])
      }),
      { numRuns: 1000 },
    )
  })

  it('in brackets is weighted by their product, in any schedule', () => {
    const factors = fc.array(fc.double({ min: 0.1, max: 3, noNaN: true }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(factors, (given) => {
        const numbers = given.map((factor) => factor.toFixed(3))
        const inner = numbers.reduce((text, number) => `(${text}:${number})`, '[fox|cat]')
        const weight = numbers.reduce((product, number) => product * Number(number), 1)
        const { schedule } = parsePrompt(`[a:${inner}:1]`, { steps: 3 }).subs[0]!
        expect(schedule.map((entry) => entry.pieces)).toEqual([
          [{ text: 'a', weight: 1 }],
          [{ text: 'cat', weight }],
          [{ text: 'fox', weight }],
        ])
      }),
    )
  })
})

function milliseconds(run: () => void): number {
  const start = performance.now()
  run()
  return performance.now() - start
}

describe('time', () => {
  // 0.05 to 0.9 s of one core; the margin is for busy machines, as quadratic time would be minutes.
  const limit = 6000

  it.each([
    ...['(', ')', '[', ']', '()', '(a', '[a', '[a:', '[a|', '[a:b:', '(a:1.1', ':1', ': ', ' ', 'BREAK ', '\\', '<a:', '<lora:', '#', '|'],
    ...['AND ', 'AND:1 ', '[a|]', '[a:b:5]', '[a|b:1]', '(a:b:c)', '[a:b:x]', '<lora:f:1>', '<a:b>', '[a|b][a|b|c][a|b|c|d][a|b|c|d|e]'],
  ])('is linear for a megabyte of %j', (part) => {
    const text = part.repeat(1_000_000 / part.length)
    expect(milliseconds(() => parsePrompt(text))).toBeLessThan(limit)
  })

  it.each([
    ['((((a))))', '('.repeat(500_000) + 'a' + ')'.repeat(500_000)],
    ['[[[[a]]]]', '['.repeat(500_000) + 'a' + ']'.repeat(500_000)],
    ['[[a:b:0.5]:c:0.5]', '['.repeat(120_000) + 'a' + ':b:0.5]'.repeat(120_000)],
    ['[a:[a:b:5]:5]', '[a:'.repeat(150_000) + 'b' + ':5]'.repeat(150_000)],
    ['[a|[a|b]]', '[a|'.repeat(250_000) + 'b' + ']'.repeat(250_000)],
    ['[a|a|a]', '[' + 'a|'.repeat(500_000) + ']'],
    ['digits', '[a:b:' + '1'.repeat(500_000) + 'x] <lora:f:' + '1'.repeat(500_000) + 'x> :' + '1'.repeat(500_000) + 'x'],
  ])('is linear for a megabyte such as %s', (_, text) => expect(milliseconds(() => parsePrompt(text))).toBeLessThan(limit))

  it('is linear for comments', () => {
    expect(milliseconds(() => parsePrompt('a#b\n#c\n'.repeat(150_000), { comments: true }))).toBeLessThan(limit)
  })

  it('is linear for weighted brackets in brackets', () => {
    const nested = `${'(a'.repeat(100_000)}${':1.01)'.repeat(100_000)}`
    let found: readonly { weight: number }[] = []
    expect(milliseconds(() => (found = parsePrompt(nested).subs[0]!.schedule[0]!.pieces))).toBeLessThan(limit)
    // The first piece is in one bracket, the hundredth in a hundred; beyond 16 million products the last bits may differ.
    expect(found[0]!.weight).toBeCloseTo(1.01, 12)
    expect(found[99]!.weight / 1.01 ** 100).toBeCloseTo(1, 12)
    expect(found.length).toBeGreaterThan(10_000)
  })

  it('of nested options does not grow with the steps, as they recur', () => {
    const text = `${'[a|'.repeat(1000)}${'b'.repeat(100_000)}${']'.repeat(1000)}`
    const { schedule } = parsePrompt(text, { steps: 1000 }).subs[0]!
    expect(schedule.length).toBe(1000)
    expect(new Set(schedule.map((entry) => entry.pieces)).size).toBe(2)
  })
})
