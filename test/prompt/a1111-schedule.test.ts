import { describe, expect, it } from 'vitest'
import { parsePrompt } from '../../lib/prompt/index.js'

function schedule(text: string, steps = 10, negative = false): [until: number, text: string][] {
  return parsePrompt(text, { steps, negative }).subs[0]!.schedule.map((entry) => [entry.until, entry.text])
}

/** "5a 10b" → [[5, 'a'], [10, 'b']] */
function entries(text: string): [until: number, text: string][] {
  return text.split(' ').map((entry) => [Number.parseInt(entry), entry.replace(/^\d+/, '')])
}

describe('schedules', () => {
  it.each([
    ['[a:b:0.5]', '5a 10b'],
    ['[a:b:5]', '5a 10b'],
    ['[a:b:1]', '1a 10b'],
    ['[a:b:1.0]', '10a'],
    ['[a::0.3]', '3a 10'],
    ['[b:0.3]', '3 10b'],
    ['[a:b:-1]', '10b'],
    ['[a:b:0]', '10b'],
    ['[a:b:0.05]', '10b'],
    ['[a:b:1e1]', '10a'],
    ['[a:b: 0.5 ]', '5a 10b'],
    ['[a:b:0.999]', '9a 10b'],
    ['[[a:b:2]:c:5]', '2a 5b 10c'],
    ['[a:b:20]', '10a'],
    ['[a:1.2]', '10'],
    ['[(a:1.2):(b:0.8):0.5]', '5(a:1.2) 10(b:0.8)'],
    ['[a:[b|c]:5]', '1a 2a 3a 4a 5a 6c 7b 8c 9b 10c'],
    ['[a|]c', '1ac 2c 3ac 4c 5ac 6c 7ac 8c 9ac 10c'],
    ['[a|b|c]', '1a 2b 3c 4a 5b 6c 7a 8b 9c 10a'],
    // What a schedule hides counts as well: its steps are entries of their own.
    ['[[a:b:7]:c:2]', '2a 7c 10c'],
    ['[a:[b|c]:20]', '1a 2a 3a 4a 5a 6a 7a 8a 9a 10a'],
    // No number of Python's: white space may stand around it, a byte order mark may not.
    ['[a:b:\x1c.5\x85]', '5a 10b'],
    ['[a:b:\ufeff.5]', '10[a:b:\ufeff.5]'],
  ])('%j are %s in 10 steps', (text, expected) => expect(schedule(text)).toEqual(entries(expected)))

  it('keep the text around them', () => {
    expect(schedule('(x [a:b:0.5]:1.2)')).toEqual([
      [5, '(x a:1.2)'],
      [10, '(x b:1.2)'],
    ])
  })

  it.each(['[a:b:c:0.5]', '[a|b:0.5]', '[a:b:50%]', '[a:b:0,5]', '[a:b:0.5, a|b [c:d:0.5]', '\\[a:b:0.5\\]', '[a:b:3] |', '[a:b:3] \\'])(
    '%j are none',
    (text) => expect(schedule(text)).toEqual([[10, text]]),
  )

  it('truncate, and never round', () => {
    expect(schedule('[a:b:0.29]', 100)[0]).toEqual([28, 'a']) // 0.29 · 100 = 28.999…
    expect(schedule('[a:b:2.9e0]', 1)[0]).toEqual([1, 'a'])
  })

  it('are read in a negative prompt', () =>
    expect(schedule('[a:b:3]', 10, true)).toEqual([
      [3, 'a'],
      [10, 'b'],
    ]))

  it('have their own pieces, one list for equal texts', () => {
    const [first, second, third] = parsePrompt('[(a:1.2)|b BREAK c]', { steps: 3 }).subs[0]!.schedule
    expect(first!.pieces).toEqual([{ text: 'a', weight: 1.2 }])
    expect(second!.pieces).toEqual([
      { text: 'b', weight: 1 },
      { text: 'BREAK', weight: -1 },
      { text: 'c', weight: 1 },
    ])
    expect(third!.pieces).toBe(first!.pieces)
  })

  it('alternate in the least common multiple of their periods', () => {
    const found = schedule('[0|1][0|1|2][0|1|2|3]', 30)
    expect(found).toEqual(Array.from({ length: 30 }, (_, i) => [i + 1, `${i % 2}${i % 3}${i % 4}`]))
  })
})
