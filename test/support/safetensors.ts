import { readFileSync } from 'node:fs'

export interface Stored {
  shape: number[]
  data: Float32Array | Int32Array | Uint8Array
}

const kinds = { F32: Float32Array, I32: Int32Array, U8: Uint8Array } as const

/** All tensors of a small safetensors file, as the golden scripts write them. */
export function readSafetensors(path: string): Record<string, Stored> {
  const file = readFileSync(path)
  const length = Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Record<
    string,
    { dtype: keyof typeof kinds; shape: number[]; data_offsets: [number, number] }
  >
  const tensors: Record<string, Stored> = {}
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const [begin, end] = entry.data_offsets
    // A copy: data in the file is aligned to nothing.
    const bytes = new Uint8Array(file.subarray(8 + length + begin, 8 + length + end))
    tensors[name] = { shape: entry.shape, data: new kinds[entry.dtype](bytes.buffer) }
  }
  return tensors
}
