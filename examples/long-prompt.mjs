// Prompts have no length limit: they are encoded in chunks of 75 tokens. explainPrompt shows what the encoders will see.
import { explainPrompt, generate, tinyModel } from 'node-sdxl'

const prompt = `a (blue:1.2) diamond on a yellow background, ${'a very carefully drawn picture of a diamond, '.repeat(12)} BREAK soft light`

const report = explainPrompt(prompt)
console.log(`${report.tokens} tokens in ${report.chunks} chunks`)
for (const [i, chunk] of report.layout.entries()) console.log(`chunk ${i + 1}: ${chunk.used} tokens, closed by ${chunk.closedBy}`)

const { images, warnings } = await generate({
  model: tinyModel,
  prompt,
  guidance: 4,
  steps: 20,
  seed: 2,
  prompting: { emphasis: 'no-norm' },
})
for (const { code, message } of warnings) console.warn(code, message)
await images[0].toFile('long-prompt.png')
