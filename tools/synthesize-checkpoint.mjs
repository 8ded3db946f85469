#!/usr/bin/env node
// Writes a complete SDXL checkpoint with real names and shapes and deterministic pseudo-random values, for tests and benchmarks.
//
//   node tools/synthesize-checkpoint.mjs <spec> <target> [--layout single-file|diffusers] [--dtype f32|f16|bf16|f8_e4m3]
//                                        [--seed n] [--shards n]
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { diffusersConfigs } from './checkpoint/diffusers-configs.mjs'
import { formats } from './checkpoint/floats.mjs'
import { fileBytes, writeSafetensors } from './checkpoint/safetensors-writer.mjs'
import { diffusersTensors, singleFileTensors } from './checkpoint/single-file-names.mjs'
import { specs } from './checkpoint/specs.mjs'
import { checkpointTensors, elements } from './checkpoint/tensors.mjs'

/**
 * @typedef {import('./checkpoint/specs.mjs').Spec} Spec
 * @typedef {import('./checkpoint/single-file-names.mjs').FileTensor} FileTensor
 * @typedef {import('./checkpoint/safetensors-writer.mjs').Encoding} Encoding
 *
 * @typedef {object} SynthesisOptions
 * @property {'single-file' | 'diffusers'} [layout] default 'single-file'
 * @property {'f32' | 'f16' | 'bf16' | 'f8_e4m3'} [dtype] default 'f16'
 * @property {number} [seed] 32-bit integer, default 0; both layouts hold the same values for the same seed
 * @property {number} [shards] Diffusers layout only: files the UNet is split into, with an index beside them; default 1
 */

/** @param {string | Spec} spec @returns {Spec} */
function resolveSpec(spec) {
  const found = typeof spec === 'string' ? specs[spec] : spec
  if (!found) throw new Error(`There is no spec "${spec}". Known: ${Object.keys(specs).join(', ')}.`)
  return found
}

/**
 * Weights and biases per part, without the markers and buffers a single file carries.
 *
 * @param {string | Spec} spec
 */
export function parameterCounts(spec) {
  const tensors = checkpointTensors(resolveSpec(spec))
  /** @type {(part: keyof typeof tensors) => number} */
  const count = (part) => tensors[part].reduce((sum, tensor) => sum + elements(tensor.shape), 0)
  return { unet: count('unet'), textEncoder: count('text_encoder'), textEncoder2: count('text_encoder_2'), vae: count('vae') }
}

/**
 * Splits a list into runs of about equal size in bytes.
 *
 * @type {(tensors: FileTensor[], shards: number, encoding: Encoding) => FileTensor[][]}
 */
function split(tensors, shards, encoding) {
  const total = tensors.reduce((sum, tensor) => sum + fileBytes(tensor, encoding), 0)
  /** @type {FileTensor[][]} */
  const runs = Array.from({ length: shards }, () => [])
  let before = 0
  for (const tensor of tensors) {
    runs[Math.floor((before * shards) / total)].push(tensor)
    before += fileBytes(tensor, encoding)
  }
  if (runs.some((run) => run.length === 0)) throw new Error(`${tensors.length} tensors cannot be split evenly into ${shards} shards.`)
  return runs
}

/** @type {(folder: string, stem: string, tensors: FileTensor[], shards: number, encoding: Encoding) => void} */
function writeComponent(folder, stem, tensors, shards, encoding) {
  mkdirSync(folder, { recursive: true })
  const metadata = { format: 'pt' } // transformers refuses a file without it
  if (shards === 1) return writeSafetensors(join(folder, `${stem}.safetensors`), tensors, metadata, encoding)
  /** @type {Record<string, string>} */
  const weightMap = {}
  const number = (/** @type {number} */ n) => String(n).padStart(5, '0')
  for (const [i, run] of split(tensors, shards, encoding).entries()) {
    const file = `${stem}-${number(i + 1)}-of-${number(shards)}.safetensors`
    writeSafetensors(join(folder, file), run, metadata, encoding)
    for (const tensor of run) weightMap[tensor.name] = file
  }
  const bytes = tensors.reduce((sum, tensor) => sum + fileBytes(tensor, encoding), 0)
  const index = { metadata: { total_size: bytes }, weight_map: weightMap }
  writeFileSync(join(folder, `${stem}.safetensors.index.json`), `${JSON.stringify(index, null, 2)}\n`)
}

/** @type {(spec: Spec, folder: string, shards: number, encoding: Encoding) => void} */
function writeFolder(spec, folder, shards, encoding) {
  for (const [name, content] of Object.entries(diffusersConfigs(spec))) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), `${JSON.stringify(content, null, 2)}\n`)
  }
  for (const [component, tensors] of Object.entries(checkpointTensors(spec))) {
    if (tensors.length === 0) continue
    const stem = component.startsWith('text_encoder') ? 'model' : 'diffusion_pytorch_model'
    writeComponent(join(folder, component), stem, diffusersTensors(tensors), component === 'unet' ? shards : 1, encoding)
  }
}

/**
 * Writes a checkpoint.
 *
 * @param {string | Spec} spec a name of `specs`, or a spec of one's own
 * @param {string} target a file, or for the Diffusers layout a folder; written over if it exists
 * @param {SynthesisOptions} [options]
 */
export function synthesizeCheckpoint(spec, target, { layout = 'single-file', dtype = 'f16', seed = 0, shards = 1 } = {}) {
  const found = resolveSpec(spec)
  const format = formats[dtype]
  if (!format) throw new Error(`There is no dtype "${dtype}". Known: ${Object.keys(formats).join(', ')}.`)
  if (!Number.isInteger(seed)) throw new Error(`The seed must be an integer, not ${seed}.`)
  if (!Number.isInteger(shards) || shards < 1) throw new Error(`The number of shards must be a positive integer, not ${shards}.`)
  const encoding = { format, seed, period: found.period ?? Number.POSITIVE_INFINITY }
  if (layout === 'diffusers') return writeFolder(found, target, shards, encoding)
  if (layout !== 'single-file') throw new Error(`There is no layout "${layout}". Known: single-file, diffusers.`)
  if (shards !== 1) throw new Error('Only the Diffusers layout can be split into shards.')
  mkdirSync(dirname(target), { recursive: true })
  const metadata = { 'modelspec.architecture': 'stable-diffusion-xl-v1-base', 'modelspec.title': `synthetic ${found.name}` }
  writeSafetensors(target, singleFileTensors(found, checkpointTensors(found)), metadata, encoding)
}

function main() {
  const text = /** @type {const} */ ({ type: 'string' })
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { layout: text, dtype: text, seed: text, shards: text } })
  const [spec, target] = positionals
  if (positionals.length !== 2) {
    throw new Error('Usage: synthesize-checkpoint.mjs <spec> <target> [--layout …] [--dtype …] [--seed n] [--shards n]')
  }
  /** @type {(value: string | undefined) => number | undefined} */
  const number = (value) => (value === undefined ? undefined : Number(value))
  const { layout, dtype } = /** @type {Pick<SynthesisOptions, 'layout' | 'dtype'>} */ (values)
  synthesizeCheckpoint(spec, target, { layout, dtype, seed: number(values.seed), shards: number(values.shards) })
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    main()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
