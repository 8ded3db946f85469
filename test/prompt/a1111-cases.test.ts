import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parsePrompt } from '../../lib/prompt/index.js'

type Pieces = [text: string, weight: number][]
type Subs = [weight: number, schedule: [until: number, text: string][]][]
type Loras = [name: string, textEncoder: number, unet: number][]

/** Written by tools/reference/a1111_prompts.py. */
const golden = JSON.parse(readFileSync(new URL('../golden/prompt/a1111-cases.json', import.meta.url), 'utf8')) as {
  cases: [text: string, options: { steps: number; negative?: boolean; comments?: boolean }, subs: Subs, loras: Loras][]
  pieces: Record<string, Pieces>
}

function changing(subs: Subs): boolean {
  return subs.some(([, schedule]) => schedule.length > 1)
}

describe('whole prompts', () => {
  it('have the texts, steps, weights and LoRAs of the reference', () => {
    expect(golden.cases.length).toBeGreaterThanOrEqual(1500)
    expect(golden.cases.filter(([, , subs]) => changing(subs)).length).toBeGreaterThan(300)
    const wrong = golden.cases.flatMap(([text, options, subs, loras]) => {
      const parsed = parsePrompt(text, options)
      const found = {
        subs: parsed.subs.map(({ weight, schedule }) => [weight, schedule.map((entry) => [entry.until, entry.text])]),
        loras: parsed.loras.map(({ name, textEncoder, unet }) => [name, textEncoder, unet]),
      }
      const wanted = { subs, loras }
      return isDeepStrictEqual(found, wanted) ? [] : [{ text, options, found, wanted }]
    })
    expect(wrong).toEqual([])
  })

  it('have the pieces of the reference, to the last bit', () => {
    let weighted = 0
    const wrong = golden.cases.flatMap(([text, options]) =>
      parsePrompt(text, options).subs.flatMap(({ schedule }) =>
        schedule.filter((entry) => {
          const wanted = golden.pieces[entry.text] ?? [[entry.text, 1]]
          if (golden.pieces[entry.text]) weighted++
          return (
            entry.pieces.length !== wanted.length ||
            entry.pieces.some((piece, i) => piece.text !== wanted[i]![0] || !Object.is(piece.weight, wanted[i]![1]))
          )
        }),
      ),
    )
    expect(wrong).toEqual([])
    expect(weighted).toBeGreaterThan(1000)
  })
})
