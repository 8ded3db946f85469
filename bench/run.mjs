// npm run bench -- [--full] [--size 512] [--runs 3] [--threads n] [--python /path/to/python] [--prompts | --loras | --plans]
//
// Time of loading, text encoding, one UNet forward and one VAE decoding, for the tiny model and, with --full, for a synthesised checkpoint
// with SDXL's names and shapes (7 GB in build/bench, written once). With --python, a Python that has torch and Diffusers runs the same
// UNet and VAE beside it, in turn, so that both meet the same machine. Figures are medians with the fastest and slowest run. --prompts
// reads and encodes long prompts instead (bench/prompts.mjs), --loras switches between LoRAs (bench/loras.mjs), --plans makes the plans of all
// samplers (bench/plans.mjs). The single ops are in bench/cpu.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { listDevices, loadModel, tinyModel } from 'node-sdxl'
import { benchLoras } from './loras.mjs'
import { benchPlans } from './plans.mjs'
import { benchPrompts } from './prompts.mjs'
import { median, milliseconds, show } from './times.mjs'

const { values: options } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    size: { type: 'string', default: '512' },
    runs: { type: 'string', default: '3' },
    threads: { type: 'string' },
    python: { type: 'string' },
    prompts: { type: 'boolean', default: false },
    loras: { type: 'boolean', default: false },
    plans: { type: 'boolean', default: false },
  },
})
const runs = Number(options.runs)
const root = fileURLToPath(new URL('..', import.meta.url))

/** A checkpoint of tools/checkpoint, written once. */
function synthesized(spec) {
  const path = `${root}build/bench/${spec}-f16.safetensors`
  if (existsSync(path)) return path
  console.log(`writing the synthetic checkpoint ${spec} to build/bench …`)
  mkdirSync(`${root}build/bench`, { recursive: true })
  execFileSync(process.execPath, [`${root}tools/synthesize-checkpoint.mjs`, spec, `${path}.part`, '--dtype', 'f16'], { stdio: 'inherit' })
  renameSync(`${path}.part`, path)
  return path
}

/** The Diffusers side: a process that runs one forward per line it is sent and answers with milliseconds. */
function startPeer(size) {
  const child = spawn(options.python, [`${root}bench/diffusers_peer.py`, String(size), options.threads ?? ''], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask(part) {
      child.stdin.write(`${part}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error(`the Python process ended while it ran ${part}`)
      return Number(value)
    },
    end: () => child.stdin.end(),
  }
}

/** Ours and the peer's in turn; the first run of each warms up and is not counted. */
async function compare(name, work, peer) {
  const ours = []
  const theirs = []
  for (let i = 0; i <= runs; i++) {
    const time = await milliseconds(work)
    const other = peer && (await peer())
    if (i === 0) continue
    ours.push(time)
    if (peer) theirs.push(other)
  }
  const ratio = peer ? `   Diffusers ${show(theirs)}   ${(median(theirs) / median(ours)).toFixed(2)} × as fast` : ''
  console.log(`  ${name.padEnd(28)} ${show(ours)}${ratio}`)
}

async function measure(name, path, size, peer) {
  console.log(`\n${name}, ${size} × ${size} pixels`)
  const threads = options.threads ? Number(options.threads) : undefined
  let model
  console.log(`  ${'load'.padEnd(28)} ${(await milliseconds(async () => (model = await loadModel(path, { threads })))).toFixed(0)} ms`)
  const { backend, parameters, memory } = model.info
  console.log(
    `  ${backend}; ${(parameters.unet / 1e6).toFixed(1)} M parameters in the UNet; weights take ${(memory.weights / 1e6).toFixed(0)} MB`,
  )

  const side = size / 8
  const noise = (count) => Float32Array.from({ length: count * 4 * side * side }, () => Math.random() * 3 - 1.5)
  const latents = (count) => ({ shape: [count, 4, side, side], data: noise(count) })
  const conditioning = await model.encodePrompt('a lighthouse on a cliff at dusk, oil painting')
  let prompts = 0 // each is another one: a prompt that comes back is not encoded again
  await compare('text encoders, 77 tokens', () => model.encodePrompt(`lighthouse number ${++prompts} on a cliff at dusk`))
  await compare('the same prompt again', () => model.encodePrompt('a lighthouse on a cliff at dusk, oil painting'))
  await compare('UNet forward', () => model.predict({ latents: latents(1), timestep: 500, conditioning }), peer && (() => peer.ask('unet')))
  await compare(
    'UNet forward, batch 2',
    () => model.predict({ latents: latents(2), timestep: 500, conditioning }),
    peer && (() => peer.ask('unet2')),
  )
  await compare('VAE decoding', () => model.decode(latents(1)), peer && (() => peer.ask('vae')))
  console.log(
    `  ${'peak memory'.padEnd(28)} ${(model.info.memory.peak / 1e6).toFixed(0)} MB in the engine, ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB resident`,
  )
  await model.close()
}

const [cpu] = await listDevices()
console.log(`${cpu.name}; ${cpu.features.join(', ')}; Node ${process.version}; ${runs} runs each`)
if (options.prompts) {
  await benchPrompts(options)
  process.exit()
}
if (options.plans) {
  benchPlans()
  process.exit()
}
if (options.loras) {
  const common = { folder: `${root}build/bench`, runs, threads: options.threads ? Number(options.threads) : undefined }
  await benchLoras({ ...common, name: 'tiny synthetic model, fp16 file', spec: 'tiny-a', checkpoint: synthesized('tiny-a'), size: 128 })
  if (options.full)
    await benchLoras({
      ...common,
      name: 'full-size synthetic SDXL, fp16 file',
      spec: 'full',
      checkpoint: synthesized('full'),
      size: Number(options.size),
    })
  process.exit()
}
await measure('tiny model', tinyModel, 128)
if (options.full) {
  const size = Number(options.size)
  const peer = options.python ? startPeer(size) : undefined
  await measure('full-size synthetic SDXL, fp16 file', synthesized('full'), size, peer)
  peer?.end()
}
