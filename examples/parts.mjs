// The parts by hand: text encoders, UNet and VAE, in a sampling loop of one's own (Euler, classifier-free guidance).
import { loadModel, sigmas, sigmaToTimestep, tinyModel } from 'node-sdxl'

const model = await loadModel(tinyModel)
const positive = await model.encodePrompt('an orange triangle, cyan background')
const zeros = ({ shape, data }) => ({ shape, data: new Float32Array(data.length) })
const negative = { ...positive, context: zeros(positive.context), pooled: zeros(positive.pooled) }

const guidance = 4
const levels = sigmas('karras', 20)
const shape = [1, 4, 16, 16]
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())
let x = Float32Array.from({ length: 4 * 16 * 16 }, () => normal() * levels[0]) // x₀ + σ · noise

for (let i = 0; i + 1 < levels.length; i++) {
  const sigma = levels[i]
  // The UNet reads x / √(σ² + 1) and predicts the noise in it.
  const latents = { shape, data: x.map((v) => v / Math.sqrt(sigma ** 2 + 1)) }
  const timestep = sigmaToTimestep(sigma)
  const [conditional, unconditional] = await Promise.all(
    [positive, negative].map((conditioning) => model.predict({ latents, timestep, conditioning })),
  )
  const noise = conditional.data.map((v, k) => unconditional.data[k] + guidance * (v - unconditional.data[k]))
  x = x.map((v, k) => v + (levels[i + 1] - sigma) * noise[k])
}

const [image] = await model.decode({ shape, data: x })
await image.toFile('parts.png')
await model.close()
