// Reading and tokenizing prompts of 10,000 characters, cold and warm, and encoding a prompt again. The peer, with --python, is open_clip's
// tokenizer on the same texts: it does not parse, so it has less to do.
import { execFileSync } from 'node:child_process'
import { explainPrompt, loadModel, parsePrompt, tinyModel, tokenize } from 'node-sdxl'

const length = 10_000
const fill = (unit) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length)
const words = 'portrait lighthouse harbour evening detailed texture copper velvet granite meadow silhouette ornate winter glass'.split(' ')
const texts = {
  'tags with weights': fill('a (red:1.3) fox, masterpiece [blurry], \\(detailed\\), 1girl, '),
  'ever new words': fill(Array.from({ length: 2000 }, (_, i) => `${words[i % words.length]}${(i * 7919).toString(36)}`).join(' ')),
  'many scripts': fill('über café, 日本語の (灯台:1.2), маяк на [скале], φάρος στον βράχο, 👩‍👩‍👧 '),
  schedules: fill('a [red:blue:0.3] fox in [spring|autumn], ').slice(0, 9_990),
  'brackets only': fill('(((((((((([[[[[[[['),
}

const peer = `
import json, sys, time, open_clip.tokenizer
tokenizer = open_clip.tokenizer.SimpleTokenizer()
for text in json.load(sys.stdin):
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        tokenizer.encode(text)
        times.append((time.perf_counter() - begun) * 1000)
    print(times[0], sorted(times)[3])
`

/** The first run, and the median of those after the code has become warm. */
function time(work) {
  const times = Array.from({ length: 101 }, () => {
    const begun = performance.now()
    work()
    return performance.now() - begun
  })
  const warm = times.slice(50).sort((a, b) => a - b)
  return { first: times[0], median: warm[warm.length >> 1] }
}
const milliseconds = (value) => `${value.toFixed(2)} ms`.padStart(10)

export async function benchPrompts({ python }) {
  tokenize('a') // reads the vocabulary
  const theirs = python
    ? execFileSync(python, ['-c', peer], { input: JSON.stringify(Object.values(texts)), encoding: 'utf8' })
        .trim()
        .split('\n')
    : []
  console.log(`prompts of ${length} characters: first run, median when warm`)
  Object.entries(texts).forEach(([name, text], i) => {
    const whole = time(() => explainPrompt(text))
    const parse = time(() => parsePrompt(text))
    const [, other] = theirs[i]?.split(' ').map(Number) ?? []
    const ratio = other ? `   open_clip, tokens only: ${milliseconds(other)}, ${(other / whole.median).toFixed(1)} × as long` : ''
    console.log(
      `  ${name.padEnd(18)} parse + tokenize + chunks ${milliseconds(whole.first)} ${milliseconds(whole.median)}   parse ${milliseconds(parse.median)}${ratio}`,
    )
  })

  const model = await loadModel(tinyModel)
  const prompt = fill('a red fox on a hill, ')
  const encode = async () => {
    const begun = performance.now()
    await model.encodePrompt(prompt)
    return performance.now() - begun
  }
  const [first, again] = [await encode(), await encode()]
  console.log(
    `  tiny model, ${explainPrompt(prompt).chunks} chunks: encoded in ${milliseconds(first)}, the second time in ${milliseconds(again)}`,
  )
  await model.close()
}
