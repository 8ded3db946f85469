// Installs what package-lock.json names, when node_modules is absent or older. Quick when nothing is to be done.
import { execFileSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** Runs a program in the repository's root with its output shown; ends this process when it fails. */
export function run(program, args, options = {}) {
  try {
    execFileSync(program, args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32', ...options })
  } catch (error) {
    console.error(`\n${[program, ...args].join(' ')} failed${error.status ? ` with exit code ${error.status}` : `: ${error.message}`}`)
    process.exit(error.status || 1)
  }
}

export function bin(name) {
  return `${root}node_modules/.bin/${name}`
}

/** The addon, into build/native/Release. Quick when nothing has changed. */
export function compileAddon() {
  run(bin('cmake-js'), ['compile', '--out', 'build/native', '--parallel', String(cpus().length)])
}

export function ensureDependencies() {
  const lock = `${root}package-lock.json`
  const installed = `${root}node_modules/.package-lock.json`
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  run('npm', ['ci', '--no-audit', '--no-fund'])
}
