// compel's grammar, as its parser (pyparsing) goes about it: the first alternative that matches is taken, for good. The outcome of a
// bracket or quote does not depend on what is around it, so that each is read once, and open ones lie on a stack of their own.
import type { Lora, Node, Place, Word } from './nodes.js'
import { closingQuote, quotedText } from './quoted.js'
import { attendAt, freeWordEnd, loraAt, operatorAt, optionsAt, skip, skipBetweenWords, wordEnd } from './scan.js'

/** Something open: `(…)`, the brackets of a `.swap(…)`, or the whole text. */
interface Frame {
  readonly kind: 'group' | 'swap' | 'whole'
  readonly start: number // of the bracket
  at: number
  readonly children: Node[]
}

interface Item {
  readonly node: Node
  readonly end: number
}

interface Contents {
  readonly children: readonly Node[]
  readonly end: number
}

/** What has to be read first; `start` is its bracket, -1 for the whole text. */
type Pending = Pick<Frame, 'kind' | 'start'>

/** Why a bracket or quote is text: what stands at `at` cannot be in it, or it ends there, at the end of the text, unclosed. */
export interface Failure {
  readonly at: number
}

/** A word outside of brackets and quotes that was not read as syntax. */
export interface FreeWord {
  readonly from: number
  readonly to: number
  /** Whether a group or quoted text without a weight stands before it. */
  readonly behindGroup: boolean
}

const isPending = (found: Item | Pending): found is Pending => 'kind' in found

export class Reader {
  readonly freeWords: FreeWord[] = []
  /** Quoted texts in lists that have free words. */
  readonly freeTexts: Reader[] = []
  private readonly outcomes: (Contents | Failure | undefined)[] // of brackets and quotes, by their offset
  private readonly swaps = new Map<number, Contents | undefined>()
  private whole: readonly Node[] | undefined

  /** @param place where the text stands in the whole one, if it is not that itself */
  constructor(
    readonly text: string,
    readonly place?: Place,
  ) {
    this.outcomes = new Array<undefined>(text.length)
  }

  /** Why the bracket or quote at `at` is text, if it was tried and is. */
  failure(at: number): Failure | undefined {
    const outcome = this.outcomes[at]
    return outcome && 'at' in outcome ? outcome : undefined
  }

  /** A text of words and syntax, to its end. */
  prompt(at: number): Node[] {
    const { text } = this
    const nodes: Node[] = []
    let behindGroup = false
    for (at = skipBetweenWords(text, at); at < text.length; at = skipBetweenWords(text, at)) {
      const found = this.read(at)
      if (found && found.node.kind !== 'word') {
        nodes.push(found.node)
        at = found.end
        behindGroup = found.node.kind === 'group' && found.node.weight === 1
      } else {
        const to = freeWordEnd(text, at)
        nodes.push({ kind: 'word', text: text.slice(at, to) })
        this.freeWords.push({ from: at, to, behindGroup })
        at = to
        behindGroup = false
      }
    }
    return nodes
  }

  /** `(part, part)`, where a part is in brackets or quotes or is one word. */
  list(at: number): { readonly parts: readonly (readonly Node[])[]; readonly end: number } | undefined {
    const { text } = this
    if (text[at] !== '(') return undefined
    const parts: (readonly Node[])[] = []
    do {
      at = skip(text, at + 1)
      const part = this.part(at)
      if (!part) return undefined
      parts.push(part.children)
      at = skip(text, part.end)
    } while (text[at] === ',')
    return text[at] === ')' ? { parts, end: at + 1 } : undefined
  }

  lora(at: number): { readonly node: Lora; readonly end: number } | undefined {
    const lora = loraAt(this.text, at)
    return lora && { node: { kind: 'lora', ...lora.value, ...this.placeOf(at, lora.end) }, end: lora.end }
  }

  private part(at: number): Contents | undefined {
    const target = this.target(at)
    if (target && isPending(target)) {
      this.run(target)
      return this.part(at)
    }
    if (target) return { children: [target.node], end: target.end }
    const close = this.text[at] === '"' ? closingQuote(this.text, at) : -1
    if (close < 0) return undefined
    // What the rules for brackets and quotes do not read may still be a text of free words.
    const inner = this.inner(at, close)
    this.freeTexts.push(inner)
    return { children: inner.prompt(0), end: close + 1 }
  }

  private inner(at: number, close: number): Reader {
    return new Reader(quotedText(this.text.slice(at + 1, close)), this.placeOf(at, close + 1))
  }

  private placeOf(at: number, end: number): Place {
    return this.place ?? { offset: at, length: end - at }
  }

  /** The item at `at` by the rules for brackets, less commas and full stops. */
  private read(at: number): Item | undefined {
    for (;;) {
      const found = this.item(at)
      if (!found || !isPending(found)) return found
      this.run(found)
    }
  }

  private item(at: number): Item | Pending | undefined {
    const lora = this.lora(at)
    if (lora) return lora
    const target = this.target(at)
    if (!target || isPending(target)) return target
    const { node, end } = target
    const weight = operatorAt(this.text, end, node.kind === 'group') ?? attendAt(this.text, skip(this.text, end))
    if (weight) return { node: { kind: 'group', weight: weight.value, children: [node] }, end: weight.end }
    return this.swapped(at, target) ?? target
  }

  private swapped(at: number, { node, end }: Item): Item | Pending | undefined {
    const { text } = this
    const operator = skip(text, end)
    if (!text.startsWith('.swap', operator)) return undefined
    const start = skip(text, operator + '.swap'.length)
    if (text[start] !== '(') return undefined
    if (!this.swaps.has(start)) return { kind: 'swap', start }
    const edited = this.swaps.get(start)
    if (!edited) return undefined
    return { node: { kind: 'swap', original: node, edited: edited.children, ...this.placeOf(at, edited.end) }, end: edited.end }
  }

  /** What an operator can follow: a group, a quoted text, a word. */
  private target(at: number): Item | Pending | undefined {
    const { text } = this
    if (text[at] !== '(' && text[at] !== '"') {
      const end = wordEnd(text, at)
      return end > at ? { node: { kind: 'word', text: text.slice(at, end) }, end } : undefined
    }
    const known = text[at] === '(' ? this.outcomes[at] : this.quoted(at)
    if (!known) return { kind: 'group', start: at }
    return 'children' in known ? { node: { kind: 'group', weight: 1, children: known.children }, end: known.end } : undefined
  }

  private quoted(at: number): Contents | Failure {
    return (this.outcomes[at] ??= this.readQuoted(at))
  }

  private readQuoted(at: number): Contents | Failure {
    const close = closingQuote(this.text, at)
    if (close < 0) return { at: this.text.length }
    const inner = this.inner(at, close)
    const empty: Word = { kind: 'word', text: '' }
    const children = inner.text === '' ? [empty] : inner.all()
    return children ? { children, end: close + 1 } : { at }
  }

  /** The whole text by the rules for brackets, if they read it. */
  private all(): readonly Node[] | undefined {
    this.run({ kind: 'whole', start: -1 })
    return this.whole
  }

  private run(first: Pending): void {
    const frames: Frame[] = []
    const open = ({ kind, start }: Pending) => frames.push({ kind, start, at: start + 1, children: [] })
    for (open(first); frames.length > 0;) {
      const frame = frames[frames.length - 1]!
      const at = skip(this.text, frame.at)
      const stop = this.text[at] === ',' || this.text[at] === '.'
      const found = stop ? this.stopAt(at, frame) : this.item(at)
      if (found && isPending(found)) open(found)
      else if (found) {
        frame.children.push(found.node)
        frame.at = found.end
      } else {
        frames.pop()
        this.close(frame, at)
      }
    }
  }

  private stopAt(at: number, { kind }: Frame): Item | undefined {
    return kind === 'swap' ? undefined : { node: { kind: 'word', text: this.text[at]! }, end: at + 1 }
  }

  /** Nothing that can be in it stands at `at`: it ends there, or is none. */
  private close({ kind, start, children }: Frame, at: number): void {
    const { text } = this
    if (kind === 'whole') this.whole = at === text.length ? children : undefined
    else if (kind === 'group') {
      this.outcomes[start] = text[at] === ')' ? { children, end: at + 1 } : (this.failure(at) ?? { at })
    } else {
      const end = text[at] === ')' ? at + 1 : text[at] === ',' ? optionsAt(text, at + 1)?.end : undefined
      this.swaps.set(start, end === undefined ? undefined : { children, end })
    }
  }
}
