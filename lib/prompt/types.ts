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

/** Something in a prompt that may not do what its writer meant. `offset` and `length` are UTF-16 units. */
export interface Diagnostic {
  code: string
  message: string
  offset?: number
  length?: number
}

export interface ParsedPrompt {
  subs: { weight: number; schedule: { until: number /* last step, 1-based */; text: string; pieces: Piece[] }[] }[]
  loras: { name: string; textEncoder: number; unet: number }[]
  diagnostics: Diagnostic[]
}

export type ClosedBy = 'full' | 'comma' | 'break' | 'embedding' | 'end'

/** What one pass of the text encoders sees. */
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
}

export interface PromptReport {
  /** Tokens of the first encoder, without start, end and padding. */
  tokens: number
  /** 75 per chunk. */
  limit: number
  chunks: number
  layout: { used: number; free: number; closedBy: ClosedBy; ids: number[] /* 77 */; weights: number[] /* 77 */ }[]
  diagnostics: Diagnostic[]
}
