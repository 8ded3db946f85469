/** "Multiply the weights of the pieces [from, to)". */
export interface Multiplication {
  readonly from: number
  readonly to: number
  readonly factor: number
}

// Products up to here are made one by one. Only text made to be slow, thousands of brackets deep, has more.
const exactProducts = 2 ** 24

/**
 * Weight of every piece: 1 times its factors in the order of `multiplications`, which makes the doubles equal to the last bit to those
 * of the reference. Beyond 16 million products in all, the rest is summed up in logarithms: linear time for a rounding error.
 */
export function multiplyWeights(pieces: number, multiplications: readonly Multiplication[]): Float64Array {
  const weights = new Float64Array(pieces).fill(1)
  let done = 0
  let next = 0
  for (; next < multiplications.length; next++) {
    const { from, to, factor } = multiplications[next]!
    done += to - from
    if (done > exactProducts) break
    for (let i = from; i < to; i++) weights[i]! *= factor
  }
  if (next < multiplications.length) multiplyRest(weights, multiplications.slice(next))
  return weights
}

function multiplyRest(weights: Float64Array, multiplications: readonly Multiplication[]): void {
  // Changes at the start of a piece and, negated, behind the range's last one; their running sum holds what applies to a piece.
  const logarithms = new Float64Array(weights.length + 1)
  const negatives = new Int32Array(weights.length + 1)
  const zeros = new Int32Array(weights.length + 1)
  for (const { from, to, factor } of multiplications) {
    const change = factor === 0 ? zeros : logarithms
    const amount = factor === 0 ? 1 : Math.log(Math.abs(factor))
    change[from]! += amount
    change[to]! -= amount
    if (factor < 0) {
      negatives[from]!++
      negatives[to]!--
    }
  }
  let logarithm = 0
  let negative = 0
  let zero = 0
  for (let i = 0; i < weights.length; i++) {
    logarithm += logarithms[i]!
    negative += negatives[i]!
    zero += zeros[i]!
    weights[i]! *= zero > 0 ? 0 : (negative % 2 === 0 ? 1 : -1) * Math.exp(logarithm)
  }
}
