import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePrompt } from '../../lib/prompt/index.js'
import { power } from '../../lib/prompt/syntax/compel/power.js'

type Part = [weight: number, fragments: [text: string, weight: number][]]
type Answer =
  | { fails: string }
  | { parts: Part[]; blend?: undefined; loras?: [string, number][] }
  | { blend: Part[]; normalize: boolean; loras?: [string, number][] }

const golden = JSON.parse(readFileSync(new URL('../golden/prompt/compel.json', import.meta.url), 'utf8')) as [
  text: string,
  answer: Answer,
][]

const parse = (text: string, options = {}) => parsePrompt(text, { syntax: 'compel', ...options })
const entryOf = (text: string) => parse(text).subs[0]!.schedule[0]!
const pairs = (pieces: readonly { text: string; weight: number }[]) => pieces.map(({ text, weight }) => [text, weight])
const pieces = (text: string) => pairs(entryOf(text).pieces)
const codes = (text: string) => parse(text).diagnostics.map(({ code, offset, length }) => [code, offset, length])

function found(text: string): unknown {
  const { pieces, blend, strengths } = entryOf(text)
  const loras = parse(text).loras.map(({ name, unet }) => [name, unet])
  return blend ? { blend: blend.map(({ weight, pieces }) => [weight, pairs(pieces)]), loras } : { pieces: pairs(pieces), strengths, loras }
}

/** compel's answer in the library's terms. */
function wanted(answer: Exclude<Answer, { fails: string }>): unknown {
  const loras = [...new Map(answer.loras ?? [])]
  if (answer.blend) {
    const sum = answer.normalize ? answer.blend.reduce((total, [weight]) => total + weight, 0) : 1
    return { blend: answer.blend.map(([weight, fragments]) => [sum === 0 ? weight : weight / sum, fragments]), loras }
  }
  const joined = answer.parts.flatMap(([, fragments], i) => (i === 0 ? fragments : [['BREAK', -1], ...fragments]))
  const weights = answer.parts.map(([weight]) => weight)
  return {
    pieces: joined.length > 0 ? joined : [['', 1]],
    strengths: weights.some((weight) => weight !== 1) ? weights : undefined,
    loras,
  }
}

describe('compel', () => {
  it('reads fragments, blends and conjunctions as the package does', () => {
    const answered = golden.filter(([, answer]) => !('fails' in answer)) as [string, Exclude<Answer, { fails: string }>][]
    expect(answered.length).toBeGreaterThan(900)
    expect(answered.filter(([, answer]) => answer.blend).length).toBeGreaterThan(30)
    expect(answered.filter(([, answer]) => !answer.blend && answer.parts.length > 1).length).toBeGreaterThan(20)
    const wrong = answered.filter(([text, answer]) => JSON.stringify(found(text)) !== JSON.stringify(wanted(answer)))
    expect(wrong.map(([text, answer]) => ({ text, wanted: wanted(answer), found: found(text) }))).toEqual([])
  })

  it('goes on where the package fails, with a remark', () => {
    const failing = golden.filter(([, answer]) => 'fails' in answer)
    expect(failing.length).toBeGreaterThan(30)
    const expected = ['E_NUMBER', 'E_TRAILING', 'E_EMPTY_TEXT', 'W_SWAP']
    expect(failing.filter(([text]) => !codes(text).some(([code]) => expected.includes(code as string)))).toEqual([])
  })

  it('takes the powers that glibc gives', () => {
    // 1.1 ** 4 is one of those that Math.pow rounds to another double in some versions of V8.
    expect([power(1.1, 4), power(0.9, 4), power(1.1, 25), power(0.9, 41)]).toEqual([
      1.4641000000000004, 0.6561, 10.834705943388395, 0.013302794647291146,
    ])
    expect(power(1.1, 100_000)).toBe(Number.MAX_VALUE)
  })

  it('pools the text as it is written', () => {
    expect(entryOf('a (b)1.2,c')).toMatchObject({ text: 'a (b)1.2,c', pooledText: 'a (b)1.2,c', until: 30 })
  })

  it('normalizes blends and takes the first text for the pieces', () => {
    expect(entryOf('("a", "b+").blend(1, 3)')).toMatchObject({
      pieces: [{ text: 'a', weight: 1 }],
      blend: [
        { weight: 0.25, pieces: [{ text: 'a', weight: 1 }] },
        { weight: 0.75, pieces: [{ text: 'b', weight: 1.1 }] },
      ],
    })
    expect(entryOf('("a", ()).blend()').blend).toEqual([
      { weight: 0.5, pieces: [{ text: 'a', weight: 1 }] },
      { weight: 0.5, pieces: [{ text: '', weight: 1 }] },
    ])
  })

  it('names each LoRA once', () => {
    expect(parse('withLora(x, 0.5) a withLora(y) withLora(x, 0.7)').loras).toEqual([
      { name: 'x', textEncoder: 0.7, unet: 0.7 },
      { name: 'y', textEncoder: 1, unet: 1 },
    ])
  })

  it.each<[string, unknown[][]]>([
    ['a (b)+ "c d"1.2, e--', []],
    ['😀 (a', [['E_UNCLOSED', 3, 1]]],
    [
      'a,(b,"c',
      [
        ['E_UNCLOSED', 2, 1],
        ['E_UNCLOSED', 5, 1],
      ],
    ],
    ['a) b', [['E_STRAY', 1, 1]]],
    ['(a = b)', [['W_LITERAL_GROUP', 0, 1]]],
    ['"a - b"+', [['W_LITERAL_GROUP', 0, 1]]],
    ['x(a)', [['W_LITERAL_GROUP', 1, 1]]],
    ['\\(a\\)', []],
    ['(a b) 1.2', [['W_SPACE', 6, 3]]],
    ['(a) ++,', [['W_SPACE', 4, 3]]],
    ['(two cats) 2 dogs', []],
    ['(a:1.3)', [['W_FOREIGN_WEIGHT', 2, 5]]],
    ['a ("b", "c").and()', [['E_OPERATOR', 12, 4]]],
    ['("a", "b").and(1, 2, 3)', [['E_NUMBER', 15, 7]]],
    ['("a", "b").blend(x, 1)', [['E_NUMBER', 17, 4]]],
    ['("a", "b").blend(1, -1)', [['E_NUMBER', 17, 5]]],
    ['("a","b").and() c', [['E_TRAILING', 16, 1]]],
    ['("a","b").blend() withLora(x)', []],
    ['("a - b", "c (d").and()', [['E_UNCLOSED', 10, 6]]],
    ['a,b.swap(c)', [['W_SWAP', 2, 9]]],
    ['"a.swap(b)"', [['W_SWAP', 0, 11]]],
    ['withLora(x) withLora(x, 2)', [['W_LORA_TWICE', 12, 14]]],
  ])('says what is odd about %j', (text, expected) => expect(codes(text)).toEqual(expected))

  it('throws in strict mode, and only for slips', () => {
    expect(() => parse('a (b', { strict: true })).toThrow('At offset 2 of prompt:')
    expect(() => parse('(a) 1.2 x(b)', { strict: true })).not.toThrow()
  })

  it('has finite weights whatever is multiplied', () => {
    expect(pieces(`((a)${'+'.repeat(8000)})0`)).toEqual([['a', 0]])
    expect(pieces(`((a)${'9'.repeat(400)})2`)).toEqual([['a', Number.MAX_VALUE]])
  })

  it('never throws, and says where', () => {
    const part = fc.constantFrom(
      '(',
      ')',
      '"',
      '\\',
      '+',
      '-',
      '.',
      ',',
      '=',
      ' ',
      'a',
      '1.5',
      '.swap(',
      '.attend(',
      '.and(',
      'withLora(',
      '\n',
      '\f',
      '😀',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        const text = parts.join('')
        const { subs, diagnostics } = parse(text)
        for (const piece of subs[0]!.schedule[0]!.pieces) expect(piece.weight).not.toBeNaN()
        for (const { offset, length } of diagnostics) expect(offset! >= 0 && offset! + length! <= text.length).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  it.each([
    ['(', 1_000_000],
    ['()', 500_000],
    ['( ', 500_000],
    ['"a ', 300_000],
    ['"(', 500_000],
    ['\\', 1_000_000],
    ['a.swap(', 150_000],
    ['(a.swap(', 125_000],
    ['(a)+', 250_000],
    ['withLora(', 100_000],
    [',a', 500_000],
    ['+', 1_000_000],
    ['1', 1_000_000],
  ])('is linear for a megabyte of %j', (part, count) => {
    const start = performance.now()
    parse(`:${part.repeat(count)}`)
    // 0.05 to 0.8 s of one core; the margin is for busy machines, as quadratic time would be minutes.
    expect(performance.now() - start).toBeLessThan(6000)
  })

  it('is linear for brackets in brackets, also where swaps in them fail', () => {
    const start = performance.now()
    expect(pieces(`${'('.repeat(300_000)}a${')+'.repeat(300_000)}`)).toEqual([['a', Number.MAX_VALUE]])
    parse(`${'(a.swap('.repeat(100_000)}${'.))'.repeat(100_000)}`)
    expect(performance.now() - start).toBeLessThan(6000)
  })
})
