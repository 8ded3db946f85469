import { isWordAt } from '../../python-text.js'
import type { LoraTag } from '../../types.js'
import { Excerpt } from '../excerpt.js'
import { loraOf } from './lora.js'
import { brief, type Report } from '../remark.js'

/** `<word:args>` at [offset, end). */
interface Tag {
  readonly word: string
  readonly args: string
  readonly offset: number
  readonly end: number
}

function* findTags(text: string): Generator<Tag> {
  let close = -1
  for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', at)) {
    const offset = at++
    while (isWordAt(text, at)) at += text.codePointAt(at)! > 0xffff ? 2 : 1
    if (at === offset + 1 || text[at] !== ':') continue
    if (close <= at) close = text.indexOf('>', at)
    if (close < 0) return
    if (close === at + 1) continue
    yield { word: text.slice(offset + 1, at), args: text.slice(at + 1, close), offset, end: close + 1 }
    at = close + 1
  }
}

/** The text without its tags, and what they ask for: of tags that name the same LoRA the last one counts. */
export function takeTags(text: string, report: Report): { text: string; report: Report; loras: LoraTag[] } {
  if (!text.includes('<')) return { text, report, loras: [] }
  const loras = new Map<string, LoraTag>()
  const kept = new Excerpt(text)
  let at = 0
  for (const { word, args, offset, end } of findTags(text)) {
    kept.take(at, offset)
    at = end
    if (word !== 'lora' && word !== 'lyco') {
      const message = `There is no tag ${brief(word)} (lora and lyco are known); it is left out. Put a space behind "<" if it is meant as text.`
      report('E_TAG', offset, end - offset, message)
      continue
    }
    const lora = loraOf(args, end - 1 - args.length, report)
    if (!lora) continue
    if (loras.has(lora.name)) {
      report('W_LORA_TWICE', offset, end - offset, `The LoRA ${brief(lora.name)} is named before; it is applied once, with these numbers.`)
    }
    loras.set(lora.name, lora)
  }
  kept.take(at, text.length)
  return { text: kept.text(), report: kept.reportTo(report), loras: [...loras.values()] }
}

/** In a negative prompt tags are text. */
export function reportTags(text: string, report: Report): void {
  for (const { offset, end } of findTags(text)) {
    const message = `Tags such as ${brief(text.slice(offset, end))} have no effect in a negative prompt: this is text.`
    report('W_TAG_IN_NEGATIVE', offset, end - offset, message)
  }
}
