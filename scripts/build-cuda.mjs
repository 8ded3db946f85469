// Compiles every kernel for every architecture into build/cuda/cubins/<file>.<architecture>.cubin and places them beside the addon.
// What lies in kernels/<architecture>/ is for that one alone. Only what has changed is compiled. kernels.stamp is written last and says which
// sources they are from; without it they are refused. Any warning is an error, registers that spill are one too; `--registers` lists what each kernel uses.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { findCompiler, options } from './cuda/compiler.mjs'
import { kernels, kernelsStamp, writeStamp } from './cuda/kernels-stamp.mjs'
import { cubins, placeCubins } from './cuda/place-cubins.mjs'
import { root, run } from './dependencies.mjs'

const architectures = ['sm_80', 'sm_86', 'sm_89', 'sm_90a', 'sm_100', 'sm_120']

/** The file and all it includes from this repository. */
function withIncludes(file, found = new Set()) {
  if (found.has(file)) return found
  found.add(file)
  for (const [, name] of readFileSync(file, 'utf8').matchAll(/^\s*#\s*include\s*"([^"]+)"/gm)) {
    const at = [dirname(file), kernels, join(root, 'native')].map((folder) => join(folder, name)).find((path) => existsSync(path))
    if (at) withIncludes(at, found)
  }
  return found
}

function fingerprint(source, compiler) {
  const hash = createHash('sha256').update(JSON.stringify([compiler.name, options]))
  for (const file of [...withIncludes(source)].sort()) hash.update(readFileSync(file))
  return hash.digest('hex')
}

/** What ptxas says of each kernel, as [{ kernel, registers, spilled }]. */
function usage(log) {
  const all = []
  for (const line of log.split('\n')) {
    const entry = line.match(/Compiling entry function '(\w+)'/)
    if (entry) all.push({ kernel: entry[1], registers: 0, spilled: 0 })
    const spill = line.match(/(\d+) bytes spill stores, (\d+) bytes spill loads/)
    if (spill && all.length) all.at(-1).spilled += Number(spill[1]) + Number(spill[2])
    const registers = line.match(/Used (\d+) registers/)
    if (registers && all.length) all.at(-1).registers = Number(registers[1])
  }
  return all
}

function execute([program, ...args]) {
  return new Promise((resolve) => {
    execFile(program, args, { encoding: 'utf8', maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ error, log: stdout + stderr + (error?.code === 'ENOENT' ? error.message : '') }),
    )
  })
}

/** The problem, or undefined. */
async function compile(compiler, { source, name, arch, hash }) {
  const product = join(cubins, `${name}.${arch}`)
  rmSync(`${product}.json`, { force: true })
  const { error, log } = await execute(compiler.command(source, `${product}.cubin`, arch))
  const used = usage(log)
  const reason = error
    ? 'does not compile'
    : /warning/i.test(log)
      ? 'compiles with warnings'
      : used.some((u) => u.spilled > 0)
        ? 'needs more registers than there are'
        : used.length === 0
          ? 'has no kernel'
          : undefined
  if (reason) {
    rmSync(`${product}.cubin`, { force: true })
    return `${name}.cu ${reason} for ${arch}:\n${log}`
  }
  writeFileSync(`${product}.json`, JSON.stringify({ hash, used }) + '\n')
  return undefined
}

function isCurrent({ name, arch, hash }) {
  const product = join(cubins, `${name}.${arch}`)
  if (!existsSync(`${product}.cubin`) || !existsSync(`${product}.json`)) return false
  return JSON.parse(readFileSync(`${product}.json`, 'utf8')).hash === hash
}

/** The stamp too: what is compiled from here on makes it untrue. */
function removeStale(jobs) {
  const wanted = new Set(jobs.flatMap(({ name, arch }) => [`${name}.${arch}.cubin`, `${name}.${arch}.json`]))
  for (const file of readdirSync(cubins)) if (!wanted.has(file)) rmSync(join(cubins, file))
}

function listRegisters(jobs) {
  for (const { name, arch } of jobs)
    for (const { kernel, registers } of JSON.parse(readFileSync(join(cubins, `${name}.${arch}.json`), 'utf8')).used)
      console.log(`${arch.padEnd(7)} ${String(registers).padStart(3)} registers  ${kernel}`)
}

/** Our own declarations of the driver's functions against NVIDIA's. */
function checkDeclarations(compiler) {
  const source = join(root, 'native/cuda/tools/check_declarations.cc')
  run(process.env.CXX ?? 'c++', ['-std=c++20', '-fsyntax-only', `-I${join(root, 'native')}`, '-isystem', compiler.include, source])
}

mkdirSync(cubins, { recursive: true })
const compiler = findCompiler()
checkDeclarations(compiler)
const stamp = kernelsStamp()
const sources = readdirSync(kernels, { recursive: true }).filter((name) => name.endsWith('.cu'))
const jobs = sources.flatMap((file) => {
  const source = join(kernels, file)
  const hash = fingerprint(source, compiler)
  const only = dirname(file)
  return architectures.filter((arch) => only === '.' || only === arch).map((arch) => ({ source, name: basename(file, '.cu'), arch, hash }))
})
removeStale(jobs)
const left = jobs.filter((job) => !isCurrent(job))
const started = performance.now()
const problems = []
const work = async () => {
  for (let job = left.shift(); job; job = left.shift()) {
    const problem = await compile(compiler, job)
    if (problem) problems.push(problem)
  }
}
const count = left.length
await Promise.all(Array.from({ length: cpus().length }, work))
if (problems.length) {
  console.error(problems.join('\n'))
  process.exit(1)
}
if (kernelsStamp() !== stamp) {
  console.error('The sources changed meanwhile: run it again')
  process.exit(1)
}
writeStamp(cubins, stamp)
placeCubins(join(root, 'build/native/Release'))
if (process.argv.includes('--registers')) listRegisters(jobs)
const seconds = ((performance.now() - started) / 1000).toFixed(1)
console.log(`${count} of ${jobs.length} cubins compiled by ${compiler.name} in ${seconds} s`)
