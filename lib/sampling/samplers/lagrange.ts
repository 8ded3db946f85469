/** Nodes and weights of Gauss's quadrature with 8 points on −1 … 1, the positive half: exact for polynomials up to degree 15. */
const gauss = [
  [0.1834346424956498, 0.3626837833783621],
  [0.525532409916329, 0.3137066458778873],
  [0.7966664774136267, 0.2223810344533745],
  [0.9602898564975363, 0.1012285362903763],
] as const

/** ∫ f from `from` to `to`; exact for polynomials up to degree 15. */
export function integrate(f: (x: number) => number, from: number, to: number): number {
  const [middle, half] = [(from + to) / 2, (to - from) / 2]
  return half * gauss.reduce((sum, [node, weight]) => sum + weight * (f(middle - half * node) + f(middle + half * node)), 0)
}

/** The polynomial that is 1 at the j-th node and 0 at the others. */
export function lagrange(nodes: readonly number[], j: number, x: number): number {
  return nodes.reduce((product, node, k) => (k === j ? product : (product * (x - node)) / (nodes[j]! - node)), 1)
}
