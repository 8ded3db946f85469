// Builds what is out of date: dependencies, the native addon, the JavaScript in dist/. CUDA kernels that `npm run build:cuda` has made before
// are placed beside a new addon, because a compilation that failed has removed that folder.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { placeCubins } from './cuda/place-cubins.mjs'
import { bin, compileAddon, ensureDependencies, root, run } from './dependencies.mjs'

/** Files below `folders`, with their paths from the root. */
function filesBelow(...folders) {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name)),
  )
}

function isCurrent(product, sources) {
  if (!existsSync(product)) return false
  const built = statSync(product).mtimeMs
  return sources.every((source) => statSync(source).mtimeMs <= built)
}

function buildNative() {
  const sources = [...filesBelow('native').filter((f) => !/_test\.cc$/.test(f)), join(root, 'CMakeLists.txt')]
  const folder = join(root, 'build/native/Release')
  if (isCurrent(join(folder, 'node-sdxl.node'), sources)) return
  compileAddon()
  placeCubins(folder)
}

async function buildJavaScript() {
  const sources = [...filesBelow('lib', 'bindings').filter((f) => f.endsWith('.ts')), join(root, 'tsconfig.json')]
  const stamp = join(root, 'dist/cjs/package.json')
  if (isCurrent(stamp, sources)) return
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  run(bin('tsc'), ['-p', 'tsconfig.json'])
  const esm = join(root, 'dist/esm')
  const cjs = join(root, 'dist/cjs')
  const { build } = await import('esbuild')
  await build({
    entryPoints: sources.filter((f) => f.endsWith('.ts')),
    outdir: cjs,
    outbase: root,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    // CommonJS has no import.meta; this is where it would have pointed.
    banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href" },
    define: { 'import.meta.url': 'importMetaUrl' },
  })
  // Types are the same for both; it is the folder's package.json that says which module system they describe.
  cpSync(esm, cjs, { recursive: true, filter: (from) => statSync(from).isDirectory() || from.endsWith('.d.ts') })
  mkdirSync(cjs, { recursive: true })
  writeFileSync(stamp, '{ "type": "commonjs" }\n')
}

ensureDependencies()
buildNative()
await buildJavaScript()
