import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface TensorBytes {
  dtype: string
  shape: number[]
  bytes: Buffer
}

export interface TensorFile {
  tensors: Record<string, TensorBytes>
  metadata: Record<string, string>
  /** Where the data begins. */
  start: number
}

/** All tensors of a well-formed safetensors file, whatever their format. A small reader of its own, so that tests rest on nothing they test. */
export function tensorBytes(path: string): TensorFile {
  const file = readFileSync(path)
  const start = 8 + Number(file.readBigUInt64LE())
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(file.toString('utf8', 8, start)) as Record<string, never>
  const tensors: Record<string, TensorBytes> = {}
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype, shape, data_offsets } = entry as { dtype: string; shape: number[]; data_offsets: [number, number] }
    tensors[name] = { dtype, shape, bytes: file.subarray(start + data_offsets[0], start + data_offsets[1]) }
  }
  return { tensors, metadata, start }
}

/** Writes the file anew with these tensors and metadata. */
export function rewriteTensors(path: string, tensors: Record<string, TensorBytes>, metadata: Record<string, string> = {}): void {
  let offset = 0
  const header: Record<string, unknown> = { __metadata__: metadata }
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors))
    header[name] = { dtype, shape, data_offsets: [offset, (offset += bytes.length)] }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  writeFileSync(path, Buffer.concat([length, text, ...Object.values(tensors).map(({ bytes }) => bytes)]))
}

/** What differs between two sets of tensors, in words; empty when they are the same to the last byte. */
export function tensorDifferences(found: Record<string, TensorBytes>, wanted: Record<string, TensorBytes>): string[] {
  const differences: string[] = []
  for (const name of new Set([...Object.keys(found), ...Object.keys(wanted)])) {
    const [a, b] = [found[name], wanted[name]]
    if (!a || !b) differences.push(`${name} is ${a ? 'too much' : 'missing'}`)
    else if (a.dtype !== b.dtype || String(a.shape) !== String(b.shape))
      differences.push(`${name} is ${a.dtype} [${a.shape}], not ${b.dtype} [${b.shape}]`)
    else if (!a.bytes.equals(b.bytes)) differences.push(`${name} holds other values`)
  }
  return differences
}

/** Files below a folder, with their paths inside it, sorted. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .sort()
}
