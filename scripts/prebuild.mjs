// Builds the binary for this platform into prebuilds/<platform>-<arch>/, where the loader looks first.
// prebuildify drives node-gyp; cmake-js is put in its place by scripts/cmake-js-as-node-gyp.mjs.
import { join } from 'node:path'
import { bin, ensureDependencies, root, run } from './dependencies.mjs'

ensureDependencies()
const shim = join(root, 'scripts/cmake-js-as-node-gyp.mjs')
run(bin('prebuildify'), ['--napi', '--strip', '--name', 'node-sdxl', '--node-gyp', shim, '--target', process.versions.node])
