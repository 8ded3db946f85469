// ONNX Runtime as one side of bench/cpu, in fp32: answers the lines that native/cpu/bench/cpu_bench.cc describes.
//
//   node onnxruntime_side.mjs THREADS /path/to/node_modules/onnxruntime-node
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { constant, model, node } from './onnx_model.mjs'
import { median, milliseconds } from '../times.mjs'

/** The formula of native/cpu/bench/side.h. */
function values(count, seed, scale = 1) {
  const result = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    let bits = (i + Math.imul(seed, 0x9e3779b9)) >>> 0
    bits = Math.imul(bits ^ (bits >>> 16), 0x7feb352d) >>> 0
    bits = Math.imul(bits ^ (bits >>> 15), 0x846ca68b) >>> 0
    bits ^= bits >>> 16
    result[i] = ((bits >>> 24) - 128) * (scale / 128)
  }
  return result
}

const transposed = (data, rows, columns) => {
  const result = new Float32Array(data.length)
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) result[c * rows + r] = data[r * columns + c]
  return result
}

/** A model, its inputs, and how to see its result in the order of ours. */
function build(kind, scale, sizes) {
  if (kind === 'linear' || kind === 'geglu') {
    const [rows, depth, out] = sizes
    const weights = transposed(values(depth * out, 2, scale), out, depth)
    const constants = [constant('weight', [depth, out], weights), constant('bias', [out], values(out, 3))]
    const geglu = kind === 'geglu'
    const nodes = [node('MatMul', ['x', 'weight'], ['product']), node('Add', ['product', 'bias'], [geglu ? 'both' : 'y'])]
    if (geglu) {
      nodes.push(node('Split', ['both'], ['value', 'gate'], { axis: 1, num_outputs: 2 }))
      nodes.push(node('Gelu', ['gate'], ['open']), node('Mul', ['value', 'open'], ['y']))
    }
    return {
      bytes: model(nodes, constants, [['x', [rows, depth]]], [['y', [rows, geglu ? out / 2 : out]]]),
      inputs: { x: [values(rows * depth, 1), [rows, depth]] },
      ordered: (y) => y,
    }
  }
  if (kind === 'conv') {
    const [size, channels] = sizes
    const constants = [
      constant('weight', [channels, channels, 3, 3], values(channels * channels * 9, 2, scale)),
      constant('bias', [channels], values(channels, 3)),
    ]
    const shape = [1, channels, size, size]
    return {
      bytes: model(
        [node('Conv', ['x', 'weight', 'bias'], ['y'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })],
        constants,
        [['x', shape]],
        [['y', shape]],
      ),
      inputs: { x: [transposed(values(size * size * channels, 1), size * size, channels), shape] },
      ordered: (y) => transposed(y, channels, size * size),
    }
  }
  if (kind === 'attention') {
    const [heads, queries, keys, width] = sizes
    const columns = heads * width
    const q = [1, queries, columns]
    const kv = [1, keys, columns]
    const attention = node('MultiHeadAttention', ['q', 'k', 'v'], ['y'], { num_heads: heads }, 'com.microsoft')
    return {
      bytes: model([attention], [], [['q', q], ['k', kv], ['v', kv]], [['y', q]]), // prettier-ignore
      inputs: { q: [values(queries * columns, 1, scale), q], k: [values(keys * columns, 2), kv], v: [values(keys * columns, 3), kv] },
      ordered: (y) => y,
    }
  }
  throw new Error('not measured')
}

const [threads, folder] = process.argv.slice(2)
const say = (line) => process.stdout.write(`${line}\n`)
let ort
try {
  const require = createRequire(import.meta.url)
  ort = require(folder)
  say(`ready ONNX Runtime ${require(`${folder}/package.json`).version}`)
} catch (error) {
  say(`absent ${error.message.split('\n')[0]}`)
  process.exit()
}

let session, feeds, ordered
async function answer(line) {
  const [request, ...words] = line.split(' ')
  if (request === 'open') {
    await session?.release()
    session = undefined
    try {
      const built = build(words[0], Number(words[1]), words.slice(2).map(Number))
      session = await ort.InferenceSession.create(built.bytes, { intraOpNumThreads: Number(threads), graphOptimizationLevel: 'all' })
      feeds = Object.fromEntries(Object.entries(built.inputs).map(([name, [data, dims]]) => [name, new ort.Tensor('float32', data, dims)]))
      ordered = built.ordered
      return 'ok'
    } catch (error) {
      return `no ${error.message.split('\n')[0]}`
    }
  }
  if (request === 'run') {
    await session.run(feeds)
    const times = []
    for (let all = 0; times.length < 21 && all < 20; all += times.at(-1)) times.push(await milliseconds(() => session.run(feeds)))
    return median(times)
  }
  if (request === 'sample') {
    const y = ordered((await session.run(feeds)).y.data)
    return Array.from({ length: Number(words[0]) }, (_, i) => y[(i * 2654435761) % y.length]).join(' ')
  }
  return 0
}

for await (const line of createInterface({ input: process.stdin })) say(await answer(line))
