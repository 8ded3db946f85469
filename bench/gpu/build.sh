#!/usr/bin/env bash
# Makes what the suite is run with: build/gpu/gpu_bench and, where there are none, the kernels.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
if ! compgen -G "$root/build/cuda/cubins/*.cubin" >/dev/null; then (cd "$root" && npm run build:cuda); fi
cmake -S "$root" -B "$root/build/gpu" -DSDXL_TESTS=ON >/dev/null
cmake --build "$root/build/gpu" --target gpu_bench --parallel
