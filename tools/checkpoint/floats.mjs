// float32 to the narrower formats of checkpoints, rounded to nearest, ties to even.

/**
 * Rounds float32 bits to a format with fewer exponent and mantissa bits, subnormal numbers included.
 *
 * @param {number} bits
 * @param {{ bias: number, mantissa: number, largest: number, overflow: number }} format `largest` finite code and the code beyond it
 */
function narrow(bits, { bias, mantissa, largest, overflow }) {
  const magnitude = bits & 0x7fffffff
  const exponent = (magnitude >>> 23) - 127 + bias
  const normal = exponent > 0
  const dropped = 23 - mantissa + (normal ? 0 : 1 - exponent)
  if (dropped > 24) return 0 // below half of the smallest number
  const significand = normal ? (exponent << 23) | (magnitude & 0x7fffff) : (magnitude & 0x7fffff) | 0x800000
  const half = (1 << (dropped - 1)) - 1
  const code = (significand + half + ((significand >>> dropped) & 1)) >>> dropped
  return code > largest ? overflow : code
}

const F16 = { bias: 15, mantissa: 10, largest: 0x7bff, overflow: 0x7c00 }
const F8_E4M3 = { bias: 7, mantissa: 3, largest: 0x7e, overflow: 0x7f } // "fn": no infinity, the largest code is NaN

/** @type {(values: Float32Array) => Uint32Array} */
const bitsOf = (values) => new Uint32Array(values.buffer, values.byteOffset, values.length)

/** @type {(view: { buffer: ArrayBufferLike, byteOffset: number, byteLength: number }) => Uint8Array} */
const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

/** @param {Float32Array} values */
function encodeF16(values) {
  const bits = bitsOf(values)
  const codes = new Uint16Array(bits.length)
  for (let i = 0; i < bits.length; i++) codes[i] = ((bits[i] >>> 16) & 0x8000) | narrow(bits[i], F16)
  return bytesOf(codes)
}

/** @param {Float32Array} values */
function encodeBf16(values) {
  const bits = bitsOf(values)
  const codes = new Uint16Array(bits.length)
  for (let i = 0; i < bits.length; i++) codes[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16
  return bytesOf(codes)
}

/** @param {Float32Array} values */
function encodeF8(values) {
  const bits = bitsOf(values)
  const codes = new Uint8Array(bits.length)
  for (let i = 0; i < bits.length; i++) codes[i] = ((bits[i] >>> 24) & 0x80) | narrow(bits[i], F8_E4M3)
  return codes
}

/**
 * The number formats a checkpoint can be written in, by option name. `encode` takes finite values.
 *
 * @type {Readonly<Record<string, { dtype: string, bytes: number, encode: (values: Float32Array) => Uint8Array }>>}
 */
export const formats = {
  f32: { dtype: 'F32', bytes: 4, encode: bytesOf },
  f16: { dtype: 'F16', bytes: 2, encode: encodeF16 },
  bf16: { dtype: 'BF16', bytes: 2, encode: encodeBf16 },
  f8_e4m3: { dtype: 'F8_E4M3', bytes: 1, encode: encodeF8 },
}
