/**
 * Solves a few equations by elimination with row exchanges.
 *
 * @param matrix [n][n]
 * @param right  [n]
 * @returns      [n]
 */
export function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!])
  const count = rows.length
  for (let column = 0; column < count; ++column) {
    let pivot = column
    for (let i = column + 1; i < count; ++i) if (Math.abs(rows[i]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = i
    ;[rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!]
    for (let i = column + 1; i < count; ++i) {
      const factor = rows[i]![column]! / rows[column]![column]!
      for (let j = column; j <= count; ++j) rows[i]![j]! -= factor * rows[column]![j]!
    }
  }
  const solution = new Array<number>(count).fill(0)
  for (let i = count - 1; i >= 0; --i) {
    const known = solution.reduce((sum, value, j) => sum + (j > i ? rows[i]![j]! * value : 0), 0)
    solution[i] = (rows[i]![count]! - known) / rows[i]![i]!
  }
  return solution
}
