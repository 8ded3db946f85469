// Says which sources kernels were compiled from. CMakeLists.txt computes the same for the engine, which refuses kernels with another stamp.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { root } from '../dependencies.mjs'

export const kernels = join(root, 'native/cuda/kernels')

const hashOf = (bytes) => createHash('sha256').update(bytes).digest('hex')

/** Of all files below `folder` but those with a leading dot, such as an editor's: their paths and bytes, in 16 hexadecimal digits. */
export function kernelsStamp(folder = kernels) {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !basename(entry.name).startsWith('.'))
    .map((entry) =>
      join(entry.parentPath ?? entry.path, entry.name)
        .slice(join(folder, '/').length)
        .replaceAll('\\', '/'),
    )
  const listing = names.sort().map((name) => `${name} ${hashOf(readFileSync(join(folder, name)))}\n`)
  return hashOf(listing.join('')).slice(0, 16)
}

const stampFile = (cubins) => join(cubins, 'kernels.stamp')

export function writeStamp(cubins, stamp) {
  writeFileSync(stampFile(cubins), stamp + '\n')
}

/** Of a folder of cubins; undefined where there is none. */
export function readStamp(cubins) {
  return existsSync(stampFile(cubins)) ? readFileSync(stampFile(cubins), 'utf8').trim() : undefined
}
