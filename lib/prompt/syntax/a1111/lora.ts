import { pythonNumber } from '../../python-text.js'
import type { LoraTag } from '../../types.js'
import { brief, type Report } from '../remark.js'

interface Argument {
  readonly text: string
  readonly offset: number
}

/**
 * What `name:te:unet` says; `te=` and `unet=` win over numbers by their place. `te` is 1 by default, `unet` is `te`. Undefined, with a
 * remark, if there is no name or a number is none.
 *
 * @param base where `args` stands in the text that remarks are on
 */
export function loraOf(args: string, base: number, report: Report): LoraTag | undefined {
  const places: Argument[] = []
  const named = new Map<string, Argument>()
  let offset = base
  for (const text of args.split(':')) {
    const equals = text.indexOf('=')
    if (equals < 0 || text.includes('=', equals + 1)) places.push({ text, offset })
    else named.set(text.slice(0, equals), { text: text.slice(equals + 1), offset: offset + equals + 1 })
    offset += text.length + 1
  }
  const name = places[0]?.text
  if (!name) {
    report('E_LORA_ARGS', base, args.length, 'This tag names no LoRA; it is left out.')
    return undefined
  }

  const remark = (code: string, { text, offset: at }: Argument, message: string) =>
    text === '' ? report(code, at - 1, 1, message) : report(code, at, text.length, message)
  let sound = true
  const number = (argument: Argument | undefined, whole: boolean): number | undefined => {
    if (!argument) return undefined
    const value = pythonNumber(argument.text, whole)
    if (value === undefined) {
      sound = false
      const wanted = whole ? 'a whole number' : 'a number'
      remark('E_LORA_ARGS', argument, `${brief(argument.text)} is not ${wanted}; the tag is left out.`)
    }
    return value
  }
  const [, te, unet, dyn, ...rest] = places
  // Every number is read, also one that a named argument replaces: A1111 fails on all of them alike.
  const textEncoder = [number(te, false), number(named.get('te'), false)]
  const own = [number(unet, false), number(named.get('unet'), false)]
  number(dyn, true)
  number(named.get('dyn'), true)
  if (!sound) return undefined

  const ignored = [dyn, ...rest, ...[...named].filter(([key]) => key !== 'te' && key !== 'unet').map(([, argument]) => argument)]
  for (const argument of ignored) {
    if (argument) remark('W_LORA_ARGS', argument, 'This argument of the LoRA tag has no effect here.')
  }
  const strength = textEncoder[1] ?? textEncoder[0] ?? 1
  return { name, textEncoder: strength, unet: own[1] ?? own[0] ?? strength }
}
