import { createHash } from 'node:crypto'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { kernelsStamp } from '../../scripts/cuda/kernels-stamp.mjs'
import { temporaryFolder } from './files.js'

const folder = temporaryFolder()
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

// That CMake computes the same is tested where the addon takes kernels with this stamp, in test/api/devices-cuda.test.ts.
test('the stamp of kernels is that of every path and byte', () => {
  const put = (name: string, text: string) => writeFileSync(join(folder, name), text)
  mkdirSync(join(folder, 'sm_90a'))
  put('b.cu', 'one\n')
  put('sm_90a/a.cu', 'two\n')
  put('Z.h', '')
  const first = kernelsStamp(folder)
  expect(first).toBe(sha256(`Z.h ${sha256('')}\nb.cu ${sha256('one\n')}\nsm_90a/a.cu ${sha256('two\n')}\n`).slice(0, 16))

  put('.b.cu.swp', 'of an editor')
  expect(kernelsStamp(folder)).toBe(first)
  const changes = [
    () => put('b.cu', 'one\r\n'),
    () => renameSync(join(folder, 'b.cu'), join(folder, 'c.cu')),
    () => renameSync(join(folder, 'sm_90a/a.cu'), join(folder, 'a.cu')),
    () => put('new.h', ''),
  ]
  const seen = new Set([first])
  for (const change of changes) {
    change()
    seen.add(kernelsStamp(folder))
  }
  expect(seen.size).toBe(1 + changes.length)
})
