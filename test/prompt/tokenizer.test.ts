import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeWord } from '../../lib/prompt/byte-pairs.js'
import { isBad } from '../../lib/prompt/clean/badness.js'
import { fixText } from '../../lib/prompt/clean/fix-text.js'
import { tokenize } from '../../lib/prompt/index.js'
import { vocabulary } from '../../lib/prompt/vocabulary.js'

type Case = [text: string, ids: number[]]
const golden = JSON.parse(readFileSync(new URL('../golden/prompt/tokens.json', import.meta.url), 'utf8')) as {
  cases: Case[]
  special: [text: string, wanted: number[], openClip: number[]][]
  mojibake: [text: string, fixed: string][]
  bad: string[]
  fine: string[]
}

const differing = (cases: readonly (readonly [string, number[], ...unknown[]])[]) =>
  cases.filter(([text, ids]) => tokenize(text).join() !== ids.join()).map(([text, ids]) => ({ text, ids, found: tokenize(text) }))

describe('tokenize against open_clip', () => {
  it('gives the same ids for all strings', () => {
    expect(golden.cases.length).toBeGreaterThan(3500)
    expect(differing(golden.cases)).toEqual([])
  })

  it('takes the names of special tokens for text', () => {
    expect(golden.special.length).toBeGreaterThan(50)
    expect(golden.special.every(([, , openClip]) => openClip.some((id) => id >= 49406))).toBe(true)
    expect(differing(golden.special)).toEqual([])
  })
})

describe('fixText against ftfy', () => {
  it('repairs the same text that was wrongly decoded, and no other', () => {
    expect(golden.mojibake.filter(([text, fixed]) => text !== fixed).length).toBeGreaterThan(400)
    const wrong = golden.mojibake.filter(([text, fixed]) => fixText(text) !== fixed)
    expect(wrong.map(([text, fixed]) => ({ text, fixed, found: fixText(text) }))).toEqual([])
  })

  it('suspects the same sequences', () => {
    expect(golden.bad.length).toBeGreaterThan(500)
    expect(golden.bad.filter((text) => !isBad(text))).toEqual([])
    expect(golden.fine.length).toBeGreaterThan(500)
    expect(golden.fine.filter(isBad)).toEqual([])
  })

  it.each([
    ['schÃ¶n', 'schön'],
    ['voilÃ le travail', 'voilà le travail'],
    ['voilà le travail', 'voilà le travail'],
    ['À propos, Ã', 'À propos, Ã'],
    ['ÃƒÆ’Ã‚Â©', 'é'],
    ['â€œ lost â€\ufffd', '" lost \ufffd'],
    ['cafÃ© 日本語', 'café 日本語'],
    ['cafÃ©\nnaïve', 'café\nnaïve'],
    ['í\xa0½í¸\x8d', '😍'],
    ['&Atilde;&copy;', 'é'],
    ['<b>&Atilde;&copy;</b>', '<b>&Atilde;&copy;</b>'],
  ])('%j', (text, fixed) => expect(fixText(text)).toBe(fixed))

  it('takes a million characters for a line', () => {
    const text = (length: number) => `&eacute;😀${'a'.repeat(length - 9)}<`
    expect(fixText(text(1_000_000)).startsWith('é😀')).toBe(true)
    expect(fixText(text(999_999))).toBe(text(999_999))
  })

  it('gives up on what one repair after the other would make quadratic', () => {
    const text = 'Ãƒƒƒ'
    expect(fixText(text)).toBe('Ã')
    const start = performance.now()
    expect(fixText(`Ã${'ƒ'.repeat(30_000)}`).length).toBeGreaterThan(29_000)
    expect(fixText(`Ã${'ƒ'.repeat(60)}\n`.repeat(1000)).length).toBeLessThan(3000)
    // 0.5 s here; without the bound the first line alone takes 15 s.
    expect(performance.now() - start).toBeLessThan(5000)
  })
})

describe('tokenize', () => {
  it.each<Case>([
    ['', []],
    ['1234', [272, 273, 274, 275]],
    ['a_b', [320, 318, 321]],
    ["don't I'M", [847, 713, 328, 880]],
    ['BREAK', [2568]],
    ['😀', [7334]],
    ['! !! !!!', [256, 748, 995]],
    ['it’s', [585, 568]],
    ['ﬁne Ｆｕｌｌ', [3797, 1476]],
    ['日本語', [39121, 44353, 34002, 508]],
    ['&amp;', [261]],
    ['👩‍👩‍👧', [26304, 26304, 964, 356]],
  ])('%j', (text, ids) => expect(tokenize(text)).toEqual(ids))

  it('reads composed and decomposed accents alike', () => {
    expect(tokenize('café')).toEqual([15304])
    expect(tokenize('cafe\u0301')).toEqual([15304])
  })

  it('reads a lone surrogate as U+FFFD', () => expect(tokenize('a\ud800b \udc00')).toEqual(tokenize('a\ufffdb \ufffd')))

  it('rejects what is no string', () => {
    expect(() => tokenize(5 as unknown as string)).toThrow('Expected a string for text, received 5 of type number')
  })

  it('never gives a start or end token, whatever the text', () => {
    const specials = fc.constantFrom('<|endoftext|>', '<|startoftext|>', '<end_of_text>', '<start_of_text>', '&lt;', '＜', 'end_of_text>')
    fc.assert(
      fc.property(fc.array(fc.oneof(specials, fc.string({ unit: 'binary' })), { maxLength: 8 }), (parts) =>
        tokenize(parts.join('')).every((id) => Number.isInteger(id) && id >= 0 && id < 49406),
      ),
      { numRuns: 500 },
    )
  })

  it('stays fast for a word of 50,000 letters, and for references nested in references', () => {
    const letters = Array.from({ length: 50_000 }, (_, i) => String.fromCharCode(97 + (((i * i) % 8191) % 26))).join('')
    const start = performance.now()
    expect(tokenize(letters).length).toBeGreaterThan(10_000)
    expect(tokenize(`&${'amp;'.repeat(100_000)}`).length).toBeGreaterThan(1000)
    // 50 ms here; quadratic time would be minutes.
    expect(performance.now() - start).toBeLessThan(3000)
  })
})

describe('byte pairs', () => {
  const lines = readFileSync(new URL('../../lib/prompt/data/clip-merges.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')

  // The textbook algorithm on strings: no hashes, no heap.
  const ranks = new Map(lines.map((line, rank) => [line, rank]))
  const printable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  const bytes = Array.from({ length: 256 }, (_, byte) => byte)
  const others = bytes.filter((byte) => !printable(byte))
  const symbol = (byte: number) => String.fromCharCode(printable(byte) ? byte : 0x100 + others.indexOf(byte))
  const inOrder = [...bytes.filter(printable), ...others].map(symbol)
  const tokens = [...inOrder, ...inOrder.map((s) => `${s}</w>`), ...lines.map((line) => line.replace(' ', ''))]
  const ids = new Map(tokens.map((token, id) => [token, id]))
  const textbook = (word: Uint8Array) => {
    let symbols = Array.from(word, symbol)
    symbols[symbols.length - 1] += '</w>'
    for (;;) {
      const found = symbols.slice(1).map((right, i) => ranks.get(`${symbols[i]} ${right}`) ?? Number.POSITIVE_INFINITY)
      const best = Math.min(...found)
      if (best === Number.POSITIVE_INFINITY) return symbols.map((s) => ids.get(s)!)
      const merged: string[] = []
      for (let i = 0; i < symbols.length; i++) {
        const pair = i + 1 < symbols.length && ranks.get(`${symbols[i]} ${symbols[i + 1]}`) === best
        merged.push(pair ? symbols[i]! + symbols[++i]! : symbols[i]!)
      }
      symbols = merged
    }
  }

  it('agree with the textbook form for every token of the vocabulary', () => {
    const byteOf = new Map(bytes.map((byte) => [symbol(byte), byte]))
    expect(ids.size).toBe(49406)
    const wrong = tokens.filter((token) => {
      const word = Uint8Array.from([...token.replace(/<\/w>$/, '')].map((s) => byteOf.get(s)!))
      return encodeWord(word, vocabulary()).join() !== textbook(word).join()
    })
    expect(wrong).toEqual([])
  })

  it('agree with the textbook form for words of few letters, whose merges overlap', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(97, 104, 111, 0xf0, 0x9f, 0x98, 0x80, 33), { minLength: 1, maxLength: 60 }), (word) => {
        const array = Uint8Array.from(word)
        expect(encodeWord(array, vocabulary())).toEqual(textbook(array))
      }),
      { numRuns: 2000 },
    )
  })
})
