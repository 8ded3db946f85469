import { describe, expect, it } from 'vitest'
import { type Chunk, checkPromptOptions, explainPrompt, layoutPrompt, type PromptOptions, tokenize } from '../../lib/prompt/index.js'

const bos = 49406
const eos = 49407
const words = (count: number) => Array.from({ length: count }, () => 'fox').join(' ') // one token each
const layout = (text: string, options: PromptOptions = {}, negative = false) =>
  layoutPrompt(text, checkPromptOptions(options), { field: negative ? 'negativePrompt' : 'prompt', negative, steps: 30 })
const chunks = (text: string, options: PromptOptions = {}): readonly Chunk[] => layout(text, options).subs[0]!.schedule[0]!.texts[0]!.chunks
const used = (text: string, options: PromptOptions = {}) => chunks(text, options).map((chunk) => chunk.used)
const closedBy = (text: string) => chunks(text).map((chunk) => chunk.closedBy)

describe('chunk lengths', () => {
  it.each<[string, string, number[]]>([
    ['nothing', '', [0]],
    ['75 words', words(75), [75]],
    ['76 words', words(76), [75, 1]],
    ['75 words and a comma', `${words(75)},`, [75, 1]],
    ['a comma 20 from the end', `${words(55)}, ${words(40)}`, [56, 40]],
    ['a comma 21 from the end', `${words(54)}, ${words(40)}`, [75, 20]],
    ['a comma well within reach', `${words(60)}, ${words(30)}`, [61, 30]],
    ['a comma as the last token', `${words(74)}, ${words(3)}`, [75, 3]],
    ['a leading BREAK', 'BREAK a', [0, 1]],
    ['only BREAK', 'BREAK', [0]],
    ['a double BREAK', 'a BREAK BREAK b', [1, 0, 1]],
    ['a trailing BREAK', 'a BREAK', [1]],
    ['BREAK after a full chunk', `${words(75)} BREAK b`, [75, 1]],
    ['two full chunks', words(150), [75, 75]],
    ['commas in every chunk', `${words(70)}, ${words(70)}, ${words(70)}`, [71, 71, 70]],
  ])('%s', (_, text, expected) => expect(used(text)).toEqual(expected))

  it('say what closed a chunk', () => {
    expect(closedBy(`${words(60)}, ${words(30)} BREAK ${words(76)}`)).toEqual(['comma', 'break', 'full', 'end'])
    expect(closedBy(`${words(74)}, ${words(3)}`)).toEqual(['full', 'end'])
  })

  it('follow the backtrack option', () => {
    expect(used(`${words(60)}, ${words(30)}`, { chunk: { backtrack: 0 } })).toEqual([75, 16])
    expect(used(`${words(1)}, ${words(80)}`, { chunk: { backtrack: 74 } })).toEqual([2, 75, 5])
    expect(used(`${words(1)}, ${words(80)}`, { chunk: { backtrack: 73 } })).toEqual([75, 7])
  })
})

describe('chunks', () => {
  it('are framed and padded for either encoder', () => {
    const [chunk] = chunks('a red fox')
    expect(chunk!.ids).toBeInstanceOf(Int32Array)
    expect(Array.from(chunk!.ids)).toEqual([bos, ...tokenize('a red fox'), ...Array(73).fill(eos)])
    expect(Array.from(chunk!.ids2)).toEqual([bos, ...tokenize('a red fox'), eos, ...Array(72).fill(0)])
    expect(Array.from(chunk!.weights)).toEqual(Array(77).fill(1))
  })

  it('keep 75 tokens between start and end', () => {
    const [chunk] = chunks(words(75))
    expect([chunk!.ids.length, chunk!.ids[0], chunk!.ids[76], chunk!.ids2[76]]).toEqual([77, bos, eos, eos])
    expect(chunk!.ids.indexOf(eos)).toBe(76)
  })

  it('carry weights with the tokens, over the cut too', () => {
    const [first, second] = chunks(`${words(60)}, ${words(10)} (${words(10)}:1.5)`)
    expect([first!.used, second!.used]).toEqual([61, 20])
    expect(Array.from(first!.weights)).toEqual(Array(77).fill(1))
    expect(Array.from(second!.weights)).toEqual([...Array(11).fill(1), ...Array(10).fill(1.5), ...Array(56).fill(1)])
  })

  it('have weight 1 everywhere with emphasis ignore, and still the same tokens', () => {
    const [plain] = chunks('a (red:1.3) fox')
    const [ignoring] = chunks('a (red:1.3) fox', { emphasis: 'ignore' })
    expect(ignoring!.ids).toEqual(plain!.ids)
    expect(plain!.weights[2]).toBe(Math.fround(1.3))
    expect(Array.from(ignoring!.weights)).toEqual(Array(77).fill(1))
  })

  it('see a word end where a weight ends', () => {
    expect(Array.from(chunks('un(happy:1.2)')[0]!.ids.slice(1, 3))).toEqual([...tokenize('un'), ...tokenize('happy')])
    expect(chunks('(un)(happy)')[0]!.used).toBe(tokenize('unhappy').length)
  })

  it('of two texts are kept in step', () => {
    const pair = chunks(words(80), { prompt2: 'a (cat:1.5)' })
    expect(pair.map((c) => [c.used, c.used2])).toEqual([
      [75, 2],
      [5, 0],
    ])
    expect(Array.from(pair[0]!.ids2)).toEqual([bos, ...tokenize('a cat'), eos, ...Array(73).fill(0)])
    expect([pair[0]!.weights2[2], pair[0]!.weights[2]]).toEqual([1.5, 1])
    expect(Array.from(pair[1]!.ids2)).toEqual([bos, eos, ...Array(75).fill(0)])

    const longer = chunks('a', { prompt2: `${words(75)} BREAK b` })
    expect(longer.map((c) => [c.used, c.used2, c.closedBy])).toEqual([
      [1, 75, 'end'],
      [0, 1, 'end'],
    ])
    expect(Array.from(longer[1]!.ids)).toEqual([bos, ...Array(76).fill(eos)])
  })

  it('refuse a weight that 32-bit floats do not hold', () => {
    expect(() => chunks(`${'('.repeat(2000)}a`)).toThrow('beyond 32-bit floats')
    expect(() => chunks(`${'('.repeat(2000)} , `, { emphasis: 'ignore' })).not.toThrow()
  })
})

describe('explainPrompt', () => {
  it('counts tokens and lays out chunks', () => {
    const report = explainPrompt(`(a:1.5) BREAK ${words(76)} \\`)
    expect([report.tokens, report.limit, report.chunks]).toEqual([77, 225, 3])
    expect(report.layout.map((c) => [c.used, c.free, c.closedBy])).toEqual([
      [1, 74, 'break'],
      [75, 0, 'full'],
      [1, 74, 'end'],
    ])
    expect(report.layout[0]!.ids.slice(0, 3)).toEqual([bos, 320, eos])
    expect(report.layout[0]!.weights.slice(0, 3)).toEqual([1, 1.5, 1])
    expect(report.layout.every((c) => c.ids.length === 77 && c.weights.length === 77)).toBe(true)
    expect(report.diagnostics.map((d) => d.code)).toEqual(['W_BACKSLASH'])
  })

  it('takes parts as they stand', () => {
    const report = explainPrompt([{ text: 'a (b)', weight: 1.2 }, { text: 'BREAK', weight: -1 }, { text: 'c' }])
    expect(report.layout.map((c) => c.used)).toEqual([4, 1])
    expect(report.layout[0]!.weights.slice(0, 6)).toEqual([1, ...Array(4).fill(Math.fround(1.2)), 1])
    expect(explainPrompt([]).chunks).toBe(1)
  })

  it('reports on prompt2 without offsets of the wrong text, and leaves it out of a negative prompt', () => {
    expect(explainPrompt('a', { prompt2: 'b)' }).diagnostics).toEqual([
      { code: 'E_STRAY', message: expect.stringContaining('In prompt2 at offset 1: ")" closes nothing') },
    ])
    expect(() => explainPrompt('a', { prompt2: 'b)', strict: true })).toThrow('At offset 1 of prompting.prompt2:')
    const { subs, report } = layout('a', { prompt2: 'b) c' }, true)
    expect([subs[0]!.schedule[0]!.texts[0]!.chunks[0]!.used2, report.diagnostics]).toEqual([1, []])
  })

  it('parses and tokenizes 10,000 characters in a few milliseconds', () => {
    const unit = 'a (red:1.3) fox, masterpiece [blurry], \\(detailed\\) über café 日本語 1girl, '
    const text = unit.repeat(Math.ceil(10_000 / unit.length)).slice(0, 10_000)
    for (let i = 0; i < 20; i++) explainPrompt(text)
    const times = Array.from({ length: 9 }, () => {
      const start = performance.now()
      explainPrompt(text)
      return performance.now() - start
    })
    // 2 ms where it was written; the limit is ten times the promised 5 ms, for busy machines.
    expect(times.sort((a, b) => a - b)[4]).toBeLessThan(50)
  })
})
