export interface SynthesisOptions {
  layout?: 'single-file' | 'diffusers'
  dtype?: 'f32' | 'f16' | 'bf16' | 'f8_e4m3'
  seed?: number
  shards?: number
}
/** `spec`: a name of checkpoint/specs.mjs, or a spec of one's own. */
export function parameterCounts(spec: string | object): { unet: number; textEncoder: number; textEncoder2: number; vae: number }
export function synthesizeCheckpoint(spec: string | object, target: string, options?: SynthesisOptions): void
