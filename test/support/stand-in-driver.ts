import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect } from 'vitest'
import { kernelsStamp, writeStamp } from '../../scripts/cuda/kernels-stamp.mjs'
import { temporaryFolder } from './files.js'

export const root = fileURLToPath(new URL('../../', import.meta.url))

/** Numbers of the driver's errors. */
export const outOfMemory = 2
export const illegalAddress = 700

/**
 * Processes of the built package whose loader finds a stand-in for NVIDIA's libraries (native/cuda/fake): one GPU of 1 GiB with compute
 * capability 8.6, whose kernels run in the emulator. It takes the loader of Linux; the driver of Windows is looked for in the system's own
 * folder only.
 */
export function standInDriver() {
  beforeAll(() => {
    execFileSync(process.execPath, ['scripts/test-native.mjs', '--build=fake_cuda'], { cwd: root, stdio: 'inherit' })
  }, 1_200_000)

  const fake = join(root, 'build/tests/libfake_cuda.so')
  const folder = temporaryFolder()
  let count = 0
  const freshPath = () => join(folder, String(count++))
  const fresh = () => {
    const path = freshPath()
    mkdirSync(path)
    return path
  }

  /** A folder of libraries, each a link to a file. */
  const libraries = (files: Record<string, string>) => {
    const path = fresh()
    for (const [name, target] of Object.entries(files)) symlinkSync(target, join(path, name))
    return path
  }
  /** A folder of libraries with everything. */
  const whole = () => libraries({ 'libcuda.so.1': fake, 'libnvidia-ml.so.1': fake })

  /** A folder with every kernel for these, such as 'sm_86', and the stamp of the sources. */
  const kernels = (...architectures: string[]) => {
    const path = fresh()
    const sources = readdirSync(join(root, 'native/cuda/kernels'), { recursive: true, encoding: 'utf8' })
    for (const source of sources.filter((name) => name.endsWith('.cu')))
      for (const architecture of architectures) {
        writeFileSync(join(path, `${basename(source, '.cu')}.${architecture}.cubin`), `${architecture} fake`)
      }
    writeStamp(path, kernelsStamp())
    return path
  }

  /** What a module prints as JSON, with whose last words the process has to end well. */
  function printed<T>(script: string, libraryFolder = whole(), kernelFolder = kernels('sm_86')): T {
    const failures = freshPath()
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, LD_LIBRARY_PATH: libraryFolder, NODE_SDXL_CUDA_KERNELS: kernelFolder, FAKE_CUDA_FAILURES: failures },
      maxBuffer: 1 << 26,
    })
    expect([status, stderr]).toEqual([0, ''])
    expect(existsSync(failures), 'failures that were ordered and never seen').toBe(false)
    return JSON.parse(stdout) as T
  }

  return { fake, libraries, whole, kernels, printed }
}
