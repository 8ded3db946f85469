import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { explainPrompt, parsePrompt } from '../../lib/prompt/index.js'

type Sub = [weight: number, pieces: [text: string, weight: number][]]
const golden = JSON.parse(readFileSync(new URL('../golden/prompt/novelai.json', import.meta.url), 'utf8')) as [text: string, subs: Sub[]][]

const parse = (text: string, options = {}) => parsePrompt(text, { syntax: 'novelai', ...options })
const subs = (text: string) =>
  parse(text).subs.map(({ weight, schedule }) => [weight, schedule[0]!.pieces.map((piece) => [piece.text, piece.weight])])
const codes = (text: string) => parse(text).diagnostics.map(({ code, offset, length }) => [code, offset, length])

describe('novelai', () => {
  it('agrees with a second program on the rules', () => {
    expect(golden.length).toBeGreaterThanOrEqual(500)
    expect(golden.filter(([text, expected]) => JSON.stringify(subs(text)) !== JSON.stringify(expected))).toEqual([])
  })

  it.each<[string, unknown]>([
    ['{{a}} [b] c', [[1, [['a', 1.1025], [' ', 1], ['b', 1 / 1.05], [' c', 1]]]]],
    ['{a [b} c]', [[1, [['a ', 1.05], ['b', 1], [' c', 1 / 1.05]]]]],
    ['1.5::rain, {night}::, fog', [[1, [['rain, ', 1.5], ['night', 1.5 * 1.05], [', fog', 1]]]]],
    ['{{a :: b', [[1, [['a ', 1.1025], [' b', 1]]]]],
    ['-1::hat::', [[1, [['hat', -1]]]]],
    ['2::x, as109::y', [[1, [['x, as', 2], ['y', 109]]]]],
    ['cat | dog:0.2', [[1, [['cat ', 1]]], [0.2, [[' dog', 1]]]]],
    ['16:9', [[1, [['16:9', 1]]]]],
  ])('%j', (text, expected) => expect(subs(text)).toEqual(expected)) // prettier-ignore

  it('has no chunk marks', () => {
    expect(explainPrompt('-1::BREAK:: a BREAK b', { syntax: 'novelai' })).toMatchObject({ chunks: 1, tokens: 4 })
  })

  it.each<[string, unknown[][]]>([
    ['{a}, 1.5::b:: [[c]] | d:2', []],
    ['😀 {a', [['E_UNCLOSED', 3, 1]]],
    ['a | 1.5::b', [['E_UNCLOSED', 4, 5]]],
    ['{{a :: b', []],
    [
      'a} | b]',
      [
        ['E_STRAY', 1, 1],
        ['E_STRAY', 6, 1],
      ],
    ],
    ['a :: b', [['E_STRAY', 2, 2]]],
    ['1.2.3::a', [['E_NUMBER', 0, 5]]],
    [
      'a | | b |',
      [
        ['E_STRAY', 2, 1],
        ['E_STRAY', 8, 1],
      ],
    ],
    ['| a', [['E_STRAY', 0, 1]]],
  ])('says what is odd about %j', (text, expected) => expect(codes(text)).toEqual(expected))

  it('throws in strict mode', () => expect(() => parse('a {b', { strict: true })).toThrow('At offset 2 of prompt:'))

  it('never throws, and has finite weights', () => {
    const part = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '::',
      '1.5::',
      '-1::',
      `${'9'.repeat(308)}::`,
      ':',
      '|',
      ':0.2',
      ' ',
      'a',
      '1',
      '.',
      '😀',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
        const text = parts.join('')
        const { subs, diagnostics } = parse(text)
        for (const { schedule } of subs) for (const { weight } of schedule[0]!.pieces) expect(Number.isFinite(weight)).toBe(true)
        for (const { offset, length } of diagnostics) expect(offset! >= 0 && offset! + length! <= text.length).toBe(true)
      }),
      { numRuns: 3000 },
    )
    expect(subs(`${'{'.repeat(50_000)}0::a`)[0]![1]).toEqual([['a', 0]])
  })

  it.each([
    ['{', 1_000_000],
    [']', 1_000_000],
    ['{}', 500_000],
    ['::', 500_000],
    ['1', 1_000_000],
    ['1::', 300_000],
    ['|', 1_000_000],
    ['a|', 500_000],
    ['{a|', 300_000],
  ])('is linear for a megabyte of %j', (part, count) => {
    const start = performance.now()
    parse(part.repeat(count))
    // 0.05 to 0.5 s of one core; the margin is for busy machines, as quadratic time would be minutes.
    expect(performance.now() - start).toBeLessThan(6000)
  })
})
