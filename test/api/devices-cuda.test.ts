import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { DeviceInfo } from '../../lib/index.js'
import { writeStamp } from '../../scripts/cuda/kernels-stamp.mjs'
import { root, standInDriver } from '../support/stand-in-driver.js'

describe.runIf(process.platform === 'linux')('listDevices with a driver', () => {
  const { fake, libraries, whole, kernels, printed } = standInDriver()

  function gpus(libraryFolder: string, kernelFolder: string): DeviceInfo[] {
    const script = `import { listDevices } from 'node-sdxl'; console.log(JSON.stringify(await listDevices()))`
    const [cpu, ...others] = printed<DeviceInfo[]>(script, libraryFolder, kernelFolder)
    expect(cpu).toMatchObject({ id: 'cpu', kind: 'cpu', usable: true })
    return others
  }

  test('a GPU with kernels for it can be used', () => {
    expect(gpus(whole(), kernels('sm_80', 'sm_86', 'sm_90a'))).toEqual([
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
    const [gpu, ...more] = gpus(whole(), none)
    expect(more).toEqual([])
    expect(gpu).toMatchObject({ id: 'cuda:0', name: 'Fake GPU', usable: false, features: ['compute 8.6', 'CUDA 12.4'] })
    expect(gpu?.reason).toContain(`there are no CUDA kernels in "${none}"`)
    expect(gpu?.reason).toContain('npm run build:cuda')
    expect(gpus(whole(), join(none, 'no such folder'))[0]?.reason).toContain('npm run build:cuda')
  })

  test('kernels of other sources are refused, and the reason says so', () => {
    const folder = kernels('sm_86')
    const refused = () => {
      const [gpu] = gpus(whole(), folder)
      expect(gpu).toMatchObject({ id: 'cuda:0', name: 'Fake GPU', usable: false, features: ['compute 8.6', 'CUDA 12.4'] })
      expect(gpu?.reason).toContain(`the CUDA kernels in "${folder}" were made from other sources than this build`)
      expect(gpu?.reason).toContain('npm run build:cuda')
    }
    writeStamp(folder, '0123456789abcdef')
    refused()
    rmSync(join(folder, 'kernels.stamp'))
    refused()
  })

  test('without kernels for this GPU the reason says what there is', () => {
    expect(gpus(whole(), kernels('sm_90a', 'sm_120'))[0]).toMatchObject({
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
