import { firstMergeId, type Vocabulary } from './vocabulary.js'

/** Smallest number first. Holds the waiting merges of one word. */
class Heap {
  private readonly items: number[] = []

  get size(): number {
    return this.items.length
  }

  get first(): number {
    return this.items[0]!
  }

  push(value: number): void {
    const { items } = this
    let at = items.length
    items.push(value)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (items[parent]! <= value) break
      items[at] = items[parent]!
      at = parent
    }
    items[at] = value
  }

  pop(): number {
    const { items } = this
    const top = items[0]!
    const value = items.pop()!
    const size = items.length
    if (size === 0) return top
    let at = 0
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && items[child + 1]! < items[child]!) child++
      if (items[child]! >= value) break
      items[at] = items[child]!
      at = child
    }
    items[at] = value
    return top
  }
}

const positions = 2 ** 32

/**
 * Byte-pair encoding of one word: the merge of lowest rank is made at all its places, left to right, until none is left
 * (Sennrich et al. 2016, algorithm 1). n log n in the bytes of the word, where the textbook form is quadratic.
 *
 * @param bytes UTF-8 bytes of a word, at least one
 */
export function encodeWord(bytes: Uint8Array, { byteIds, rank }: Vocabulary): number[] {
  const length = bytes.length
  const ids = new Int32Array(length) // -1: merged into an earlier one
  const next = new Int32Array(length)
  const previous = new Int32Array(length)
  for (let i = 0; i < length; i++) {
    ids[i] = byteIds[bytes[i]!]!
    next[i] = i + 1
    previous[i] = i - 1
  }
  ids[length - 1]! += 256

  // Entries are rank · 2³² + position, so that equal ranks come in the order of the text. An entry may have become void by the time
  // it is popped; its rank tells.
  const waiting = new Heap()
  const rankAt = (at: number) => (at >= 0 && next[at]! < length ? rank(ids[at]!, ids[next[at]!]!) : -1)
  const consider = (at: number) => {
    const found = rankAt(at)
    if (found >= 0) waiting.push(found * positions + at)
  }
  for (let i = 0; i + 1 < length; i++) consider(i)

  const changed: number[] = []
  while (waiting.size > 0) {
    const current = Math.floor(waiting.first / positions)
    // All places of this merge first: a pair that it creates may rank lower still, and must not eat the next place's bytes.
    while (waiting.size > 0 && waiting.first < (current + 1) * positions) {
      const at = waiting.pop() % positions
      if (ids[at] === -1 || rankAt(at) !== current) continue
      const right = next[at]!
      ids[at] = firstMergeId + current
      ids[right] = -1
      next[at] = next[right]!
      if (next[at]! < length) previous[next[at]!] = at
      changed.push(at)
    }
    for (const at of changed) {
      if (ids[at] === -1) continue
      consider(previous[at]!)
      consider(at)
    }
    changed.length = 0
  }
  return Array.from(ids.filter((id) => id >= 0))
}
