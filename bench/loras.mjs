// Switching to a LoRA of rank 32 over all linear layers of the UNet's transformer blocks and all convolutions of its residual blocks, and
// what it costs a UNet forward. Its file is as kohya's scripts write them, in F16.
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { loadModel } from 'node-sdxl'
import { formats } from '../tools/checkpoint/floats.mjs'
import { specs } from '../tools/checkpoint/specs.mjs'
import { checkpointTensors, elements } from '../tools/checkpoint/tensors.mjs'
import { median, milliseconds, show } from './times.mjs'

const rank = 32
const layer = /\.transformer_blocks\..*\.weight$|\.resnets\.\d+\.conv.*\.weight$/

/** The file's tensors: name → shape. */
function loraShapes(spec) {
  const shapes = {}
  for (const { name, shape } of checkpointTensors(specs[spec]).unet) {
    if (!layer.test(name) || shape.length === 1) continue
    const key = `lora_unet_${name.slice(0, -'.weight'.length).replaceAll('.', '_')}`
    const [out, ...rest] = shape
    shapes[`${key}.lora_down.weight`] = [rank, ...rest]
    shapes[`${key}.lora_up.weight`] = shape.length === 4 ? [out, rank, 1, 1] : [out, rank]
  }
  return shapes
}

/** Returns its size in bytes. */
function writeLora(spec, path) {
  const header = {}
  let end = 0
  for (const [name, shape] of Object.entries(loraShapes(spec))) {
    header[name] = { dtype: 'F16', shape, data_offsets: [end, (end += 2 * elements(shape))] }
  }
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  mkdirSync(dirname(path), { recursive: true })
  const file = openSync(path, 'w')
  writeSync(file, Buffer.concat([length, json]))
  const block = formats.f16.encode(Float32Array.from({ length: 1 << 20 }, () => Math.random() * 0.04 - 0.02))
  for (let left = end; left > 0; left -= block.byteLength) writeSync(file, block, 0, Math.min(left, block.byteLength))
  closeSync(file)
  return end
}

/** Takes a file out of the system's cache; only Linux can. */
function forget(path) {
  try {
    execFileSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const report = (name, text) => console.log(`  ${name.padEnd(44)} ${text}`)

/**
 * @param {{ name: string, spec: string, checkpoint: string, folder: string, size: number, runs: number, threads?: number }} what `spec`:
 *   the checkpoint's own; `folder` gets the LoRA
 */
export async function benchLoras({ name, spec, checkpoint, folder, size, runs, threads }) {
  const path = `${folder}/lora-${spec}-rank-${rank}.safetensors`
  const bytes = writeLora(spec, path)
  console.log(`\n${name}, a LoRA of ${(bytes / 1e6).toFixed(1)} MB, ${size} × ${size} pixels`)
  const model = await loadModel(checkpoint, { threads })

  // The prompt is encoded before and the LoRA leaves the text encoders alone: what remains of the call is the switch.
  const prompt = 'a lighthouse on a cliff at dusk'
  const conditioning = await model.encodePrompt(prompt)
  const switchTo = (loras) => milliseconds(() => model.encodePrompt(prompt, { loras }))
  const times = { cold: [], warm: [], again: [], back: [], nothing: [] }
  let strength = 1 // each is another one: what was prepared is kept
  for (let i = 0; i <= runs; i++) {
    const cold = forget(path)
    const [one, other] = [[{ path, weight: (strength -= 0.001) }], [{ path, weight: (strength -= 0.001) }]]
    const run = {
      nothing: await switchTo([]),
      cold: cold ? await switchTo(one) : undefined,
      warm: await switchTo(other),
      back: await switchTo([]),
      again: await switchTo(other),
    }
    await switchTo([])
    if (i > 0) for (const [kind, time] of Object.entries(run)) if (time !== undefined) times[kind].push(time)
  }
  report('the call without a switch', show(times.nothing))
  report('to the LoRA, its file on the disk', times.cold.length ? show(times.cold) : 'unknown: this system keeps files in memory')
  report('to the LoRA, its file in memory', show(times.warm))
  report('to the LoRA, used before', show(times.again))
  report('back to none', show(times.back))

  const side = size / 8
  const latents = { shape: [1, 4, side, side], data: Float32Array.from({ length: 4 * side * side }, () => Math.random() * 3 - 1.5) }
  const forward = (loras) => milliseconds(() => model.predict({ latents, timestep: 500, conditioning, loras }))
  const plain = []
  const adapted = []
  for (let i = 0; i <= runs; i++) {
    const pair = [await forward([]), await forward([{ path, weight: strength }])]
    if (i === 0) continue
    plain.push(pair[0])
    adapted.push(pair[1])
  }
  report('UNet forward', show(plain))
  report('UNet forward with the LoRA', `${show(adapted)}   ${(median(adapted) / median(plain)).toFixed(2)} × as long`)
  await model.close()
}
