#!/usr/bin/env node
// Called by prebuildify as `node-gyp rebuild …`; it then takes the .node file from build/Release.
import { copyFileSync, mkdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { root, run } from './dependencies.mjs'

run(join(root, 'node_modules/.bin/cmake-js'), ['compile', '--out', 'build/native', '--parallel', String(cpus().length)])
mkdirSync(join(root, 'build/Release'), { recursive: true })
copyFileSync(join(root, 'build/native/Release/node-sdxl.node'), join(root, 'build/Release/node-sdxl.node'))
