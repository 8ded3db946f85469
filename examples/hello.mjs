// The whole of it: a model, a prompt, a file.
import { generate, tinyModel } from 'node-sdxl'

const { images } = await generate({ model: tinyModel, prompt: 'a red circle on a blue background', guidance: 4, steps: 20, seed: 2 })
await images[0].toFile('hello.png')
