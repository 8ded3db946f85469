import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { packageFile } from '../../bindings/package-root.js'
import { convertModel, inspectModel, SdxlError, verifyModel } from '../../lib/index.js'
import { specs } from '../../tools/checkpoint/specs.mjs'
import { synthesizeCheckpoint } from '../../tools/synthesize-checkpoint.mjs'
import { temporaryFolder } from '../support/files.js'
import { smallSpec, writeSmallModel } from '../support/small-model.js'

// What conversions and checks do to the process and the machine they run on.
const folder = temporaryFolder()

describe('memory', () => {
  // SDXL with fewer layers: more than half a gigabyte, of which the largest tensor has 126 MB.
  const path = join(folder, 'large.safetensors')
  const unet = { ...specs.full!.unet, channels: [320, 640, 640], transformer_depth: [0, 1, 1], mid_depth: 1 }
  synthesizeCheckpoint({ ...specs.full, unet, text_encoder_2: { ...specs.full!.text_encoder_2, layers: 2 } }, path, { dtype: 'f16' })
  const bytes = statSync(path).size

  test.each([
    ['to a folder', () => convertModel(path, join(folder, 'large'), { onProgress: measure })],
    ['to another format', () => convertModel(path, join(folder, 'single.safetensors'), { dtype: 'bf16', onProgress: measure })],
    ['to be verified', () => verifyModel(path, { onProgress: measure })],
  ])('stays at some megabytes: %s', async (_, work) => {
    const before = (peak = process.memoryUsage.rss())
    await work()
    console.log(`${(bytes / 1e6).toFixed(0)} MB of weights, ${((peak - before) / 1e6).toFixed(0)} MB of memory`)
    // Two buffers of 4 MB, headers and names. Holding the largest tensor would fail this.
    expect(peak - before).toBeLessThan(60e6)
  })

  let peak = 0
  function measure(): void {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
})

describe('a disk without space', () => {
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', disk]).status === 0
  if (!mounted) console.log('No small disk can be mounted here (that takes root): a full disk is not tested.')

  test.skipIf(!mounted)('is noticed before anything is written', async () => {
    const source = writeSmallModel(folder, 'for-disk.safetensors')
    try {
      for (const name of ['x', 'x.safetensors']) {
        const target = join(disk, name)
        const error = await convertModel(source, target).catch((e) => e)
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', details: { path: target } })
        const { wanted, free } = error.details as { wanted: number; free: number }
        expect(wanted).toBeGreaterThan(statSync(source).size * 0.95)
        expect(free).toBeGreaterThan(0)
        expect(free).toBeLessThanOrEqual(3 * 2 ** 20)
        expect(error.message).toContain(String(wanted))
        expect(readdirSync(disk)).toEqual([])
      }
    } finally {
      spawnSync('umount', [disk])
    }
  })
})

/** A script, for the built package, that converts the large model; `then` is what it does at signs of progress. */
function converting(to: string, then: string): string {
  const call = `convertModel(${JSON.stringify(join(folder, 'large.safetensors'))}, ${JSON.stringify(to)}, { dtype: 'fp32', onProgress })`
  const built = pathToFileURL(packageFile('dist', 'esm', 'lib', 'index.js'))
  return `const onProgress = () => { ${then} }; import('${built}').then(({ convertModel }) => ${call})`
}

test.skipIf(process.platform === 'win32')('a write that fails is an error that names the target, and leaves nothing', () => {
  for (const name of ['target', 'target.safetensors']) {
    const base = join(folder, `limited-${name}`)
    mkdirSync(base)
    const script = `${converting(join(base, name), '')}.catch((e) => console.log(e.code, e.message, e.details.path))`
    // No file may grow beyond some megabytes; with the signal for that ignored, write() fails as it does on a full disk.
    const { stdout } = spawnSync('sh', ['-c', `trap '' XFSZ; ulimit -f 8192; exec "$0" -e "$1"`, process.execPath, script], {
      encoding: 'utf8',
    })
    expect(stdout).toMatch(/^ERR_INVALID_ARGUMENT cannot write /)
    expect(stdout).toContain(join(base, name))
    expect(stdout).not.toContain('.partial')
    expect(readdirSync(base)).toEqual([])
  }
})

test('a process that is killed leaves nothing that outlives the next conversion', async () => {
  const base = join(folder, 'killed')
  mkdirSync(base)
  const script = converting(join(base, 'target.safetensors'), 'console.log(1)')
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.stdout.once('data', () => child.kill('SIGKILL'))
  await ended
  const [left, ...others] = readdirSync(base)
  expect(left).toMatch(/^\.target\.safetensors\.[0-9a-f]{16}\.partial$/)
  expect(others).toEqual([])
  const small = writeSmallModel(folder, 'small.safetensors')
  await convertModel(small, join(base, 'target.safetensors'))
  expect(readdirSync(base)).toContain(left) // it may be another process's work
  const old = new Date(Date.now() - 11 * 60_000)
  utimesSync(join(base, left!), old, old)
  await convertModel(small, join(base, 'target.safetensors'), { dtype: 'fp32', overwrite: true })
  expect(readdirSync(base)).toEqual(['target.safetensors'])
})

test('a process that ends while it converts clears up', async () => {
  const base = join(folder, 'ended')
  mkdirSync(base)
  for (const name of ['target', 'target.safetensors']) {
    const { status, signal } = spawnSync(process.execPath, ['-e', converting(join(base, name), 'process.exit(7)')], { stdio: 'inherit' })
    expect({ status, signal }).toEqual({ status: 7, signal: null })
    expect(readdirSync(base)).toEqual([])
  }
})

test('a worker thread that is ended while it converts clears up', async () => {
  const base = join(folder, 'worker')
  mkdirSync(base)
  const worker = new Worker(converting(join(base, 'target'), "require('node:worker_threads').parentPort.postMessage(1)"), { eval: true })
  await new Promise((resolve) => worker.once('message', resolve))
  await worker.terminate()
  expect(readdirSync(base)).toEqual([])
})

describe('damaged headers', () => {
  const path = join(folder, 'fuzz.safetensors')
  // Vocabularies of one word and the fewest layers: what is written some hundred times should be small.
  synthesizeCheckpoint({ ...smallSpec, vocabulary: 1, unet: { ...smallSpec.unet, channels: [32, 64], transformer_depth: [0, 1] } }, path, {
    dtype: 'f8_e4m3',
  })
  const good = readFileSync(path)
  const length = Number(good.readBigUInt64LE())
  let state = 1
  const random = (n: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % n

  test('never crash, and are never taken for what they are not', async () => {
    const outcomes = new Map<string, number>()
    for (let round = 0; round < 150; round++) {
      const bytes = Buffer.from(good)
      for (let i = 0; i <= random(3); i++) {
        const at = 8 + random(length)
        // A character of a name or number by another, mostly: what is still JSON goes on into the name maps.
        if (random(5) === 0) bytes[at] = random(256)
        else bytes.write(random(2) ? '0123456789'[random(10)]! : '.abcdefghijklmnopqrstuvwxyz_'[random(28)]!, at)
      }
      if (random(8) === 0) bytes.writeUInt32LE(random(2 ** 31), random(5))
      writeFileSync(path, random(10) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes)
      const target = join(folder, round % 2 ? 'fuzzed' : 'fuzzed.safetensors')
      rmSync(target, { recursive: true, force: true })
      for (const work of [() => inspectModel(path), () => verifyModel(path), () => convertModel(path, target)]) {
        const outcome = await work().then(
          () => 'done',
          (error: unknown) => {
            expect(error).toBeInstanceOf(SdxlError)
            expect((error as SdxlError).message).toContain(path)
            return (error as SdxlError).code
          },
        )
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    }
    console.log(Object.fromEntries(outcomes))
    expect(new Set(outcomes.keys())).toEqual(new Set(['done', 'ERR_MODEL_FORMAT']))
    expect(readdirSync(folder).filter((name) => name.endsWith('.partial'))).toEqual([])
  })
})
