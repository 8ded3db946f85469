// Writes safetensors files piece by piece: memory stays at a few megabytes whatever the file's size.
import { closeSync, openSync, writeSync } from 'node:fs'
import { fileElements } from './single-file-names.mjs'
import { elements } from './tensors.mjs'
import { valuesOf } from './values.mjs'

/**
 * @typedef {import('./single-file-names.mjs').FileTensor} FileTensor
 * @typedef {import('./single-file-names.mjs').Part} Part
 * @typedef {{ format: typeof import('./floats.mjs').formats[string], seed: number, period: number }} Encoding
 */

const PIECE = 1 << 20 // elements computed at a time
const REPEATED = 8 // periods written at a time
const CONSTANT_BYTES = { I64: 8, F32: 4 }

/** @type {(tensor: FileTensor, encoding: Encoding) => number} */
export const fileBytes = (tensor, { format }) => (tensor.constant ? tensor.constant.data.byteLength : fileElements(tensor) * format.bytes)

/** @type {(file: number, bytes: Uint8Array) => void} */
function writeAll(file, bytes) {
  for (let written = 0; written < bytes.byteLength;) written += writeSync(file, bytes, written)
}

/** The elements of a part in file order, in pieces. @type {(part: Part, encoding: Encoding) => Generator<Uint8Array>} */
function* computedPieces({ source, transposed }, { format, seed, period }) {
  const count = elements(source.shape)
  const [rows, columns] = source.shape
  const fill = valuesOf(source, seed)
  const values = new Float32Array(Math.min(PIECE, count))
  for (let start = 0; start < count; start += PIECE) {
    const piece = values.subarray(0, Math.min(PIECE, count - start))
    fill(piece, (i) => {
      const position = start + i
      const index = transposed ? (position % rows) * columns + Math.floor(position / rows) : position
      return index % period
    })
    yield format.encode(piece)
  }
}

/**
 * A part longer than the period: one period is computed, and repeated.
 *
 * @type {(part: Part, encoding: Encoding) => Generator<Uint8Array>}
 */
function* repeatedPieces({ source }, { format, seed, period }) {
  const values = new Float32Array(period)
  valuesOf(source, seed)(values, (i) => i)
  const one = format.encode(values)
  const block = Buffer.alloc(REPEATED * one.byteLength, one)
  let left = elements(source.shape) * format.bytes
  for (; left > block.byteLength; left -= block.byteLength) yield block
  yield block.subarray(0, left)
}

/**
 * Writes one file.
 *
 * @param {string} path
 * @param {FileTensor[]} tensors
 * @param {Record<string, string>} metadata
 * @param {Encoding} encoding
 */
export function writeSafetensors(path, tensors, metadata, encoding) {
  /** @type {Record<string, unknown>} */
  const header = { __metadata__: metadata }
  // Tensors of wider elements first, as the format's own writer does, so that every tensor is aligned to its element.
  /** @type {(tensor: FileTensor) => number} */
  const width = ({ constant }) => (constant ? CONSTANT_BYTES[constant.dtype] : encoding.format.bytes)
  const ordered = tensors.toSorted((a, b) => width(b) - width(a) || (a.name < b.name ? -1 : 1))
  let offset = 0
  for (const tensor of ordered) {
    const end = offset + fileBytes(tensor, encoding)
    header[tensor.name] = { dtype: tensor.constant?.dtype ?? encoding.format.dtype, shape: tensor.shape, data_offsets: [offset, end] }
    offset = end
  }
  const text = Buffer.from(JSON.stringify(header))
  const padded = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ')
  padded.writeBigUInt64LE(BigInt(padded.length - 8))
  text.copy(padded, 8)

  const file = openSync(path, 'w')
  try {
    writeAll(file, padded)
    for (const { parts, constant } of ordered) {
      if (constant) writeAll(file, constant.data)
      for (const part of parts) {
        const repeated = !part.transposed && elements(part.source.shape) > encoding.period
        for (const piece of repeated ? repeatedPieces(part, encoding) : computedPieces(part, encoding)) writeAll(file, piece)
      }
    }
  } finally {
    closeSync(file)
  }
}
