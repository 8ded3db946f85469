import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { explainPrompt, parsePrompt } from '../../lib/prompt/index.js'

const golden = JSON.parse(readFileSync(new URL('../golden/prompt/comfy.json', import.meta.url), 'utf8')) as [
  text: string,
  pieces: [text: string, weight: number][],
][]

const parse = (text: string, options = {}) => parsePrompt(text, { syntax: 'comfy', ...options })
const pieces = (text: string) => parse(text).subs[0]!.schedule[0]!.pieces.map(({ text, weight }) => [text, weight])
const codes = (text: string) => parse(text).diagnostics.map(({ code, offset, length }) => [code, offset, length])

describe('comfy', () => {
  it('agrees with a second program on pieces and weights', () => {
    expect(golden.length).toBeGreaterThanOrEqual(600)
    const wrong = golden.filter(([text, expected]) => {
      const found = pieces(text)
      return found.length !== expected.length || found.some(([t, w], i) => t !== expected[i]![0] || !Object.is(w, expected[i]![1]))
    })
    expect(wrong.map(([text, expected]) => ({ text, expected, found: pieces(text) }))).toEqual([])
  })

  it('has no chunk marks', () => {
    expect(explainPrompt('(BREAK:-1) a BREAK b', { syntax: 'comfy' })).toMatchObject({ chunks: 1, tokens: 4 })
    expect(pieces('(BREAK:-1)')).toEqual([['BREAK ', -1]])
  })

  it.each<[string, unknown[][]]>([
    ['a (b:1.2) ((c)) \\(d\\) [e] (f: 1e2 )', []],
    ['😀 (a', [['E_UNCLOSED', 3, 1]]],
    ['(a (b)', [['E_UNCLOSED', 0, 1]]],
    [
      'a) (b:1.2)',
      [
        ['E_STRAY', 1, 1],
        ['E_STRAY', 9, 1],
      ],
    ],
    ['(a:1.2.3)', [['E_NUMBER', 3, 5]]],
    ['(a:1,2)', [['E_NUMBER', 3, 3]]],
    ['(a: inf)', [['E_NUMBER', 3, 4]]],
    ['(a:nan)', [['E_NUMBER', 3, 3]]],
    [`(a:${'9'.repeat(310)})`, [['E_NUMBER', 3, 310]]],
    ['(a:b) (a:)', []],
  ])('says what is odd about %j', (text, expected) => expect(codes(text)).toEqual(expected))

  it('throws in strict mode', () => expect(() => parse('a (b', { strict: true })).toThrow('At offset 2 of prompt:'))

  it('never throws', () => {
    const part = fc.constantFrom('(', ')', ':', '\\', ' ', 'a', ':1.2)', ':inf)', '1', '_', '😀')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
        for (const [, weight] of pieces(parts.join(''))) expect(Number.isFinite(weight)).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  it.each([
    ['(', 1_000_000],
    [')', 1_000_000],
    ['()', 500_000],
    ['(a:1.1', 150_000],
    ['(:', 500_000],
    [')(', 500_000],
    ['\\(', 500_000],
  ])('is linear for a megabyte of %j', (part, count) => {
    const start = performance.now()
    const text = part.repeat(count)
    parse(text)
    parse(text + ')'.repeat(count - 1))
    // 0.05 to 0.3 s of one core; the margin is for busy machines, as quadratic time would be minutes.
    expect(performance.now() - start).toBeLessThan(6000)
  })
})
