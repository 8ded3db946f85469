import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isBad } from '../../lib/prompt/clean/badness.js'
import { decimal } from '../../lib/prompt/convert/decimal.js'
import { convertPrompt, writePrompt } from '../../lib/prompt/convert/index.js'
import { type ParsedPrompt, parsePrompt, type Piece, tokenize } from '../../lib/prompt/index.js'

const syntaxes = ['a1111', 'comfy', 'compel', 'novelai', 'plain'] as const
type Syntax = (typeof syntaxes)[number]

const isBreak = ({ text, weight }: Piece) => text === 'BREAK' && weight === -1

/** Tokens with their weights, as far as a dialect can say them, chunk marks as null. */
function sequence(pieces: readonly Piece[], to?: Syntax): ([id: number, weight: number] | null)[] {
  const said = (weight: number) => (to === 'plain' ? 1 : to === 'compel' ? Math.max(weight, 0) : weight + 0) // + 0: no -0
  return pieces.flatMap((piece) => {
    if (isBreak(piece)) return to === undefined || to === 'a1111' || to === 'compel' ? [null] : []
    return tokenize(piece.text).map((id): [number, number] => [id, said(piece.weight)])
  })
}

const parsedOf = (pieces: readonly Piece[]): Omit<ParsedPrompt, 'diagnostics'> => ({
  subs: [{ weight: 1, schedule: [{ until: 30, text: '', pieces }] }],
  loras: [],
})

function expectSame(pieces: readonly Piece[], to: Syntax): void {
  const text = writePrompt(parsedOf(pieces), to)
  const { subs, loras } = parsePrompt(text, { syntax: to })
  expect([subs.map(({ weight }) => weight), loras, subs[0]!.schedule.length]).toEqual([[1], [], 1])
  expect({ text, sequence: sequence(subs[0]!.schedule[0]!.pieces) }).toEqual({ text, sequence: sequence(pieces, to) })
}

// What is syntax in some dialect, and what the tokenizer splits or joins.
const bit = fc.constantFrom(
  ...['a', 'b', 'cat', 'Dog', 'é', '漢', '😀', 'ŉ', 'İ', '½', 'e\u0301', '1', '20', '1.5', "'", "'s", "n't", '!', '*', '_', ';', '#'],
  ...['(', ')', '[', ']', '{', '}', '"', '\\', '\\', '+', '-', '++', '--', '=', '.', ',', '...', ', ', ':', '::', '|', '<', '>'],
  ...['BREAK', 'AND', '<lora:x:1>', '<lora', '.swap', '.attend', '.and', 'withLora', '&', '&amp', '&AND;', '&#43;'],
  ...[' ', ' ', ' ', '  ', '\n', '\t', '\v'],
)
const words = fc.array(bit, { minLength: 1, maxLength: 9 }).map((bits) => bits.join(''))
const weight = fc.oneof(
  fc.constantFrom(1, 1, 1, 1.1, 0.9, 1.2100000000000002, 0, -1, -0.5, 2, 1e-7, 5e-324, 1e21, Number.MAX_VALUE),
  fc.double({ min: -3, max: 3, noNaN: true }),
)
const piece: fc.Arbitrary<Piece> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ text: words, weight }) },
  { weight: 1, arbitrary: fc.constant({ text: 'BREAK', weight: -1 }) },
)

/**
 * What cleaning judges by the whole line, which joining pieces and dropping white space changes: a "<" turns the decoding of references
 * off, and "İ½İ" looks like UTF-8 decoded wrongly where "İ½İ " does not.
 */
function dependsOnLine(texts: readonly string[]): boolean {
  const line = texts.join('')
  const forms = [line, texts.join(' '), line.replace(/\s/g, ''), ...texts, ...texts.map((text) => text.trim())]
  return (line.includes('<') && line.includes('&')) || forms.some(isBad)
}

describe('convertPrompt keeps tokens and weights', () => {
  it.each(syntaxes)('of any pieces in %s', (to) => {
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 5 }), (pieces) => {
        fc.pre(!dependsOnLine(pieces.map(({ text }) => text)))
        expectSame(pieces, to)
      }),
      { numRuns: 2000 },
    )
  })

  it.each(syntaxes.flatMap((from) => syntaxes.filter((to) => to !== from).map((to) => [from, to] as const)))(
    'of any text from %s to %s',
    (from, to) => {
      fc.assert(
        fc.property(fc.array(words, { maxLength: 4 }), (parts) => {
          const text = parts.join('')
          const { subs, loras } = parsePrompt(text, { syntax: from })
          const [entry] = subs[0]!.schedule
          fc.pre(!dependsOnLine([text, ...entry!.pieces.map((p) => p.text)]))
          fc.pre(subs.length === 1 && subs[0]!.weight === 1 && loras.length === 0 && subs[0]!.schedule.length === 1)
          expectSame(entry!.pieces, to)
          expect(convertPrompt(text, from, to)).toBe(writePrompt({ subs, loras }, to))
        }),
        { numRuns: 400 },
      )
    },
  )

  it('of prompts in prompts', () => {
    const filled = fc
      .array(piece, { minLength: 1, maxLength: 3 })
      .filter((pieces) => pieces.some((p) => !isBreak(p) && tokenize(p.text).length > 0))
    const sub = fc.record({ weight: fc.constantFrom(1, 1, 0.5, -2, 1e-7), pieces: filled })
    fc.assert(
      fc.property(fc.array(sub, { minLength: 2, maxLength: 3 }), fc.constantFrom('a1111' as const, 'novelai' as const), (subs, to) => {
        fc.pre(!dependsOnLine(subs.flatMap(({ pieces }) => pieces.map(({ text }) => text))))
        const prompt = { subs: subs.flatMap(({ weight, pieces }) => ({ ...parsedOf(pieces).subs[0]!, weight })), loras: [] }
        const text = writePrompt(prompt, to)
        const read = parsePrompt(text, { syntax: to }).subs.map((found) => [found.weight, sequence(found.schedule[0]!.pieces)])
        expect({ text, read }).toEqual({ text, read: subs.map(({ weight, pieces }) => [weight, sequence(pieces, to)]) })
      }),
      { numRuns: 2000 },
    )
  })
})

describe('convertPrompt', () => {
  it.each<[text: string, from: Syntax, to: Syntax, expected: string]>([
    ['a (red:1.3) fox, [blurry], sonic \\(series\\)', 'a1111', 'comfy', 'a (red:1.3) fox, (blurry:0.9090909090909091), sonic \\(series\\)'],
    ['a (red:1.3) fox, ((big)) eyes', 'a1111', 'compel', 'a (red)1.3 fox, (big)1.2100000000000002 eyes'],
    ['a (red:1.3) fox, (hat:-1)', 'a1111', 'novelai', 'a 1.3::red:: fox, -1::hat::'],
    ['a (red:1.3) fox \\(x\\)', 'a1111', 'plain', 'a red fox (x)'],
    ['C++ and a+b, "quoted"', 'plain', 'compel', 'C ++ and a+b, \\"quoted\\"'],
    ['(a - b = c ...:1.2)', 'comfy', 'compel', '(a &#45; b &equals; c &period;&period;&period;)1.2'],
    ['[a|b] {c} (d) AND BREAK <lora:x:1> :3', 'plain', 'a1111', '\\[a\\|b\\] {c} \\(d\\) And Break <\\lora:x:1> :3 :1'],
    ['[a|b] {c} x::y', 'plain', 'novelai', '&lsqb;a&vert;b&rsqb; &lcub;c&rcub; x&colon;:y'],
    ['{{a}}, 1.5::b [c]::, d', 'novelai', 'a1111', '(a:1.1025), (b:1.5) (c:1.4285714285714284), d'],
    ['a dog+, "b c"0.5', 'compel', 'a1111', 'a (dog:1.1), (b c:0.5)'],
    // AND, mixes and blends
    ['a AND b :0.5', 'a1111', 'novelai', 'a | b :0.5'],
    ['a AND b (c:2) :0.5', 'a1111', 'comfy', 'a, (b:0.5) c'],
    ['a AND b :-1', 'a1111', 'compel', '("a", "b").and(1, -1)'],
    ['a AND b :0.5', 'a1111', 'plain', 'a, b'],
    ['cat (x:0.5) :3', 'a1111', 'novelai', '3::cat:: 1.5::x::'],
    ['cat :3', 'a1111', 'compel', '("cat").and(3)'],
    ['cat | dog:0.2', 'novelai', 'a1111', 'cat AND dog :0.2'],
    ['("a b+", "c").blend(1, 3)', 'compel', 'a1111', 'a (b:1.1) :0.25 AND c :0.75'],
    ['("a", "c").blend(1, 3)', 'compel', 'comfy', '(a:0.25), (c:0.75)'],
    // BREAK and .and()
    ['a BREAK b (c:2)', 'a1111', 'compel', '("a", "b (c)2").and()'],
    ['BREAK a', 'a1111', 'compel', '("", "a").and()'],
    ['a BREAK b', 'a1111', 'comfy', 'a b'],
    ['("a", "b").and()', 'compel', 'a1111', 'a BREAK b'],
    ['("a", "b c+").and(1, 0.5)', 'compel', 'a1111', 'a BREAK (b:0.5) (c:0.55)'],
    // schedules and alternations
    ['[a:b:0.3] c', 'a1111', 'comfy', 'b c'],
    ['[a:b:0.5] c', 'a1111', 'comfy', 'a c'],
    ['x [a:0.2] [b::0.2]', 'a1111', 'novelai', 'x a'],
    ['[a|b] c', 'a1111', 'compel', 'a c'],
    // LoRAs
    ['<lora:x-y_1:0.5:0.7> a', 'a1111', 'compel', 'a withLora(x-y_1, 0.7)'],
    ['<lora:v1.0:1> a <lora:ok> BREAK b', 'a1111', 'compel', '("a withLora(ok, 1)", "b").and()'],
    ['<lora:x:1> a', 'a1111', 'comfy', 'a'],
    ['a withLora(x, 0.5)', 'compel', 'a1111', 'a <lora:x:0.5>'],
    ['a :0.5 AND b withLora', 'a1111', 'compel', '("a", "b withlora").and(0.5, 1)'],
    ['', 'a1111', 'compel', ''],
    ['(red) (BREAK:-1)', 'comfy', 'a1111', '(red:1.1) (Break:-1)'],
  ])('turns %j from %s to %s', (text, from, to, expected) => {
    expect(convertPrompt(text, from, to)).toBe(expected)
  })

  it('keeps LoRAs and strengths when they are read again', () => {
    const compel = parsePrompt(convertPrompt('a BREAK b <lora:x:0.5:0.7>', 'a1111', 'compel'), { syntax: 'compel' })
    expect(compel.loras).toEqual([{ name: 'x', textEncoder: 0.7, unet: 0.7 }])
    const a1111 = parsePrompt(convertPrompt('("a withLora(x, 0.5)", "b").blend(1, 3)', 'compel', 'a1111'))
    expect([a1111.loras, a1111.subs.map(({ weight }) => weight)]).toEqual([[{ name: 'x', textEncoder: 0.5, unet: 0.5 }], [0.25, 0.75]])
  })

  it('takes a1111 for a dialect that is not given, and leaves a text alone between equal ones', () => {
    expect(convertPrompt('((a)) [b', undefined, 'novelai')).toBe('1.2100000000000002::a:: 0.9090909090909091::b::')
    expect(convertPrompt('{a}', 'novelai')).toBe('(a:1.05)')
    for (const syntax of syntaxes) expect(convertPrompt('((a)) [b {c', syntax, syntax)).toBe('((a)) [b {c')
  })

  it('rejects what is no text or no dialect', () => {
    const error = { code: 'ERR_INVALID_ARGUMENT' }
    expect(() => convertPrompt(5 as never, 'a1111', 'comfy')).toThrow('Expected a string for text')
    expect(() => convertPrompt('a', 'webui' as never, 'comfy')).toThrow(expect.objectContaining(error))
    expect(() => convertPrompt('a', 'a1111', 'sd' as never)).toThrow('for to, received "sd"')
    expect(() => convertPrompt('a', null as never, 'comfy')).toThrow(expect.objectContaining(error))
  })

  it('writes weights that no number holds as the largest ones', () => {
    const deep = `${'('.repeat(8000)}a`
    const [entry] = parsePrompt(convertPrompt(deep, 'a1111', 'comfy'), { syntax: 'comfy' }).subs[0]!.schedule
    expect(entry!.pieces).toEqual([{ text: 'a', weight: Number.MAX_VALUE }])
    expect(writePrompt(parsedOf([{ text: 'a', weight: Number.NaN }]), 'a1111')).toBe('(a:0)')
  })

  it.each(['(', '\\', '.', '&.', ',a', 'a+ ', '::', '<a', '|', 'BREAK '])('is linear for a megabyte of %j', (part) => {
    const start = performance.now()
    const text = part.repeat(1_000_000 / part.length)
    for (const to of ['a1111', 'comfy', 'compel', 'novelai'] as const) convertPrompt(text, 'plain', to)
    // 0.1 to 0.9 s of one core; the margin is for busy machines, as quadratic time would be minutes.
    expect(performance.now() - start).toBeLessThan(6000)
  })
})

describe('decimal', () => {
  it.each([
    [1e21, '1000000000000000000000'],
    [1.5e-7, '0.00000015'],
    [-1.25e22, '-12500000000000000000000'],
    [1.2345678901234567e20, '123456789012345670000'],
    [0.1, '0.1'],
    [-0, '0'],
  ])('%d', (value, expected) => expect(decimal(value)).toBe(expected))

  it('reads back as the same number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(decimal(value)).toMatch(/^-?\d+(\.\d+)?$/)
        expect(Number(decimal(value)) + 0).toBe(value + 0)
      }),
      { numRuns: 5000 },
    )
  })
})
