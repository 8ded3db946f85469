#!/usr/bin/env node
// Called by prebuildify as `node-gyp rebuild …`; it then takes the .node file from build/Release.
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { compileAddon, root } from './dependencies.mjs'

compileAddon()
mkdirSync(join(root, 'build/Release'), { recursive: true })
copyFileSync(join(root, 'build/native/Release/node-sdxl.node'), join(root, 'build/Release/node-sdxl.node'))
