// Deterministic values: integer arithmetic and correctly rounded operations only, so that every machine writes the same bits.
import { elements } from './tensors.mjs'

/**
 * @typedef {import('./tensors.mjs').TensorSpec} TensorSpec
 */

/** 32-bit FNV-1a. @type {(text: string, seed: number) => number} */
function hashName(text, seed) {
  let hash = 0x811c9dc5 ^ seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/**
 * A tensor's values are uniform in mean ± amplitude. The rules keep activations near unit variance: weights ±√3/√fan-in, norm weights
 * near 1, small biases. Queries and keys are 1.5 times larger, so that attention is far from uniform.
 *
 * @param {TensorSpec} tensor
 * @returns {{ mean: number, amplitude: number }}
 */
function distribution({ name, shape }) {
  if (name.endsWith('token_embedding.weight')) return { mean: 0, amplitude: 0.5 }
  if (name.endsWith('position_embedding.weight')) return { mean: 0, amplitude: 0.25 }
  if (name.endsWith('.bias')) return { mean: 0, amplitude: 0.125 }
  if (shape.length === 1) return { mean: 1, amplitude: 0.25 }
  const gain = /\.(to_q|to_k|q_proj|k_proj)\.weight$/.test(name) ? 1.5 : 1
  return { mean: 0, amplitude: gain * Math.sqrt(3 / elements(shape.slice(1))) }
}

/**
 * A function that fills `out` with the values of elements `index(0)`, `index(1)`, … of a tensor.
 *
 * @param {TensorSpec} tensor
 * @param {number} seed
 * @returns {(out: Float32Array, index: (i: number) => number) => void}
 */
export function valuesOf(tensor, seed) {
  const { mean, amplitude } = distribution(tensor)
  const state = hashName(`${tensor.component}.${tensor.name}`, seed)
  const scale = amplitude / 0x800000
  return (out, index) => {
    for (let i = 0; i < out.length; i++) {
      let x = (state + Math.imul(index(i), 0x9e3779b9)) | 0
      x = Math.imul(x ^ (x >>> 16), 0x21f0aaad) // the constants of Wellons' "lowbias32" search
      x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
      x ^= x >>> 15
      out[i] = mean + (x >> 8) * scale // a signed 24-bit integer
    }
  }
}
