// The addon looks for cubins in the folder cuda/ beside itself.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../dependencies.mjs'
import { kernelsStamp, readStamp, writeStamp } from './kernels-stamp.mjs'

export const cubins = join(root, 'build/cuda/cubins')

export function placeCubins(besideAddon) {
  const target = join(besideAddon, 'cuda')
  rmSync(target, { recursive: true, force: true })
  if (!existsSync(cubins)) return
  mkdirSync(target, { recursive: true })
  for (const name of readdirSync(cubins)) if (name.endsWith('.cubin')) cpSync(join(cubins, name), join(target, name))
  const stamp = readStamp(cubins)
  if (stamp) writeStamp(target, stamp) // last: a process that reads meanwhile is to see that something changes
  if (stamp !== kernelsStamp())
    console.warn('The CUDA kernels were made from other sources and will be refused: npm run build:cuda makes them anew')
}
