import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { generate, loadModel, SdxlError, tinyModel } from '../../lib/index.js'
import { temporaryFolder } from '../support/files.js'

// The real addon, but its engine says it runs where it was asked to, and crashes when told to, as on a GPU after a hardware fault.
interface Switch {
  loads: { device: string; precision: string }[]
  closed: number
  crashed: Set<string>
}
const control: Switch = { loads: [], closed: 0, crashed: new Set() }
Object.assign(globalThis, { crashSwitch: control })
const addon = join(temporaryFolder(), 'crashing.cjs')
writeFileSync(
  addon,
  `const real = require(${JSON.stringify(fileURLToPath(new URL('../../build/native/Release/node-sdxl.node', import.meta.url)))})
  const control = globalThis.crashSwitch
  class Engine extends real.Engine {
    async load(request, ...rest) {
      this.device = request.device
      control.loads.push({ device: request.device, precision: request.precision })
      return { ...(await super.load({ ...request, device: 'cpu', precision: 'auto' }, ...rest)), device: request.device }
    }
    generate(...call) {
      if (!control.crashed.has(this.device)) return super.generate(...call)
      const details = { device: this.device, reason: 'gemm: CUDA_ERROR_ILLEGAL_ADDRESS' }
      return Promise.reject(Object.assign(new Error(this.device + ' has stopped working'), { code: 'ERR_CRASHED', details }))
    }
    close() {
      control.closed++
      return super.close()
    }
  }
  module.exports = { ...real, Engine }`,
)
process.env.NODE_SDXL_ADDON = addon

afterEach(() => {
  control.crashed.clear()
  control.loads.length = 0
  control.closed = 0
})

const request = { prompt: 'a red circle', steps: 1, guidance: 1, seed: 1 }

test('device and precision reach the engine as they were given', async () => {
  for (const device of ['auto', 'cpu', 'cuda', 'cuda:0', 'cuda:11'] as const) await (await loadModel(tinyModel, { device })).close()
  for (const precision of ['fp16', 'bf16', 'fp32'] as const) await (await loadModel(tinyModel, { device: 'cuda', precision })).close()
  expect(control.loads.map(({ device, precision }) => `${device} ${precision}`)).toEqual([
    ...['auto auto', 'cpu auto', 'cuda auto', 'cuda:0 auto', 'cuda:11 auto'],
    ...['cuda fp16', 'cuda bf16', 'cuda fp32'],
  ])
})

test('a crash rejects with ERR_CRASHED and leaves a model of the caller to the caller', async () => {
  const model = await loadModel(tinyModel, { device: 'cuda:0' })
  control.crashed.add('cuda:0')
  for (const job of [model.generate(request), generate({ model, ...request })]) {
    const error = await job.then(undefined, (e: unknown) => e)
    expect(error).toBeInstanceOf(SdxlError)
    expect(error).toMatchObject({ code: 'ERR_CRASHED', details: { device: 'cuda:0', reason: 'gemm: CUDA_ERROR_ILLEGAL_ADDRESS' } })
  }
  expect(control.closed).toBe(0)
  await model.close()
})

test('kept models of a GPU that has crashed are closed, and loaded anew for the next job', async () => {
  const draw = (device: 'cuda:0' | 'cuda:1', precision: 'fp16' | 'bf16' = 'fp16') =>
    generate({ model: tinyModel, device, precision, ...request })
  await Promise.all([draw('cuda:0'), draw('cuda:0', 'bf16'), draw('cuda:1')])
  expect(control.loads).toHaveLength(3)

  // The first is cut off by the closing, and yet told the reason.
  const running = generate({ model: tinyModel, device: 'cuda:0', precision: 'bf16', ...request, steps: 1000 })
  for await (const event of running) if (event.type === 'step') break
  control.crashed.add('cuda:0')
  const results = await Promise.allSettled([running, draw('cuda:0'), draw('cuda:0'), draw('cuda:1')])
  expect(results.map((r) => (r.status === 'rejected' ? r.reason.code : 'done'))).toEqual([
    ...['ERR_CRASHED', 'ERR_CRASHED', 'ERR_CRASHED', 'done'],
  ])
  expect(control.closed).toBe(2)

  control.crashed.clear()
  await Promise.all([draw('cuda:0'), draw('cuda:0', 'bf16'), draw('cuda:1')])
  expect(control.loads).toHaveLength(5)
})
