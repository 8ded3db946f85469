/** How a prompt is read. All fields have defaults; see docs/prompts.md. */
export interface PromptOptions {
  /** Default 'a1111'. */
  syntax?: 'a1111' | 'comfy' | 'compel' | 'novelai' | 'plain'
  /** How weights act on the encoders' output, default 'a1111'. */
  emphasis?: 'a1111' | 'no-norm' | 'comfy' | 'compel' | 'ignore'
  chunk?: {
    /** Tokens per chunk; 75 is the only size the encoders have. */
    size?: 75
    /** How many tokens back a full chunk may be cut at a comma, 0 (never) to 74; default 20. */
    backtrack?: number
  }
  /** Default true. */
  zeroEmptyNegative?: boolean
  /** 1 = the model's normal layer, the default. */
  clipSkip?: number
  /** Text for the second encoder only. */
  prompt2?: string
  /** Whether everything from "#" to the end of its line is left out, as A1111 does by default; default false. */
  comments?: boolean
  /** Syntax slips become ERR_PROMPT; default false. */
  strict?: boolean
}

/** Part of a prompt without syntax: its text is taken as it stands. */
export interface PromptPart {
  text: string
  /** Default 1. */
  weight?: number
}

/** Text of one weight. A BREAK is the piece `{ text: 'BREAK', weight: -1 }`. */
export interface Piece {
  readonly text: string
  readonly weight: number
}

/** What a prompt says during some of the steps. */
export interface PromptEntry {
  /** The last step it is for, from 1. */
  readonly until: number
  readonly text: string
  readonly pieces: readonly Piece[]
  /**
   * Compel's `.blend()`: the conditioning is the sum of these texts' conditionings times their weights. `pieces` are then those of the
   * first one.
   */
  readonly blend?: readonly { readonly weight: number; readonly pieces: readonly Piece[] }[]
  /**
   * Compel's `.and()`: how much of each stretch between BREAKs there is, E + strength · (Z − E) with E the states of the empty prompt.
   * Default: 1 each.
   */
  readonly strengths?: readonly number[]
  /** The text of which the pooled vector is made, cut behind 75 tokens. Default: the first chunk of `pieces`. */
  readonly pooledText?: string
}

/** A prompt between ANDs: its prediction counts `weight` times, and what it says may change from step to step. */
export interface SubPrompt {
  readonly weight: number
  readonly schedule: readonly PromptEntry[]
}

export interface LoraTag {
  readonly name: string
  readonly textEncoder: number
  readonly unet: number
}

/** Something in a prompt that may not do what its writer meant. `offset` and `length` are UTF-16 units. */
export interface Diagnostic {
  code: string
  message: string
  offset?: number
  length?: number
}

export interface ParsedPrompt {
  readonly subs: readonly SubPrompt[]
  readonly loras: readonly LoraTag[]
  readonly diagnostics: readonly Diagnostic[]
}

export type ClosedBy = 'full' | 'comma' | 'break' | 'embedding' | 'end'

/**
 * Tokens of a piece lighter than 1: with emphasis 'compel' an encoding that they are hidden from is `share` of the whole. A piece that goes
 * on in the next chunk is there again.
 */
export interface Hidden {
  /** Rows of the chunk, start token included: [from, to). */
  readonly from: number
  readonly to: number
  readonly share: number
}

/** What one pass of the text encoders sees. Ids from 49408 on are vectors of textual inversions. */
export interface Chunk {
  /** First encoder: start, tokens, then end tokens. */
  readonly ids: Int32Array // [77]
  /** Second encoder: start, tokens, one end token, then 0. Other tokens than in `ids` only with `prompt2`. */
  readonly ids2: Int32Array // [77]
  /** 1 for start, end and padding. */
  readonly weights: Float32Array // [77]
  readonly weights2: Float32Array // [77]
  /** Tokens without start and end. The second encoder's end of text, where the pooled vector is read, is at `used2 + 1`. */
  readonly used: number
  readonly used2: number
  /** Why the first encoder's text ends here. */
  readonly closedBy: ClosedBy
  /** Whether that end lies inside a word. */
  readonly cutsWord: boolean
  /** See PromptEntry.strengths. */
  readonly strength: number
  readonly hidden: readonly Hidden[]
  readonly hidden2: readonly Hidden[]
}

/** A text as the encoders get it. */
export interface EncoderText {
  /** The conditioning is the sum of all texts' times their weights; see PromptEntry.blend. */
  readonly weight: number
  readonly chunks: readonly Chunk[]
  /** Tokens of the second encoder for the pooled vector, where it is not the first chunk's. */
  readonly pooled: Int32Array | undefined // [77]
}

/** What a prompt says until some step. Steps with the same text share the array of texts. */
export interface LayoutEntry {
  readonly until: number
  readonly text: string
  readonly texts: readonly EncoderText[] // of as many chunks each
}

export interface PromptReport {
  /** Tokens of the first encoder, without start, end and padding. */
  tokens: number
  /** 75 per chunk. */
  limit: number
  chunks: number
  layout: ChunkReport[]
  /**
   * All texts of a prompt with schedules, alternation or AND; what stands above is about the longest. `sub` counts what AND separates,
   * `until` are the last steps that the text is for, from 1.
   */
  texts?: { sub: number; until: number[]; text: string; tokens: number; chunks: number; layout: ChunkReport[] }[]
  diagnostics: Diagnostic[]
}

export interface ChunkReport {
  used: number
  free: number
  closedBy: ClosedBy
  ids: number[] // 77
  weights: number[] // 77
}
