import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { SdxlError } from '../../lib/errors.js'
import { parsePrompt } from '../../lib/prompt/index.js'
import { parseAttention } from '../../lib/prompt/syntax/a1111/attention.js'

const cases = JSON.parse(readFileSync(new URL('../golden/prompt/prompt-cases.json', import.meta.url), 'utf8')) as {
  prompt: string
  expected: [text: string, weight: number][]
}[]

const pieces = (text: string) => parseAttention(text, () => {}).map((p) => [p.text, p.weight])
const codes = (text: string, options = {}) =>
  parsePrompt(text, options).diagnostics.map(({ code, offset, length }) => [code, offset, length])

describe('attention', () => {
  it('agrees with the reference parser to the last bit', () => {
    expect(cases.length).toBe(188)
    // Object.is, as the weights must be the same doubles: toEqual would do, this says so.
    const wrong = cases.filter(({ prompt, expected }) => {
      const found = pieces(prompt)
      return found.length !== expected.length || found.some(([text, w], i) => text !== expected[i]![0] || !Object.is(w, expected[i]![1]))
    })
    expect(wrong).toEqual([])
  })

  it('has one sub-prompt that lasts for all steps', () => {
    expect(parsePrompt('a (fox)', { steps: 12 })).toEqual({
      subs: [
        {
          weight: 1,
          schedule: [
            {
              until: 12,
              text: 'a (fox)',
              pieces: [
                { text: 'a ', weight: 1 },
                { text: 'fox', weight: 1.1 },
              ],
            },
          ],
        },
      ],
      loras: [],
      diagnostics: [],
    })
    expect(parsePrompt('a').subs[0]!.schedule[0]!.until).toBe(30)
  })

  it('reads numbers of every script', () => expect(pieces('(a:１.५)')).toEqual([['a', 1.5]]))

  it('knows the white space and the words of Python', () => {
    expect(pieces('a\x1c\x85BREAK\u3000b')).toEqual([
      ['a', 1],
      ['BREAK', -1],
      ['b', 1],
    ])
    expect(pieces('a\ufeffBREAK')).toEqual([
      ['a\ufeff', 1],
      ['BREAK', -1],
      ['', 1],
    ])
    expect(pieces('𝒜BREAK')).toEqual([['𝒜BREAK', 1]])
  })

  it.each(['(a:1.2.3)', '(a:.)', '(a:+.)', '(a: 1.2. )', `(a:${'9'.repeat(400)})`])('takes the bad number of %j as text', (text) => {
    expect(pieces(text)).toEqual([[text.slice(1, -1), 1.1]])
    expect(codes(text)[0]?.[0]).toBe('E_NUMBER')
  })

  it('is plain on request', () => {
    expect(parsePrompt('(a:1.2) BREAK [b|c] \\', { syntax: 'plain' }).subs[0]!.schedule[0]!.pieces).toEqual([
      { text: '(a:1.2) BREAK [b|c] \\', weight: 1 },
    ])
    expect(codes('(a', { syntax: 'plain', strict: true })).toEqual([])
  })
})

describe('diagnostics', () => {
  it.each<[string, unknown[][]]>([
    ['a (fox), [b], (c:1.2) \\(d\\)', []],
    ['😀 (fox', [['E_UNCLOSED', 3, 1]]],
    [
      '(a [b',
      [
        ['E_UNCLOSED', 0, 1],
        ['E_UNCLOSED', 3, 1],
      ],
    ],
    [
      'a) b]',
      [
        ['E_STRAY', 1, 1],
        ['E_STRAY', 4, 1],
      ],
    ],
    ['a:1.2) b', [['E_STRAY', 5, 1]]],
    ['(a: 1.2.3 )', [['E_NUMBER', 4, 5]]],
    ['a\\b', [['W_BACKSLASH', 1, 1]]],
    ['a\\', [['W_BACKSLASH', 1, 1]]],
    ['(a BREAK b:1.2)', [['W_WEIGHTED_BREAK', 3, 5]]],
    ['(a BREAK b:1)', []],
    [' BREAK a', [['W_EMPTY_FIRST', 1, 5]]],
    ['a BREAK BREAK b', []],
    ['a\\|b (a\\: b) \\:1.2 c', []],
    ['(a\\:1.2)', [['W_BACKSLASH', 2, 1]]],
  ])('of %j', (text, expected) => expect(codes(text)).toEqual(expected))

  it('are at most 101', () => {
    const { diagnostics } = parsePrompt(')'.repeat(5000))
    expect(diagnostics.length).toBe(101)
    expect(diagnostics[100]).toEqual({ code: 'W_MORE', message: '4900 more remarks on this prompt are not listed.' })
  })

  it('become an error in strict mode, at the first slip', () => {
    const text = `${'x'.repeat(40)} (fox, a) b) \\c`
    const error = (() => {
      try {
        parsePrompt(`[${text}`, { strict: true })
      } catch (e) {
        return e as SdxlError
      }
      throw new Error('nothing was thrown')
    })()
    expect(error.code).toBe('ERR_PROMPT')
    expect(error.details).toEqual({ field: 'prompt', code: 'E_UNCLOSED', offset: 0, length: 1 })
    expect(error.message).toContain(`At offset 0 of prompt:\n  [${'x'.repeat(29)}…\n  ^`)
    expect(() => parsePrompt(text, { strict: true })).toThrow(
      `At offset 51 of prompt:\n  …${'x'.repeat(19)} (fox, a) b) \\c\n   ${' '.repeat(30)}^`,
    )
    expect(() => parsePrompt('a \\b BREAK', { strict: true })).not.toThrow()
  })
})
