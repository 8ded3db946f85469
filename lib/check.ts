import { SdxlError } from './errors.js'

/** How a rejected value is shown: short, and without calling anything of it. */
export function show(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `${JSON.stringify(value.slice(0, 57))}…` : JSON.stringify(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name} of ${value.byteLength} bytes`
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

/** The error for a value that is not what a field takes. */
export function invalid(field: string, wanted: string, found: unknown): SdxlError {
  const type = found === null ? 'null' : typeof found
  return new SdxlError('ERR_INVALID_ARGUMENT', `Expected ${wanted} for ${field}, received ${show(found)} of type ${type}`, {
    field,
    wanted,
    found: show(found),
  })
}

/** Throws unless `value` is undefined or a finite number that passes. Returns it. */
export function optionalNumber(
  field: string,
  value: unknown,
  wanted: string,
  passes: (value: number) => boolean = () => true,
): number | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value) || !passes(value)) throw invalid(field, wanted, value)
  return value
}

/** Throws unless `value` is undefined or one of `allowed`. Returns it. */
export function optionalChoice<T extends string>(field: string, value: unknown, allowed: readonly T[]): T | undefined {
  if (value === undefined || allowed.includes(value as T)) return value as T | undefined
  throw invalid(field, `one of ${allowed.map((name) => JSON.stringify(name)).join(', ')}`, value)
}

export function optionalBoolean(field: string, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  throw invalid(field, 'a boolean', value)
}

export function optionalFunction<T>(field: string, value: T): T {
  if (value !== undefined && typeof value !== 'function') throw invalid(field, 'a function', value)
  return value
}

export function nonEmptyString(field: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw invalid(field, 'a non-empty string', value)
  return value
}

/** Throws unless `value` is a plain options object that has only `allowed` keys. A `field` that is long to spell may be a function. */
export function checkKeys(field: string | (() => string), value: unknown, allowed: readonly string[]): void {
  const spell = () => (typeof field === 'string' ? field : field())
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(spell(), 'an object', value)
  for (const key of Object.keys(value)) {
    if (allowed.includes(key)) continue
    const owner = spell()
    const name = owner === 'options' || owner === 'request' ? key : `${owner}.${key}`
    throw new SdxlError('ERR_INVALID_ARGUMENT', `Unknown option ${name}; allowed are ${allowed.join(', ')}`, { field: name, allowed })
  }
}
