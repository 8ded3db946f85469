import { describe, expect, it } from 'vitest'
import { parsePrompt } from '../../lib/prompt/index.js'

const codes = (text: string, options = {}) =>
  parsePrompt(text, options).diagnostics.map(({ code, offset, length }) => [code, text.slice(offset, offset! + length!), offset])

describe('remarks', () => {
  it.each([
    'a (fox), [b], [c:d:0.5], [e|f], [[g:2]::3] (h [i:4]:1.2) \\(j\\), k\\|l',
    'a :1.2 AND b:0.8',
    '<lora:f:.8:te=.5> a <b> <lora:> 1 < 2',
    '[a: b], :D [red] (1:2:3)',
    '',
  ])('on %j are none', (text) => expect(codes(text)).toEqual([]))

  it.each<[string, unknown[][]]>([
    ['x [a:b:50%]', [['E_SCHEDULE', '[a:b:50%]', 2]]],
    ['[a:b:0,5]', [['E_SCHEDULE', '[a:b:0,5]', 0]]],
    ['[a:b:c:0.5]', [['E_SCHEDULE', '[a:b:c:0.5]', 0]]],
    ['[a:b:c]', [['E_SCHEDULE', '[a:b:c]', 0]]],
    ['[a:.5x]', [['E_SCHEDULE', '[a:.5x]', 0]]],
    ['[a|b:0.5] [c:d:1]', [['E_SCHEDULE', '[a|b:0.5]', 0]]],
    [
      'a | b | c',
      [
        ['E_SCHEDULE', '|', 2],
        ['E_SCHEDULE', '|', 6],
      ],
    ],
    ['(a|b)', [['E_SCHEDULE', '|', 2]]],
    [
      '[a|b',
      [
        ['E_UNCLOSED', '[', 0],
        ['E_SCHEDULE', '|', 2],
      ],
    ],
    ['[(a:b:1.2):c:0.5]', [['E_SCHEDULE', '[(a:b:1.2):c:0.5]', 0]]],
    [
      '[a:b:3] \\',
      [
        ['E_SCHEDULE', '\\', 8],
        ['W_BACKSLASH', '\\', 8],
      ],
    ],
    ['a <hypernet:h:1> b', [['E_TAG', '<hypernet:h:1>', 2]]],
    [
      '<lora:f:x:te=y> <lora:g:1:1:2.5>',
      [
        ['E_LORA_ARGS', 'x', 8],
        ['E_LORA_ARGS', 'y', 13],
        ['E_LORA_ARGS', '2.5', 28],
      ],
    ],
    ['<lora:f:>', [['E_LORA_ARGS', ':', 7]]],
    ['<lora::1>', [['E_LORA_ARGS', ':1', 6]]],
    [
      '<lora:f:1:1:8:9:lbw=IN>',
      [
        ['W_LORA_ARGS', '8', 12],
        ['W_LORA_ARGS', '9', 14],
        ['W_LORA_ARGS', 'IN', 20],
      ],
    ],
    ['<lora:f:1> <lyco:f:2>', [['W_LORA_TWICE', '<lyco:f:2>', 11]]],
    ['cat : 3 ', [['W_TRAILING_WEIGHT', ': 3', 4]]],
    [`a :${'9'.repeat(400)}`, [['E_NUMBER', '9'.repeat(400), 3]]],
    [
      'a #b\nc # d # e',
      [
        ['W_HASH', '#b', 2],
        ['W_HASH', '# d # e', 7],
      ],
    ],
  ])('on %j', (text, expected) => expect(codes(text)).toEqual(expected))

  it('on a negative prompt know neither AND, weights nor other tags', () => {
    expect(codes('a AND b <lora:x:1> <y:z> [a|b] :3', { negative: true })).toEqual([
      ['W_TAG_IN_NEGATIVE', '<lora:x:1>', 8],
      ['W_TAG_IN_NEGATIVE', '<y:z>', 19],
    ])
  })

  it('have their place in the text as written', () => {
    expect(codes('<lora:f:1>(a')).toEqual([['E_UNCLOSED', '(', 10]])
    expect(codes('😀<lora:f:1> a) AND <lora:g:1>b\\c [d:(e:1.2.3):2]')).toEqual([
      ['E_STRAY', ')', 14],
      ['W_BACKSLASH', '\\', 31],
      ['E_NUMBER', '1.2.3', 40],
    ])
    expect(codes('# x\na# y\nb)', { comments: true })).toEqual([['E_STRAY', ')', 10]])
    // A number that a schedule puts together is shown from its first to its last character.
    expect(codes('(a:1[.2:.3:9].4)', { steps: 10 })).toEqual([['E_NUMBER', '1[.2:.3:9].4', 3]])
    expect(codes('a BRE<lora:f:1>AK BREAK (b BREAK:1.2)')).toEqual([['W_WEIGHTED_BREAK', 'BREAK', 27]])
    expect(codes('[a|] BREAK b')).toEqual([['W_EMPTY_FIRST', 'BREAK', 5]])
  })

  it('come once for a slip that many entries share', () => {
    expect(codes('[a|b|c] d) \\e (f')).toEqual([
      ['E_STRAY', ')', 9],
      ['W_BACKSLASH', '\\', 11],
      ['E_UNCLOSED', '(', 14],
    ])
    expect(codes('[a:(b:.):2] [c:d:4]')).toEqual([['E_NUMBER', '.', 6]])
  })

  it('with E_ are errors in strict mode', () => {
    expect(() => parsePrompt('a [b:c:50%]', { strict: true })).toThrow('At offset 2 of prompt:\n  a [b:c:50%]\n    ^')
    expect(() => parsePrompt('<lora:f:1> a :3 # b', { strict: true })).not.toThrow()
  })
})
