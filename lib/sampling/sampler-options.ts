import { checkKeys, invalid, optionalBoolean, optionalChoice, optionalNumber } from '../check.js'

/** A whole number within limits. */
export interface IntegerOption {
  readonly default: number
  readonly from: number
  readonly to: number
}

/** What an option of a sampler takes: numbers of at least 0 (the default), one of some texts (the first by default), or integers. */
export type OptionSpec = number | readonly [string, ...string[]] | IntegerOption

export type OptionValues<Options extends Readonly<Record<string, OptionSpec>>> = {
  readonly [Name in keyof Options]: Options[Name] extends readonly string[] ? Options[Name][number] : number
}

/** An option of whole numbers from `from` to `to`, `value` by default. */
export const integer = (value: number, from: number, to: number): IntegerOption => ({ default: value, from, to })

/** Checks what was given for a sampler's options and fills in the defaults. */
export function readOptions<Options extends Readonly<Record<string, OptionSpec>>>(
  options: Options,
  given: Record<string, unknown>,
): { values: OptionValues<Options>; zeroTerminalSnr: boolean | undefined } {
  checkKeys('options', given, [...Object.keys(options), 'zeroTerminalSnr'])
  const values = Object.fromEntries(Object.entries(options).map(([name, spec]) => [name, readOption(name, spec, given[name])]))
  return { values: values as OptionValues<Options>, zeroTerminalSnr: optionalBoolean('zeroTerminalSnr', given.zeroTerminalSnr) }
}

function readOption(name: string, spec: OptionSpec, value: unknown): number | string {
  if (typeof spec === 'number') return optionalNumber(name, value, 'a finite number of at least 0', (v) => v >= 0) ?? spec
  if ('from' in spec) {
    if (value === undefined) return spec.default
    if (Number.isInteger(value) && (value as number) >= spec.from && (value as number) <= spec.to) return value as number
    throw invalid(name, `an integer from ${spec.from} to ${spec.to}`, value)
  }
  return optionalChoice(name, value, spec) ?? spec[0]
}
