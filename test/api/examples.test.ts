import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readPng } from '../../lib/image/index.js'
import { temporaryFolder } from '../support/files.js'

const examples = fileURLToPath(new URL('../../examples/', import.meta.url))

// Each as a reader would run it; those that draw leave pictures in the working folder.
test.each(readdirSync(examples).filter((name) => name.endsWith('.mjs')))('%s runs', async (name) => {
  const folder = temporaryFolder()
  const { status, stderr, stdout } = spawnSync(process.execPath, [join(examples, name)], { cwd: folder, encoding: 'utf8', timeout: 60_000 })
  expect({ status, error: status === 0 ? '' : stderr }).toEqual({ status: 0, error: '' })
  const pictures = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.png'))
  for (const picture of pictures) expect((await readPng(readFileSync(join(folder, picture)))).width).toBe(128)
  expect(pictures.length + stdout.length).toBeGreaterThan(0)
})
