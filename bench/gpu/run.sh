#!/usr/bin/env bash
# Checks and times the CUDA kernels on this machine's GPU: bench/gpu/run.sh results.json [option of gpu_bench …]
# What it needs is made elsewhere as well as here: `npm run build:cuda` for the kernels, and the program by this script's first run.
set -euo pipefail
json=${1:?"the file for the results is wanted"}
folder=$(cd "$(dirname "$0")/../.." && pwd)
program=$folder/build/gpu/gpu_bench
if [ ! -x "$program" ]; then
  cmake -S "$folder" -B "$folder/build/gpu" -DSDXL_TESTS=ON
  cmake --build "$folder/build/gpu" --target gpu_bench --parallel
fi
exec "$program" --cubins "$folder/build/cuda/cubins" --json "$json" "${@:2}"
