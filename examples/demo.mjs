// npm run demo -- "a yellow star on a black background"
// Draws with the tiny model that ships with the package. It knows shapes, colours and places; see models/README.md.
import { mkdir } from 'node:fs/promises'
import { generate, tinyModel } from 'node-sdxl'

const prompt = process.argv.slice(2).join(' ') || 'a yellow star on a black background'
const job = generate({ model: tinyModel, prompt, steps: 20, guidance: 4, sampler: 'dpmpp_2m', scheduler: 'karras', seed: 2 })

for await (const event of job) {
  if (event.type !== 'step') continue
  const bar = '█'.repeat(event.step).padEnd(event.steps, '░')
  if (process.stderr.isTTY) process.stderr.write(`\r${bar} ${event.step}/${event.steps}`)
  else console.error(`step ${event.step} of ${event.steps}, ${event.milliseconds.toFixed(0)} ms`)
}
if (process.stderr.isTTY) process.stderr.write('\n')

const { images, timings, seed, warnings } = await job
await mkdir('out', { recursive: true })
const path = `out/${
  prompt
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 60) || 'picture'
}-${seed}.png`
await images[0].toFile(path)
for (const warning of warnings) console.warn(`${warning.code}: ${warning.message}`)
console.log(`${path}: "${prompt}"`)
console.log(
  Object.entries(timings)
    .map(([part, milliseconds]) => `${part} ${milliseconds.toFixed(0)} ms`)
    .join(', '),
)
