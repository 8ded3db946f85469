// From a picture to another one, a part of it drawn anew, and a larger version; each repeated by what its file says.
import { loadModel, readParameters, tinyModel } from 'node-sdxl'

const model = await loadModel(tinyModel)
const usual = { steps: 20, guidance: 4, seed: 2, sampler: 'DPM++ 2M Karras' }

const { images } = await model.generate({ ...usual, prompt: 'a yellow star on a black background' })
const [star] = images
await star.toFile('star.png')

const circle = await model.generate({ ...usual, prompt: 'a yellow circle on a black background', image: 'star.png', strength: 0.8 })
await circle.images[0].toFile('circle.png')

// White is repainted: the right half.
const mask = { width: star.width, height: star.height, data: new Uint8Array(star.data.length) }
for (let y = 0; y < star.height; y++) mask.data.fill(255, (y + 0.5) * star.width * 3, (y + 1) * star.width * 3)
const half = await model.generate({ ...usual, prompt: 'a red background', image: star, mask, strength: 0.9, inpaint: { fill: 'fill' } })
await half.images[0].toFile('half.png')

const request = await readParameters('circle.png')
const again = await model.generate({ ...request, image: 'star.png' })
console.log('the same circle:', Buffer.compare(again.images[0].data, circle.images[0].data) === 0)
await model.close()
