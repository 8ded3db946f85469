// Events while a job runs, and three ways to end it early: a signal, cancel(), and the time limit of AbortSignal.timeout.
import { loadModel, tinyModel } from 'node-sdxl'

const model = await loadModel(tinyModel, {
  onProgress: ({ phase, loaded, total }) => console.log(phase, `${Math.round((100 * loaded) / total)} %`),
})

// The engine stops within one block of the UNet; the job rejects with the signal's reason.
const limited = model.generate({ prompt: 'a pink ring on a green background', steps: 1000, signal: AbortSignal.timeout(500) })
try {
  for await (const event of limited)
    if (event.type === 'step') console.log(`step ${event.step} of ${event.steps} at σ ${event.sigma.toFixed(2)}`)
} catch (error) {
  console.log(`ended: ${error.name}`)
}

const job = model.generate({ prompt: 'a pink ring on a green background', steps: 20 })
job.cancel(new Error('changed my mind'))
await job.then(null, (error) => console.log(`ended: ${error.message}`))

await model.close()
