// A handler as serverless platforms call it: `{ id, input }` in, JSON out. Try it: node examples/runpod-handler.mjs
import { pathToFileURL } from 'node:url'
import { generate, SdxlError, tinyModel } from 'node-sdxl'

const model = process.env.MODEL ?? tinyModel

export async function handler(job) {
  const { prompt, negative_prompt, width, height, num_inference_steps, guidance_scale, seed } = job.input ?? {}
  try {
    const result = await generate({
      model, // loaded at the first job and kept
      prompt,
      negativePrompt: negative_prompt,
      width,
      height,
      steps: num_inference_steps,
      guidance: guidance_scale,
      seed,
    })
    const images = await Promise.all(result.images.map((image) => image.toBase64()))
    return { images, seed: result.seed, timings: result.timings, warnings: result.warnings }
  } catch (error) {
    // What the caller did wrong is an answer; everything else is the worker's failure.
    if (error instanceof SdxlError && ['ERR_INVALID_ARGUMENT', 'ERR_PROMPT'].includes(error.code)) {
      return { error: { code: error.code, message: error.message, details: error.details } }
    }
    throw error
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const answer = await handler({ id: 'local', input: { prompt: 'a white cross on a red background', num_inference_steps: 10, seed: 4 } })
  console.log({ ...answer, images: answer.images?.map((image) => `${image.slice(0, 40)}… (${image.length} characters)`) })
  console.log(await handler({ id: 'local', input: { prompt: 42 } }))
}
