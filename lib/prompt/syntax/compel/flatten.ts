import type { Piece } from '../../types.js'
import type { Lora, Node, Swap } from './nodes.js'

export interface Flat {
  readonly pieces: readonly Piece[]
  readonly loras: readonly Lora[]
  readonly swaps: readonly Swap[]
}

interface Visit {
  readonly nodes: readonly Node[]
  readonly scale: number
  /** The edited text of a swap, which only its LoRAs are taken from. */
  readonly unused: boolean
  /** For the original text of a swap: how many words there are before it. */
  readonly swapAt: number | undefined
  next: number
}

const escapes = /(?<!\\)\\+(?=[()"])/g // with the look-behind, each run of backslashes is tried once

/** Takes a backslash away in front of brackets and quotes, `times` over, as compel does each time it copies a text. */
function unescape(text: string, times: number): string {
  if (!text.includes('\\')) return text
  return text.replace(escapes, (backslashes) => backslashes.slice(times))
}

/** Joins neighbours of equal weight with a space. */
function fuse(run: readonly Piece[]): Piece[] {
  const fused: Piece[] = []
  for (let from = 0, to = 0; from < run.length; from = to) {
    const { weight } = run[from]!
    while (to < run.length && run[to]!.weight === weight) to++
    const length = to - from
    // A text is copied when it is read, when it gets its weight, and at each join from its own on.
    const words = run.slice(from, to).map(({ text }, i) => unescape(text, 2 + (length > 1 ? length - Math.max(i, 1) : 0)))
    fused.push({ text: words.join(' '), weight })
  }
  return fused
}

/** Pieces of a text: weights multiplied from the outside in. Of a swap the original text is taken, which joins with nothing around it. */
export function flatten(nodes: readonly Node[]): Flat {
  const runs: Piece[][] = [[]]
  const loras: Lora[] = []
  const swaps: Swap[] = []
  let words = 0
  const visits: Visit[] = [{ nodes, scale: 1, unused: false, swapAt: undefined, next: 0 }]
  const put = (text: string, weight: number) => {
    runs[runs.length - 1]!.push({ text, weight })
    words++
  }
  while (visits.length > 0) {
    const visit = visits[visits.length - 1]!
    const { scale, unused } = visit
    const node = visit.nodes[visit.next++]
    if (!node) {
      visits.pop()
      if (visit.swapAt === undefined) continue
      if (words === visit.swapAt) put('', scale)
      runs.push([])
    } else if (node.kind === 'lora') loras.push(node)
    else if (node.kind === 'group') {
      // Infinity times 0 would be NaN.
      const product = Math.min(scale * node.weight, Number.MAX_VALUE)
      visits.push({ nodes: node.children, scale: product, unused, swapAt: undefined, next: 0 })
    } else if (node.kind === 'swap') {
      swaps.push(node)
      runs.push([])
      visits.push({ nodes: node.edited, scale, unused: true, swapAt: undefined, next: 0 })
      visits.push({ nodes: [node.original], scale, unused, swapAt: unused ? undefined : words, next: 0 })
    } else if (!unused) put(node.text, scale)
  }
  return { pieces: runs.flatMap(fuse), loras, swaps }
}
