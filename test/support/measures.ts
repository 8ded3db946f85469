/** The largest difference, relative to the largest value wanted. */
export function relativeError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) return Number.POSITIVE_INFINITY
  let difference = 0
  let scale = 0
  for (let i = 0; i < wanted.length; i++) {
    const d = Math.abs(found[i]! - wanted[i]!)
    if (!(d <= difference)) difference = d // keeps a NaN
    scale = Math.max(scale, Math.abs(wanted[i]!))
  }
  return difference / scale
}

/** Peak signal-to-noise ratio of 8-bit pictures, in decibels. */
export function psnr(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) return 0
  let sum = 0
  for (let i = 0; i < wanted.length; i++) sum += (found[i]! - wanted[i]!) ** 2
  return 10 * Math.log10((255 * 255 * wanted.length) / sum)
}
