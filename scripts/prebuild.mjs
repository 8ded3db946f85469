// Builds the binary for this platform into prebuilds/<platform>-<arch>/, where the loader looks first.
// prebuildify drives node-gyp; cmake-js is put in its place by scripts/cmake-js-as-node-gyp.mjs. The CUDA kernels go beside the binary, where
// `npm run build:cuda` has made them.
import { join } from 'node:path'
import { placeCubins } from './cuda/place-cubins.mjs'
import { bin, ensureDependencies, root, run } from './dependencies.mjs'

ensureDependencies()
const shim = join(root, 'scripts/cmake-js-as-node-gyp.mjs')
run(bin('prebuildify'), ['--napi', '--strip', '--name', 'node-sdxl', '--node-gyp', shim, '--target', process.versions.node])
placeCubins(join(root, 'prebuilds', `${process.platform}-${process.arch}`))
