import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { specs } from '../../tools/checkpoint/specs.mjs'
import { type SynthesisOptions, synthesizeCheckpoint } from '../../tools/synthesize-checkpoint.mjs'

/** A complete SDXL of some megabytes, for tests that write many: two levels, and a vocabulary of a few words. */
export const smallSpec = {
  ...specs['tiny-b']!,
  name: 'small',
  unet: { ...specs['tiny-b']!.unet, channels: [32, 64], transformer_depth: [0, 1], mid_depth: 1 },
  text_encoder: { width: 64, layers: 2, mlp: 128 },
  text_encoder_2: { width: 128, layers: 2, mlp: 192, projection: 64 },
  vae: { channels: [32, 64], latent_channels: 4, layers_per_block: 1 },
  vocabulary: 24,
}

/** Writes it anew and returns its path. */
export function writeSmallModel(folder: string, name: string, options: SynthesisOptions & { prediction?: 'epsilon' | 'v' } = {}): string {
  const { prediction = 'epsilon', ...rest } = options
  const path = join(folder, name)
  if (existsSync(path)) rmSync(path, { recursive: true })
  mkdirSync(folder, { recursive: true })
  synthesizeCheckpoint({ ...smallSpec, prediction }, path, { dtype: 'f16', ...rest })
  return path
}
