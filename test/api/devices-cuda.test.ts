import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import type { DeviceInfo } from '../../lib/index.js'
import { temporaryFolder } from '../support/files.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

// What a process of the built package sees whose loader finds a stand-in for NVIDIA's libraries (native/cuda/fake). It takes the loader of
// Linux; the driver of Windows is looked for in the system's own folder only.
describe.runIf(process.platform === 'linux')('listDevices with a driver', () => {
  beforeAll(() => {
    execFileSync(process.execPath, ['scripts/test-native.mjs', '--build=fake_cuda'], { cwd: root, stdio: 'inherit' })
  }, 1_200_000)

  const folder = temporaryFolder()
  const fake = join(root, 'build/tests/libfake_cuda.so')
  let folders = 0
  const fresh = () => {
    const path = join(folder, String(folders++))
    mkdirSync(path)
    return path
  }
  /** A folder of libraries, each a link to a file. */
  const libraries = (files: Record<string, string>) => {
    const path = fresh()
    for (const [name, target] of Object.entries(files)) symlinkSync(target, join(path, name))
    return path
  }
  const kernels = (...architectures: string[]) => {
    const path = fresh()
    for (const architecture of architectures) writeFileSync(join(path, `gemm.${architecture}.cubin`), `${architecture} fake`)
    return path
  }

  function gpus(libraryFolder: string, kernelFolder: string): DeviceInfo[] {
    const script = `import { listDevices } from 'node-sdxl'; console.log(JSON.stringify(await listDevices()))`
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, LD_LIBRARY_PATH: libraryFolder, NODE_SDXL_CUDA_KERNELS: kernelFolder },
    })
    expect([status, stderr]).toEqual([0, ''])
    const [cpu, ...others] = JSON.parse(stdout) as DeviceInfo[]
    expect(cpu).toMatchObject({ id: 'cpu', kind: 'cpu', usable: true })
    return others
  }
  const both = () => libraries({ 'libcuda.so.1': fake, 'libnvidia-ml.so.1': fake })

  test('a GPU with kernels for it can be used', () => {
    expect(gpus(both(), kernels('sm_80', 'sm_86', 'sm_90a'))).toEqual([
      {
        id: 'cuda:0',
        name: 'Fake GPU',
        kind: 'cuda',
        usable: true,
        memory: { total: 2 ** 30, free: 2 ** 30 },
        features: ['compute 8.6', 'CUDA 12.4', 'sm_86'],
      },
    ])
  })

  test('what is free is not guessed where the management library is missing', () => {
    const unreadable = join(root, 'package.json')
    const [gpu] = gpus(libraries({ 'libcuda.so.1': fake, 'libnvidia-ml.so.1': unreadable }), kernels('sm_80'))
    expect(gpu).toMatchObject({ id: 'cuda:0', usable: true })
    expect(gpu).not.toHaveProperty('memory')
  })

  test('without kernels the reason says how to make them', () => {
    const none = kernels()
    const [gpu, ...more] = gpus(both(), none)
    expect(more).toEqual([])
    expect(gpu).toMatchObject({ id: 'cuda:0', name: 'Fake GPU', usable: false, features: ['compute 8.6', 'CUDA 12.4'] })
    expect(gpu?.reason).toContain(`there are no CUDA kernels in "${none}"`)
    expect(gpu?.reason).toContain('npm run build:cuda')
    expect(gpus(both(), join(none, 'no such folder'))[0]?.reason).toContain('npm run build:cuda')
  })

  test('without kernels for this GPU the reason says what there is', () => {
    expect(gpus(both(), kernels('sm_90a', 'sm_120'))[0]).toMatchObject({
      id: 'cuda:0',
      usable: false,
      reason: 'no kernels for a GPU of compute capability 8.6: there are sm_120, sm_90a',
    })
  })

  test.each([
    ['that cannot be loaded', 'package.json', 'there is no NVIDIA driver: '],
    // Any library without the driver's functions will do.
    ['that is too old', 'build/native/Release/node-sdxl.node', 'too old, it has no cuInit: install NVIDIA driver 525 or newer'],
  ])('a driver %s is one entry with the reason', (_, file, reason) => {
    const [gpu, ...more] = gpus(libraries({ 'libcuda.so.1': join(root, file) }), kernels('sm_86'))
    expect(more).toEqual([])
    expect(gpu).toMatchObject({ id: 'cuda', name: 'NVIDIA GPU', kind: 'cuda', usable: false, features: [] })
    expect(gpu?.reason).toContain(reason)
    expect(gpu).not.toHaveProperty('memory')
  })
})
