#!/usr/bin/env bash
# The whole suite for GPUs in order, results first in a file and last in a table. Exits with 1 where something is wrong.
#
#   bench/gpu/run.sh results.json [--seconds 540] [--dry libfake_cuda.so]
#
# What does not fit into the seconds is left out, and said so. --dry: tiny sizes on a stand-in for the driver, and torch on the CPU.
# It runs from the repository as well as from what pack.sh has packed. PYTHON names a Python with torch, WORK a folder with 7 GB.
set -euo pipefail
export LC_ALL=C
json=${1:?"the file for the results is wanted"}
shift
seconds=540 dry=
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2 ;;
    --dry) dry=$(realpath "$2") ;;
    *) echo "unknown option $1" >&2 && exit 2 ;;
  esac
  shift 2
done

here=$(cd "$(dirname "$0")" && pwd)
root=$here
while [ "$root" != / ] && [ ! -e "$root/CMakeLists.txt" ]; do root=$(dirname "$root"); done # of the repository, if this lies in one
if [ -x "$here/gpu_bench" ]; then
  program=$here/gpu_bench # its kernels lie beside it
  common=(--json "$json")
else
  program=$root/build/gpu/gpu_bench
  common=(--json "$json" --cubins "$root/build/cuda/cubins")
  "$here/build.sh"
fi
tiny=
for model in "$here/tiny-shapes.safetensors" "$root/models/tiny-shapes.safetensors" models/tiny-shapes.safetensors; do
  if [ -z "$tiny" ] && [ -e "$model" ]; then tiny=$model; fi
done

free_gigabytes() { df --output=avail -k "$1" 2>/dev/null | awk 'NR == 2 { print int($1 / 1e6) }'; }
work=${WORK:-/tmp}
if [ -z "${WORK:-}" ] && [ "$(free_gigabytes /dev/shm || true)0" -ge 90 ]; then work=/dev/shm; fi # where it needs no reading
work=$(mktemp -d "$work/sdxl-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

python=${PYTHON:-python3}
for wheel in "$here"/*.whl; do
  if [ -e "$wheel" ]; then "$python" -m zipfile -e "$wheel" "$work/python"; fi
done
export PYTHONPATH="$work/python${PYTHONPATH:+:$PYTHONPATH}"

peers=(--json "$json")
if [ -n "$dry" ]; then
  mkdir "$work/cubins"
  for kernel in activation attention attention_wide combine conv2d convert embedding gemm group_norm guidance layer_norm layout narrow noise rgb; do
    echo "sm_86 fake" >"$work/cubins/$kernel.sm_86.cubin"
  done
  "$program" --stamp >"$work/cubins/kernels.stamp"
  common=(--json "$json" --small --library "$dry" --cubins "$work/cubins")
  peers+=(--dry)
fi

failed=0
skip() {
  echo "skipped: $1: $2"
  "$program" --json "$json" --skipped "$1" "$2"
}
# What it is, how many seconds it takes at least and at most, and the command.
stage() {
  local name=$1 least=$2 most=$3 left=$((seconds - SECONDS)) status=0
  shift 3
  echo
  echo "== $name ($left s are left)"
  if [ "$left" -lt "$least" ]; then
    skip "$name" "it takes $least s at least, and $left s were left"
    return
  fi
  [ "$most" -lt "$left" ] || most=$left
  timeout --kill-after=5 "$most" "$@" || status=$?
  case $status in
    0) ;;
    124 | 137) skip "the rest of: $name" "it was ended after $most s" ;;
    *) failed=1 ;;
  esac
}

rm -f "$json"
stage "a full-size checkpoint" 20 120 "$program" "${common[@]}" --work "$work" --only synthesise
stage "kernels: right and how fast" 30 200 "$program" "${common[@]}" --only kernels
stage "the engine beside itself on the CPU" 30 150 "$program" "${common[@]}" --work "$work" --tiny "$tiny" --only compare
stage "the engine's times" 15 90 "$program" "${common[@]}" --work "$work" --only engine --since "$EPOCHREALTIME"
if "$python" -c 'import torch' 2>"$work/reason"; then
  left=$((seconds - SECONDS - 5))
  stage "torch and Diffusers" 20 "$left" "$python" "$here/peers.py" "${peers[@]}" --seconds "$left"
else
  skip "torch and Diffusers" "$(tail -1 "$work/reason")"
fi
echo
"$program" --json "$json" --summary
echo "$SECONDS s in all"
exit $failed
