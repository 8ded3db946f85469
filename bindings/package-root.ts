import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

let root: string | undefined

/** Found by walking up, because this file runs from three places: lib/ in tests, dist/esm/lib/ and dist/cjs/lib/. */
function findRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json')
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === 'node-sdxl') return folder
    if (dirname(folder) === folder) throw new Error(`node-sdxl: no package.json of node-sdxl above ${import.meta.url}`)
  }
}

/** Absolute path of a file that ships inside this package. */
export function packageFile(...segments: string[]): string {
  root ??= findRoot()
  return join(root, ...segments)
}
