// Builds and runs the tests of the native code. `--sanitize` does so under the address+undefined and the thread sanitizer instead;
// `--build=TARGET` builds only that.
import { cpus } from 'node:os'
import { join } from 'node:path'
import { root, run } from './dependencies.mjs'

function buildTarget(target, folder, settings) {
  const build = join(root, 'build', folder)
  run('cmake', ['-S', root, '-B', build, '-DSDXL_TESTS=ON', ...settings], { stdio: ['ignore', 'ignore', 'inherit'] })
  run('cmake', ['--build', build, '--target', target, '--parallel', String(cpus().length)], { stdio: ['ignore', 'ignore', 'inherit'] })
  return build
}

function buildAndRun(folder, settings, environment = {}) {
  const build = buildTarget('native_tests', folder, settings)
  run(
    join(build, 'native_tests'),
    process.argv.slice(2).filter((arg) => !arg.startsWith('--')),
    { env: { ...process.env, ...environment } },
  )
}

const only = process.argv.find((arg) => arg.startsWith('--build='))
if (only) {
  buildTarget(only.slice('--build='.length), 'tests', [])
} else if (process.argv.includes('--sanitize')) {
  console.log('address and undefined sanitizer')
  buildAndRun('sanitize-address', ['-DSDXL_SANITIZE=address,undefined', '-DCMAKE_BUILD_TYPE=RelWithDebInfo'], {
    ASAN_OPTIONS: 'detect_leaks=1:allocator_may_return_null=1',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  })
  console.log('thread sanitizer')
  buildAndRun('sanitize-thread', ['-DSDXL_SANITIZE=thread', '-DCMAKE_BUILD_TYPE=RelWithDebInfo'], { TSAN_OPTIONS: 'halt_on_error=1' })
} else {
  buildAndRun('tests', [])
}
