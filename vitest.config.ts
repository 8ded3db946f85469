import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The engine has its own threads: test files side by side would only fight for the same cores.
    fileParallelism: false,
    pool: 'forks',
    testTimeout: 60_000,
  },
})
