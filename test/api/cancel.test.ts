import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generate, loadModel, type Model, tinyModel } from '../../lib/index.js'

const endless = { prompt: 'a red circle on a blue background', steps: 1000, guidance: 4, seed: 1 }
const reason = new Error('enough')

let model: Model
beforeAll(async () => {
  model = await loadModel(tinyModel)
})
afterAll(() => model.close())

/** Resolves when the job's first step is done. */
async function running(job: AsyncIterable<{ type: string }>): Promise<void> {
  for await (const _ of job) return
}

describe('a job is ended with the reason given', () => {
  test('by a signal that is aborted already', async () => {
    await expect(model.generate({ ...endless, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  test('by a signal while it runs', async () => {
    const controller = new AbortController()
    const job = model.generate({ ...endless, signal: controller.signal })
    await running(job)
    controller.abort(reason)
    await expect(job).rejects.toBe(reason)
  })

  test('by cancel(), before it has begun and while it runs', async () => {
    const job = model.generate(endless)
    job.cancel(reason)
    await expect(job).rejects.toBe(reason)
    const other = model.generate(endless)
    await running(other)
    other.cancel(reason)
    await expect(other).rejects.toBe(reason)
  })

  test('which is an AbortError when none is', async () => {
    const job = model.generate(endless)
    await running(job)
    job.cancel()
    await expect(job).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('and so is who iterates', async () => {
    const job = model.generate(endless)
    await expect(
      (async () => {
        for await (const _ of job) job.cancel(reason)
      })(),
    ).rejects.toBe(reason)
  })

  test('also while the model loads', async () => {
    const controller = new AbortController()
    const job = generate({ model: tinyModel, threads: 1, ...endless, signal: controller.signal })
    controller.abort(reason)
    await expect(job).rejects.toBe(reason)
    await expect(loadModel(tinyModel, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(
      loadModel(tinyModel, {
        onProgress: () => {
          throw reason
        },
      }),
    ).rejects.toBe(reason)
  })
})

test('it stops within a block of the UNet', async () => {
  // 512 × 512: a step takes many times as long as one of its blocks.
  const large = { ...endless, width: 512, height: 512 }
  const job = model.generate(large)
  const steps: number[] = []
  for await (const event of job) if (event.type === 'step' && steps.push(event.milliseconds) === 2) break
  const begun = performance.now()
  job.cancel(reason)
  await expect(job).rejects.toBe(reason)
  const latency = performance.now() - begun
  console.log(`a step takes ${steps[1]!.toFixed(0)} ms, cancelling took ${latency.toFixed(0)} ms`)
  // There are 20 blocks; a third of a step allows for uneven ones and a busy machine.
  expect(latency).toBeLessThan(steps[1]! / 3 + 20)
})

test('a waiting job ends at once, without the one before it', async () => {
  const first = model.generate(endless)
  const second = model.generate(endless)
  await running(first)
  second.cancel(reason)
  await expect(second).rejects.toBe(reason)
  first.cancel(reason)
  await expect(first).rejects.toBe(reason)
})

test('jobs run in the order they were asked for', async () => {
  const ended: number[] = []
  const jobs = [3, 1, 2].map((steps, i) => model.generate({ ...endless, steps }).then(() => ended.push(i)))
  await Promise.all(jobs)
  expect(ended).toEqual([0, 1, 2])
})

describe('jobs of several calls of the engine', () => {
  const twice = { hires: { scale: 1.5, strength: 0.5, steps: 2 } }

  test('keep their place among the others', async () => {
    const ended: number[] = []
    const requests = [{ ...twice, steps: 3 }, { steps: 1 }, { ...twice, steps: 1 }, { steps: 2 }]
    await Promise.all(requests.map((request, i) => model.generate({ ...endless, ...request }).then(() => ended.push(i))))
    expect(ended).toEqual([0, 1, 2, 3])
  })

  test('let those that wait be cancelled, and mistakes in them be told at once', async () => {
    const first = model.generate({ ...endless, ...twice })
    const waiting = [model.generate(endless), model.generate({ ...endless, ...twice })]
    for (const job of waiting) {
      job.cancel(reason)
      await expect(job).rejects.toBe(reason)
    }
    const unknown = { sampler: 'nothing' }
    for (const request of [unknown, { ...twice, ...unknown }, { hires: { strength: 0 } }]) {
      const job = model.generate({ ...endless, ...request })
      await expect(job).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
    }
    await running(first)
    first.cancel(reason)
    await expect(first).rejects.toBe(reason)
    const { images } = await model.generate({ ...endless, steps: 1 })
    expect(images).toHaveLength(1)
  })

  test('are cancelled by closing, and so is what waits for them', async () => {
    const other = await loadModel(tinyModel)
    const jobs = [{ ...endless, ...twice }, endless, { ...endless, ...twice }].map((request) => other.generate(request))
    const outcomes = Promise.allSettled(jobs)
    await running(jobs[0]!)
    await other.close()
    const closed = { status: 'rejected', reason: { code: 'ERR_CLOSED' } }
    expect(await outcomes).toMatchObject([closed, closed, closed])
  })
})

test('the model works on after a cancelled job', async () => {
  const wanted = await model.generate({ ...endless, steps: 2 })
  const job = model.generate(endless)
  await running(job)
  job.cancel(reason)
  await expect(job).rejects.toBe(reason)
  const found = await model.generate({ ...endless, steps: 2 })
  expect(found.images[0]!.data).toEqual(wanted.images[0]!.data)
})

describe('closing', () => {
  test('cancels what runs and what waits, frees, and may be repeated', async () => {
    const other = await loadModel(tinyModel)
    const jobs = [other.generate(endless), other.generate(endless)]
    const outcomes = Promise.allSettled(jobs)
    await running(jobs[0]!)
    await Promise.all([other.close(), other.close()])
    const closed = { status: 'rejected', reason: { code: 'ERR_CLOSED' } }
    expect(await outcomes).toMatchObject([closed, closed])
    await expect(other.generate(endless)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(other.encodePrompt('a')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await other[Symbol.asyncDispose]()
  })

  test('a model that generate() keeps is loaded anew after it was closed', async () => {
    const request = { model: tinyModel, threads: 2, prompt: 'a red circle', steps: 1, seed: 1 }
    const { images } = await generate(request)
    expect((await generate(request)).images[0]!.data).toEqual(images[0]!.data)
  })
})
