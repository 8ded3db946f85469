// Equal weights make one fragment, so that they must be the same doubles everywhere. Math.pow is off in the last bit for some exponents.
const known = new Map<number, Map<number, number>>()
const exactUpTo = 1000 // beyond, no 32-bit float holds the weight, or it is 0 for all purposes

function exactPower(base: number, exponent: number): number {
  const product = BigInt(base * 2 ** 53) ** BigInt(exponent)
  const dropped = Math.max(0, product.toString(16).length * 4 - 64)
  const head = product >> BigInt(dropped)
  // The last bit says whether anything was cut off, which is all that rounding to 53 bits needs to know of it.
  const sticky = head << BigInt(dropped) === product ? head : head | 1n
  return Number(sticky) * 2 ** (dropped - 53 * exponent)
}

/** The double nearest to a base, from 0.5 to 2, to the power of a positive integer. */
export function power(base: number, exponent: number): number {
  if (exponent > exactUpTo) return Math.min(base ** exponent, Number.MAX_VALUE)
  let powers = known.get(base)
  if (!powers) known.set(base, (powers = new Map()))
  let value = powers.get(exponent)
  if (value === undefined) powers.set(exponent, (value = exactPower(base, exponent)))
  return value
}
