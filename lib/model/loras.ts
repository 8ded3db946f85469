import type { NativeLoras } from '../../bindings/addon.js'
import { checkKeys, invalid, nonEmptyString, optionalNumber } from '../check.js'
import type { LoraTag } from '../prompt/index.js'
import type { LoraSpec } from '../types.js'

export interface CheckedLora {
  readonly path: string
  readonly unet: number
  readonly textEncoder: number
}

/** @throws SdxlError ERR_INVALID_ARGUMENT naming the first field that is not what it should be */
export function checkLoras(loras: readonly LoraSpec[] | undefined): CheckedLora[] {
  if (loras === undefined) return []
  if (!Array.isArray(loras)) throw invalid('loras', 'an array of { path, weight?, unet?, textEncoder? }', loras)
  return loras.map((lora: LoraSpec, i) => {
    const field = `loras[${i}]`
    checkKeys(field, lora, ['path', 'weight', 'unet', 'textEncoder'])
    const strength = (name: 'weight' | 'unet' | 'textEncoder') => optionalNumber(`${field}.${name}`, lora[name], 'a finite number')
    const weight = strength('weight') ?? 1
    return {
      path: nonEmptyString(`${field}.path`, lora.path),
      unet: strength('unet') ?? weight,
      textEncoder: strength('textEncoder') ?? weight,
    }
  })
}

export function checkLoraDirectory(directory: string | undefined): string | undefined {
  return directory === undefined ? undefined : nonEmptyString('loraDirectory', directory)
}

/** LoRAs by path, and those that a prompt names. */
export function nativeLoras(loras: readonly CheckedLora[], tags: readonly LoraTag[] = [], loraDirectory?: string): NativeLoras {
  return {
    loras: [...loras.map((lora) => ({ ...lora, name: '' })), ...tags.map((tag) => ({ ...tag, path: '' }))],
    loraDirectory: loraDirectory ?? '',
  }
}
