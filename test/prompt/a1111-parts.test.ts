import { describe, expect, it } from 'vitest'
import { parsePrompt } from '../../lib/prompt/index.js'

const parts = (text: string) => parsePrompt(text).subs.map(({ weight, schedule }) => [schedule[0]!.text, weight])
const loras = (text: string) => parsePrompt(text).loras.map(({ name, textEncoder, unet }) => [name, textEncoder, unet])

describe('AND', () => {
  it.each<[string, [string, number][]]>([
    [
      'a AND b',
      [
        ['a', 1],
        [' b', 1],
      ],
    ],
    [
      'a :1.2 AND b:0.8',
      [
        ['a', 1.2],
        [' b', 0.8],
      ],
    ],
    [
      '(a AND b:1.2)',
      [
        ['(a', 1],
        [' b:1.2)', 1],
      ],
    ],
    ['sAND and', [['sAND and', 1]]],
    [
      'a AND',
      [
        ['a', 1],
        ['', 1],
      ],
    ],
    ['a:b:2', [['a:b', 2]]],
    ['cat :0', [['cat', 0]]],
    ['  :2', [['', 2]]],
    ['cat : -1.5\n', [['cat', -1.5]]],
    ['cat :１.５', [['cat', 1.5]]],
    ['cat :1e2', [['cat :1e2', 1]]],
    ['cat :1.2.3', [['cat :1.2.3', 1]]],
    [`cat :${'9'.repeat(400)}`, [[`cat :${'9'.repeat(400)}`, 1]]],
    [' cat \x85', [[' cat', 1]]],
    [
      'AND\u0301',
      [
        ['', 1],
        ['\u0301', 1],
      ],
    ],
    ['éAND ANDß AND_', [['éAND ANDß AND_', 1]]],
  ])('cuts %j', (text, expected) => expect(parts(text)).toEqual(expected))

  it('and weights are text in a negative prompt', () => {
    expect(parsePrompt('a AND b :2 ', { negative: true }).subs).toEqual([
      { weight: 1, schedule: [{ until: 30, text: 'a AND b :2 ', pieces: [{ text: 'a AND b :2 ', weight: 1 }] }] },
    ])
  })

  it('comes before schedules, each part having its own', () => {
    expect(parsePrompt('[a:b:5] AND [c|d]:2', { steps: 6 }).subs.map((sub) => sub.schedule.map((entry) => entry.text))).toEqual([
      ['a', 'b'],
      [' c', ' d', ' c', ' d', ' c', ' d'],
    ])
  })
})

describe('tags', () => {
  it.each<[string, [string, number, number][]]>([
    ['<lora:f:.8>', [['f', 0.8, 0.8]]],
    ['<lora:f>', [['f', 1, 1]]],
    ['<lora:f:.8:.5>', [['f', 0.8, 0.5]]],
    ['<lora:f:te=.5>', [['f', 0.5, 0.5]]],
    ['<lora:f:unet=.3>', [['f', 1, 0.3]]],
    ['<lora:f:.8:te=.1:unet=.3>', [['f', 0.1, 0.3]]],
    ['<lora:te=.5:f>', [['f', 0.5, 0.5]]],
    ['<lora:a b, (c): 1_0 >', [['a b, (c)', 10, 10]]],
    [
      '<lora:f:1><lyco:g:2><lora:f:.5>',
      [
        ['f', 0.5, 0.5],
        ['g', 2, 2],
      ],
    ],
    ['<lora:bad:x><lora:good:1>', [['good', 1, 1]]],
    ['<lora:f:inf> <lora:f:1.2.3> <lora:f:1:1:2.5> <lora:f:x:te=1> <lora::1> <lora:te=1>', []],
    ['<LORA:f> <hypernet:h:1>', []],
  ])('of %j', (text, expected) => expect(loras(text)).toEqual(expected))

  it.each([
    ['a <lora:f:1>b', 'a b'],
    ['(<lora:f:1>:1.2)', '(:1.2)'],
    ['<hypernet:h:1>x', 'x'],
    ['<lora:> <b> <a-b:c> <lora:f', '<lora:> <b> <a-b:c> <lora:f'],
    ['<a <lora:f\n:1> b>', '<a  b>'],
    ['A<lora:f:1>ND', ''],
  ])('%j leaves %j', (text, expected) => expect(parsePrompt(text).subs[0]!.schedule[0]!.text).toBe(expected))

  it('hold at all steps, wherever they stand', () => {
    const { subs, loras } = parsePrompt('[<lora:f:1>a::.5]', { steps: 4 })
    expect(loras.length).toBe(1)
    expect(subs[0]!.schedule.map((entry) => entry.text)).toEqual(['a', ''])
  })

  it('stay in a negative prompt', () => {
    const { subs, loras } = parsePrompt('a <lora:f:1>', { negative: true })
    expect(loras).toEqual([])
    expect(subs[0]!.schedule[0]!.text).toBe('a <lora:f:1>')
  })
})

describe('comments', () => {
  const text = (prompt: string, options = {}) => parsePrompt(prompt, { negative: true, ...options }).subs[0]!.schedule[0]!.text

  it.each([
    ['a # b', 'a \n'],
    ['a # b\n# c\nd', 'a \nd'],
    ['# a\nb', '\nb'],
    ['a\r#b\rc', 'a\r\n'],
    ['a (b#:1.2)\nc)', 'a (b\nc)'],
  ])('in %j leave %j', (prompt, expected) => expect(text(prompt, { comments: true })).toBe(expected))

  it('are text by default', () => expect(text('a # b')).toBe('a # b'))
})
