import { cpus, freemem, totalmem } from 'node:os'
import type { NativeCudaDevice } from '../bindings/addon.js'
import { addon } from './native-call.js'
import type { DeviceInfo } from './types.js'

/**
 * Every device that `LoadOptions.device` can name: the CPU, then the NVIDIA GPUs, each with the reason where it cannot be used: a driver
 * that is too old, no kernels in this build or none for this GPU. Where no GPU is found at all, one entry with the id 'cuda' says why: no
 * driver, one that does not start, no GPU. Nothing is started on a GPU and no memory of it taken. The list is made anew at every call.
 *
 * @throws (rejects) SdxlError ERR_NATIVE_LOAD
 */
export async function listDevices(): Promise<DeviceInfo[]> {
  const { threads, isas } = addon().cpu()
  const cpu: DeviceInfo = {
    id: 'cpu',
    name: `${cpus()[0]?.model.trim() || process.arch}, ${threads} of ${cpus().length} CPUs`,
    kind: 'cpu',
    usable: true,
    memory: { total: totalmem(), free: freemem() },
    features: isas,
  }
  return [cpu, ...(await addon().cudaDevices()).map(cudaDevice)]
}

function cudaDevice({ id, name, total, free, reason, features }: NativeCudaDevice): DeviceInfo {
  return {
    id,
    name,
    kind: 'cuda',
    usable: reason === '',
    ...(reason && { reason }),
    ...(total > 0 && free >= 0 && { memory: { total, free } }),
    features,
  }
}
