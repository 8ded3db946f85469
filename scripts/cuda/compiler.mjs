// What turns kernels into cubins: nvcc 12 where there is one, else NVRTC from PyPI in a folder of its own.
// Code from CUDA 13 loads on drivers from 580 only, code from 12 from 525 on; 12.8 is the first that knows all our architectures.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from '../dependencies.mjs'

const folder = join(root, 'build/cuda')
const nvrtcVersion = '12.9.86'
const packages = [`nvidia-cuda-nvrtc-cu12==${nvrtcVersion}`, 'nvidia-cuda-runtime-cu12==12.9.79']

/** Options both compilers understand; the warnings and the use of registers are read off their log. */
export const options = [
  '--std=c++20',
  '--ptxas-options=-v',
  `--include-path=${join(root, 'native')}`,
  `--include-path=${join(root, 'native/cuda/kernels')}`,
]

/** Standard output of a program, or undefined when it cannot be run or fails. */
function output(program, args) {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return undefined
  }
}

function findNvcc() {
  const home = process.env.CUDA_HOME ?? process.env.CUDA_PATH
  for (const program of [...(home ? [join(home, 'bin/nvcc')] : []), 'nvcc', '/usr/local/cuda/bin/nvcc']) {
    const version = output(program, ['--version'])?.match(/release (\d+)\.(\d+)/)
    if (!version) continue
    const [major, minor] = version.slice(1).map(Number)
    if (major === 12 && minor >= 8) return { program, version: `${major}.${minor}` }
    console.log(`${program} is of CUDA ${major}.${minor}; 12.8 or a later 12 is wanted`)
  }
  return undefined
}

/** The folder with NVRTC and the headers of the CUDA runtime; complete if it is there. */
function install() {
  const target = join(folder, `nvrtc-${nvrtcVersion}`)
  if (existsSync(target)) return target
  const unfinished = `${target}.part`
  rmSync(unfinished, { recursive: true, force: true })
  const python = ['python3', 'python'].find((name) => output(name, ['-m', 'pip', '--version']))
  if (!python) throw new Error('There is neither nvcc 12.8 (or a later 12) nor a Python with pip to fetch NVRTC with')
  console.log(`Fetching ${packages.join(', ')}`)
  execFileSync(
    python,
    [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--root-user-action=ignore',
      '--no-deps',
      '--target',
      unfinished,
      ...packages,
    ],
    {
      stdio: 'inherit',
    },
  )
  renameSync(unfinished, target)
  return target
}

function nvrtc() {
  if (process.platform !== 'linux') throw new Error('Without nvcc, kernels can be built on Linux only')
  mkdirSync(folder, { recursive: true })
  const target = install()
  const lib = join(target, 'nvidia/cuda_nvrtc/lib')
  const library = readdirSync(lib).find((name) => /^libnvrtc\.so\.\d+$/.test(name))
  const source = join(root, 'native/cuda/tools/nvrtc_compile.cc')
  const program = join(folder, 'nvrtc_compile')
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs)
    execFileSync(process.env.CXX ?? 'c++', ['-std=c++20', '-O1', source, '-o', program, '-ldl'], { stdio: 'inherit' })
  return {
    name: `NVRTC ${nvrtcVersion}`,
    include: join(target, 'nvidia/cuda_runtime/include'),
    command: (source, cubin, arch) => [program, join(lib, library), source, cubin, `--gpu-architecture=${arch}`, ...options],
  }
}

/** `command` is what compiles one source for one architecture; `include` has cuda.h. */
export function findCompiler() {
  const nvcc = findNvcc()
  if (!nvcc) return nvrtc()
  return {
    name: `nvcc ${nvcc.version}`,
    include: join(dirname(dirname(output('which', [nvcc.program])?.trim() ?? nvcc.program)), 'include'),
    command: (source, cubin, arch) => [nvcc.program, '-cubin', source, '-o', cubin, `-arch=${arch}`, ...options],
  }
}
