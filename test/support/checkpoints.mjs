// Synthetic checkpoints for tests, written once and kept in build/test-checkpoints.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { synthesizeCheckpoint } from '../../tools/synthesize-checkpoint.mjs'

/** @typedef {import('../../tools/synthesize-checkpoint.mjs').SynthesisOptions} SynthesisOptions */

const FOLDER = fileURLToPath(new URL('../../build/test-checkpoints/', import.meta.url))

/** Raise it when tools/checkpoint writes other bytes for the same options: it is part of the files' names. */
const VERSION = 1

/**
 * Path of a synthetic checkpoint: a file, or a folder in the Diffusers layout. The first call writes it. Treat it as read-only.
 * Without options it is the fp32 single file that the golden values of test/golden/models were computed with.
 *
 * @param {string} name a spec of tools/checkpoint/specs.mjs
 * @param {SynthesisOptions} [options]
 * @returns {string}
 */
export function tinyCheckpoint(name, { layout = 'single-file', dtype = 'f32', seed = 0, shards = 1 } = {}) {
  const stem = `${name}-${layout}-${dtype}-${seed}-${shards}-v${VERSION}`
  const path = join(FOLDER, layout === 'single-file' ? `${stem}.safetensors` : stem)
  if (existsSync(path)) return path
  mkdirSync(FOLDER, { recursive: true })
  // Test processes run side by side: each writes under a name of its own, and the first to finish gives it its final name.
  const unfinished = join(FOLDER, `unfinished-${process.pid}-${stem}`)
  try {
    synthesizeCheckpoint(name, unfinished, { layout, dtype, seed, shards })
    if (!existsSync(path)) renameSync(unfinished, path)
  } catch (error) {
    if (!existsSync(path)) throw error // a folder renamed onto a full one fails; then the other process was first
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return path
}
