// npm run bench:cpu -- [--runs 7] [--only conv] [--python /path/to/python] [--onednn /path/to/libdnnl.so.3]… [--fetch] [--isa avx2] [--json file]
// npm run bench:cpu -- --check
//
// The CPU's ops at SDXL's sizes, beside oneDNN, torch and ONNX Runtime in the same minutes; see README.md beside it. --check is the part for
// CI: it compares with nothing but the machine, and ends with 1 where a matrix product or a 3×3 convolution is too slow.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { dirname, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { median } from '../times.mjs'
import { cases } from './cases.mjs'
import { check } from './check.mjs'
import { Side } from './side.mjs'

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '7' },
    only: { type: 'string', default: '' },
    python: { type: 'string' },
    onednn: { type: 'string', multiple: true },
    fetch: { type: 'boolean', default: false },
    isa: { type: 'string' },
    json: { type: 'string' },
    check: { type: 'boolean', default: false },
  },
})
const runs = Number(options.runs)
if (!(runs >= 1)) throw new Error(`--runs is to be at least 1, got '${options.runs}'`)
const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))
const peers = `${root}build/bench/peers`
const kOnednn = `${peers}/onednn/lib/libdnnl.so.3`
const kOnnxRuntime = `${peers}/node_modules/onnxruntime-node`

/** What is measured beside ours, into build/bench/peers: 2.5 GB, nothing of it part of the package. */
function fetchPeers() {
  const run = (program, ...args) => execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  mkdirSync(peers, { recursive: true })
  if (!existsSync(kOnednn)) {
    run(options.python ?? 'python3', '-m', 'venv', `${peers}/onednn`)
    run(`${peers}/onednn/bin/pip`, 'install', '--quiet', 'onednn')
  }
  if (!existsSync(kOnnxRuntime))
    run('npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--prefix', peers, 'onnxruntime-node')
}

function buildProgram() {
  execFileSync(process.execPath, [`${root}scripts/test-native.mjs`, '--build=cpu_bench'], { stdio: ['ignore', 'ignore', 'inherit'] })
  return `${root}build/tests/cpu_bench`
}

/** oneDNN's libraries lie beside it, and its packages for Intel's own compiler reach the CPU through an OpenCL driver that lies there, too. */
function onednnEnvironment(library) {
  const folder = dirname(resolve(library))
  const environment = { ONEDNN_VERBOSE: '0', LD_LIBRARY_PATH: [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':') }
  return existsSync(`${folder}/libintelocl.so`) ? { ...environment, OCL_ICD_FILENAMES: `${folder}/libintelocl.so` } : environment
}

/** Those of them that can take part; for the others the reason is printed. */
async function ready(sides) {
  const present = []
  for (const side of sides) {
    const reason = await side.absent()
    if (reason === undefined) present.push(side)
    else console.log(`without ${side.label}: ${reason}`)
  }
  return present
}

function startOwn(program, type) {
  return new Side(`ours in ${type}`, program, [type, 'own', ...(options.isa ? [options.isa] : [])])
}

function startPeers(type, program) {
  const sides = []
  const libraries = options.onednn ?? (existsSync(kOnednn) ? [kOnednn] : [])
  if (!libraries.length) console.log(`without oneDNN: give its library with --onednn, or let --fetch download it`)
  for (const library of libraries)
    sides.push(new Side(`oneDNN ${type}`, program, [type, 'onednn', resolve(library)], onednnEnvironment(library)))
  if (options.python) sides.push(new Side(`torch ${type}`, options.python, [`${here}torch_side.py`, type]))
  else console.log(`without torch: give a Python that has it with --python`)
  if (type === 'bf16') console.log('without ONNX Runtime in bf16: it is measured in fp32 only')
  else if (existsSync(kOnnxRuntime))
    sides.push(new Side('ONNX Runtime', process.execPath, [`${here}onnxruntime_side.mjs`, String(availableParallelism()), kOnnxRuntime]))
  else console.log('without ONNX Runtime: let --fetch download it')
  return sides
}

/** How far two results are apart, in the root mean square, as a share of the first. */
function distance(ours, theirs) {
  const square = (values) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0))
  return square(ours.map((v, i) => v - theirs[i])) / square(ours)
}
// fp32: sums in another order, e^x and the error function of other polynomials. bf16: inputs and results are rounded to 8 bits, and so are the
// values between the operations that a side does one by one.
const kTolerance = { f32: 1e-4, bf16: 2e-2 }

// Milliseconds in which the threads of the side before stop waiting for more to do, which takes a CPU from the next.
const kPause = 25

/** In turn, so that all meet the same machine. Times in milliseconds, the peak in GFLOP/s. */
async function measure(each, own, theirs, type) {
  const sides = []
  await own.open(each)
  const expected = await own.sample(256)
  for (const side of theirs) {
    if (!(await side.open(each))) continue
    sides.push(side)
    const apart = distance(expected, await side.sample(256))
    if (!(apart < kTolerance[type])) console.log(`  warning: ${side.name} differs from ours by ${apart.toExponential(1)} of the result`)
  }
  const peaks = []
  const times = new Map([own, ...sides].map((side) => [side, []]))
  for (let i = 0; i < runs; i++) {
    for (const [side, list] of times) {
      await setTimeout(kPause)
      list.push(await side.run())
    }
    if (!each.bytes) peaks.push(await own.peak(Math.max(20, times.get(own).at(-1))))
  }
  return { peak: each.bytes ? 0 : median(peaks), times: new Map([...times].map(([side, list]) => [side, median(list)])) }
}

const results = []
function show(each, own, theirs, type, { peak, times }) {
  const ours = times.get(own)
  const rate = each.work / ours / 1e6
  const share = each.bytes ? '' : `${((rate / peak) * 100).toFixed(0)} %`
  const cells = theirs.map((side) => {
    const time = times.get(side)
    return (time === undefined ? '–' : `${time.toFixed(2)} ms  ${(time / ours).toFixed(2)} ×`).padStart(24)
  })
  console.log(
    `${each.name.padEnd(42)} ${ours.toFixed(3).padStart(9)} ms ${rate.toFixed(each.bytes ? 1 : 0).padStart(5)} ${each.bytes ? 'GB/s   ' : 'GFLOP/s'} ${share.padStart(5)}${cells.join('')}`,
  )
  results.push({
    case: each.name,
    type,
    milliseconds: ours,
    peak,
    ...(each.bytes ? {} : { ofPeak: rate / peak }),
    others: Object.fromEntries(
      theirs.filter((side) => times.has(side)).map((side) => [side.name, { milliseconds: times.get(side), how: side.remark }]),
    ),
  })
}

async function compareAll(program, type) {
  const [own] = await ready([startOwn(program, type)])
  if (!own) return
  const theirs = await ready(startPeers(type, program))
  console.log(`\n${type}: ${own.name}; what others take, and how many times as long as ours`)
  console.log(
    `${''.padEnd(70)}of peak${theirs
      .map((side) => side.name.padStart(24))
      .join('')
      .slice(2)}`,
  )
  for (const each of cases) if (each.name.includes(options.only)) show(each, own, theirs, type, await measure(each, own, theirs, type))
  for (const side of [own, ...theirs]) side.end()
}

if (options.fetch) fetchPeers()
const program = buildProgram()
if (options.check) {
  if (!(await check((type) => startOwn(program, type)))) process.exitCode = 1
} else {
  const about = { date: new Date().toISOString().slice(0, 10), cpu: cpus()[0].model.trim(), cpus: availableParallelism(), runs }
  console.log(`${about.date}, ${about.cpus} CPUs (${about.cpu}), medians of ${runs} turns`)
  for (const type of ['f32', 'bf16']) await compareAll(program, type)
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ ...about, results }, undefined, 2)}\n`)
}
