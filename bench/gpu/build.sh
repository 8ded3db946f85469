#!/usr/bin/env bash
# Makes what the suite is run with: build/gpu/gpu_bench and, where there are none from the same sources, the kernels.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cmake -S "$root" -B "$root/build/gpu" -DSDXL_TESTS=ON >/dev/null
cmake --build "$root/build/gpu" --target gpu_bench --parallel
stamp=$root/build/cuda/cubins/kernels.stamp
if [ ! -e "$stamp" ] || [ "$(<"$stamp")" != "$("$root/build/gpu/gpu_bench" --stamp)" ]; then (cd "$root" && npm run build:cuda); fi
