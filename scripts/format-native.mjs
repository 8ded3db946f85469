// clang-format over the C++ sources; --check fails where something would change.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { bin, root, run } from './dependencies.mjs'

const files = readdirSync(join(root, 'native'), { recursive: true })
  .filter((name) => /\.(cc|h|cu)$/.test(name))
  .map((name) => join('native', name))
run(bin('clang-format'), [...(process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i']), ...files])
