import type { SynthesisOptions } from '../../tools/synthesize-checkpoint.mjs'

/** Path of a synthetic checkpoint; see checkpoints.mjs. */
export function tinyCheckpoint(name: string, options?: SynthesisOptions): string
