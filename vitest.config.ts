import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The engine has its own threads: test files side by side would only fight for the same cores.
    fileParallelism: false,
    pool: 'forks',
    testTimeout: 60_000,
    // Golden values are those of the CPU; tests of GPUs name a folder of their own.
    env: { NODE_SDXL_CUDA_KERNELS: 'no-kernels' },
  },
})
