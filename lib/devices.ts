import { cpus, freemem, totalmem } from 'node:os'
import { addon } from './native-call.js'
import type { DeviceInfo } from './types.js'

/** Every device this build knows of, with the reason where one cannot be used. */
export async function listDevices(): Promise<DeviceInfo[]> {
  const { threads, isas } = addon().cpu()
  return [
    {
      id: 'cpu',
      name: `${cpus()[0]?.model.trim() || process.arch}, ${threads} of ${cpus().length} CPUs`,
      kind: 'cpu',
      usable: true,
      memory: { total: totalmem(), free: freemem() },
      features: isas,
    },
    { id: 'cuda', name: 'NVIDIA GPU', kind: 'cuda', usable: false, reason: 'this build has no GPU engine', features: [] },
  ]
}
