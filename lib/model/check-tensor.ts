import { checkKeys, invalid } from '../check.js'
import type { SizeConditioning, Tensor } from '../types.js'

/** `shape` gives the sizes wanted; 0 stands for any positive one. */
export function checkTensor(field: string, value: Tensor, shape: readonly number[]): Tensor {
  checkKeys(field, value, ['shape', 'data'])
  const found = value.shape
  const fits =
    Array.isArray(found) &&
    found.length === shape.length &&
    shape.every((n, i) => (n ? found[i] === n : Number.isInteger(found[i]) && found[i]! > 0))
  if (!fits) {
    const shown = shape.map((n) => n || 'any').join(', ')
    throw invalid(`${field}.shape`, `[${shown}]`, Array.isArray(found) ? `[${found.join(', ')}]` : found)
  }
  const elements = found.reduce((a, b) => a * b, 1)
  if (!(value.data instanceof Float32Array) || value.data.length !== elements)
    throw invalid(`${field}.data`, `a Float32Array of ${elements} values`, value.data)
  return value
}

/** @returns original, crop and target, (height, width) each */
export function checkSizes(size: SizeConditioning | undefined, height: number, width: number): Float32Array {
  if (size !== undefined) checkKeys('size', size, ['original', 'crop', 'target'])
  const pair = (field: string, value: unknown, fallback: [number, number]): [number, number] => {
    if (value === undefined) return fallback
    const fits = Array.isArray(value) && value.length === 2 && value.every((n) => typeof n === 'number' && Number.isFinite(n) && n >= 0)
    if (!fits) throw invalid(field, 'a pair (height, width) of numbers ≥ 0', value)
    return value as [number, number]
  }
  return Float32Array.from([
    ...pair('size.original', size?.original, [height, width]),
    ...pair('size.crop', size?.crop, [0, 0]),
    ...pair('size.target', size?.target, [height, width]),
  ])
}
