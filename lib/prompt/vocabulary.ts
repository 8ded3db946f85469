import { setImmediate } from 'node:timers/promises'
import { SdxlError } from '../errors.js'
import { readDataFile } from './data-file.js'

/** Start of text; end of text, which also pads the first encoder; "," at the end of a word. */
export const startToken = 49406
export const endToken = 49407
export const commaToken = 267
/** Ids of textual inversions begin behind the vocabulary. */
export const firstAddedToken = 49408

/** Merge `rank` makes the token `firstMergeId + rank`: 256 bytes, 256 bytes at a word's end, then the merges in order. */
export const firstMergeId = 512
const mergeCount = 48894
const mergesPerPause = 500 // below a millisecond once the code is warm

export interface Vocabulary {
  /** Id of a UTF-8 byte inside a word; the same byte at a word's end has the id 256 higher. */
  readonly byteIds: Int32Array // [256]
  /** How early the pair of neighbouring ids (left, right) merges, 0 first; -1 where the vocabulary has no such merge. */
  rank(left: number, right: number): number
}

/** Numbers ≥ 0 under signed 32-bit keys, by open addressing: filling a Map takes several times as long. */
class IntegerTable {
  private readonly keys = new Int32Array(1 << 17) // 2.7 times the entries of either table
  private readonly values = new Int32Array(1 << 17).fill(-1)

  private slot(key: number): number {
    let slot = Math.imul(key, 0x9e3779b1) >>> 15
    while (this.values[slot] !== -1 && this.keys[slot] !== key) slot = (slot + 1) & 0x1ffff
    return slot
  }

  /** -1 where nothing was set. */
  get(key: number): number {
    return this.values[this.slot(key)]!
  }

  set(key: number, value: number): void {
    const slot = this.slot(key)
    this.keys[slot] = key
    this.values[slot] = value
  }
}

/**
 * Tokens are known by this instead of by strings, which loads three times faster. FNV-1a with a start value for which no two tokens of
 * the vocabulary collide. The hash of a token goes on from that of its beginning.
 */
function hash(bytes: Uint8Array, from: number, to: number, state = 1): number {
  for (let i = from; i < to; i++) state = Math.imul(state ^ bytes[i]!, 0x01000193)
  return state
}

/** Like Buffer.indexOf, which leaves JavaScript and so costs more than the few bytes to the next match. */
function find(bytes: Uint8Array, byte: number, from: number): number {
  while (from < bytes.length && bytes[from] !== byte) from++
  return from
}

/**
 * CLIP writes bytes as printable characters: these stand for themselves and come first in the vocabulary, the other bytes follow as
 * U+0100, U+0101, …
 */
function byteSymbols(): { byte: number; symbol: string }[] {
  const printable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  const bytes = Array.from({ length: 256 }, (_, byte) => byte)
  return [
    ...bytes.filter(printable).map((byte) => ({ byte, symbol: String.fromCharCode(byte) })),
    ...bytes.filter((byte) => !printable(byte)).map((byte, i) => ({ byte, symbol: String.fromCharCode(0x100 + i) })),
  ]
}

/** Some ten milliseconds of work, so it pauses in between for a caller that has other things to do. */
function* load(): Generator<void, Vocabulary> {
  const byteIds = new Int32Array(256)
  const tokens = new IntegerTable()
  byteSymbols().forEach(({ byte, symbol }, id) => {
    byteIds[byte] = id
    const bytes = Buffer.from(`${symbol}</w>`)
    tokens.set(hash(bytes, 0, bytes.length - 4), id)
    tokens.set(hash(bytes, 0, bytes.length), id + 256)
  })

  yield
  const name = 'clip-merges.txt'
  const file = readDataFile(name) // lines of "left right", in order of rank
  yield
  const merges = new IntegerTable()
  let unknown = 0
  const addMerge = (from: number, space: number, to: number, rank: number) => {
    const leftHash = hash(file, from, space)
    const left = tokens.get(leftHash)
    const right = tokens.get(hash(file, space + 1, to))
    if (left < 0 || right < 0) unknown++
    merges.set((left << 16) | right, rank)
    tokens.set(hash(file, space + 1, to, leftHash), firstMergeId + rank)
  }
  let rank = 0
  for (let from = 0; from < file.length; rank++) {
    const space = find(file, 0x20, from)
    const to = find(file, 0x0a, space)
    addMerge(from, space, to, rank)
    from = to + 1
    if (rank % mergesPerPause === 0) yield
  }
  // A checkout that turned line ends into CR LF would otherwise give wrong ids without a word.
  if (rank !== mergeCount || unknown > 0) {
    const message = `${name}, a file of node-sdxl itself, is damaged: ${rank} of ${mergeCount} merges, ${unknown} of unknown tokens; reinstall the package`
    throw new SdxlError('ERR_INTERNAL', message, { file: name, wanted: mergeCount, found: rank, unknown })
  }
  return { byteIds, rank: (left, right) => merges.get((left << 16) | right) }
}

let loading = load()
let loaded: Vocabulary | undefined

function loadFurther(): void {
  try {
    const { done, value } = loading.next()
    if (done) loaded = value
  } catch (error) {
    loading = load() // the next call fails in the same way instead of finding a generator that has ended
    throw error
  }
}

/** CLIP's vocabulary of 49,408 ids, read from disk at the first call. */
export function vocabulary(): Vocabulary {
  while (!loaded) loadFurther()
  return loaded
}

/** Reads the vocabulary without holding the event loop up, so that later calls find it there. */
export async function prepareVocabulary(): Promise<void> {
  while (!loaded) {
    loadFurther()
    await setImmediate()
  }
}
