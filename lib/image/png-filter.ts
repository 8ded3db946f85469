// The five row filters of PNG, https://www.w3.org/TR/png-3/#9Filters. `stride` is the number of bytes per pixel; bytes left of the
// first pixel count as 0, and so does the row above the first one.

export const filterCount = 5

/** Of left, above and above left, the one nearest to left + above − above left; ties in that order. */
function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner)
  const toAbove = Math.abs(left - corner)
  const toCorner = Math.abs(left + above - 2 * corner)
  if (toLeft <= toAbove && toLeft <= toCorner) return left
  return toAbove <= toCorner ? above : corner
}

/** What the writer tries. None and Average seldom win on rendered pictures, and leaving them out saves two passes of five. */
export const writtenFilters = [1, 2, 4] as const // Sub, Up, Paeth

/**
 * Filters `row` into `out`.
 *
 * @param row, above, out [row bytes]
 */
export function filterRow(
  filter: (typeof writtenFilters)[number],
  row: Uint8Array,
  above: Uint8Array,
  stride: number,
  out: Uint8Array,
): void {
  const length = row.length
  switch (filter) {
    case 1:
      for (let i = 0; i < stride; ++i) out[i] = row[i]!
      for (let i = stride; i < length; ++i) out[i] = row[i]! - row[i - stride]!
      break
    case 2:
      for (let i = 0; i < length; ++i) out[i] = row[i]! - above[i]!
      break
    case 4:
      for (let i = 0; i < stride; ++i) out[i] = row[i]! - above[i]!
      for (let i = stride; i < length; ++i) out[i] = row[i]! - paeth(row[i - stride]!, above[i]!, above[i - stride]!)
      break
  }
}

/** Sum of the bytes' absolute values as signed numbers: the usual guess at how badly a filtered row compresses. */
export function sumOfDifferences(filtered: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < filtered.length; ++i) {
    const byte = filtered[i]!
    sum += byte < 128 ? byte : 256 - byte
  }
  return sum
}

/** Undoes a filter in place: 0 None, 1 Sub, 2 Up, 3 Average, 4 Paeth. */
export function unfilterRow(filter: number, row: Uint8Array, above: Uint8Array, stride: number): void {
  const length = row.length
  switch (filter) {
    case 1:
      for (let i = stride; i < length; ++i) row[i]! += row[i - stride]!
      break
    case 2:
      for (let i = 0; i < length; ++i) row[i]! += above[i]!
      break
    case 3:
      for (let i = 0; i < stride; ++i) row[i]! += above[i]! >> 1
      for (let i = stride; i < length; ++i) row[i]! += (row[i - stride]! + above[i]!) >> 1
      break
    case 4:
      for (let i = 0; i < stride; ++i) row[i]! += above[i]!
      for (let i = stride; i < length; ++i) row[i]! += paeth(row[i - stride]!, above[i]!, above[i - stride]!)
      break
  }
}
