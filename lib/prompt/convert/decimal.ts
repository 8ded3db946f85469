/** A number in decimal digits without an exponent; reads back as the same double. */
export function decimal(value: number): string {
  const [, sign, whole, fraction = '', exponent] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value))!
  const shift = Number(exponent ?? 0)
  if (shift === 0) return String(value)
  const digits = whole! + fraction
  const point = whole!.length + shift
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return sign + (point >= digits.length ? digits.padEnd(point, '0') : `${digits.slice(0, point)}.${digits.slice(point)}`)
}
