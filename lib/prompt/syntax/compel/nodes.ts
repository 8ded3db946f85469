/** A word, or a comma or full stop in brackets. `\(`, `\)` and `\"` in it are still to be taken apart. */
export interface Word {
  readonly kind: 'word'
  readonly text: string
}

export interface Group {
  readonly kind: 'group'
  readonly weight: number
  readonly children: readonly Node[]
}

/** Where something stands in the whole text. */
export interface Place {
  readonly offset: number
  readonly length: number
}

/** `original.swap(edited)` */
export interface Swap extends Place {
  readonly kind: 'swap'
  readonly original: Node
  readonly edited: readonly Node[]
}

export interface Lora extends Place {
  readonly kind: 'lora'
  readonly name: string
  readonly weight: number
}

export type Node = Word | Group | Swap | Lora
