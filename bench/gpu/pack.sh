#!/usr/bin/env bash
# Collects what has to travel to a machine with a GPU and without a compiler, and says how large it is.
#
#   bench/gpu/pack.sh [folder] [--model] [--diffusers]
#
# --model: the tiny model too, where the repository does not travel along. --diffusers: its newest release as a wheel.
# ARCHITECTURE names the kernels to pack; sm_90a is the H100's and H200's. The folder lies beside itself as a .tar.gz, a third of its size. There,
# best in the repository's root, if that is there: tar xf pack.tar.gz -C /tmp && bash /tmp/pack/run.sh results.json
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=$root/build/gpu/pack model= diffusers=
for argument in "$@"; do
  case $argument in
    --model) model=1 ;;
    --diffusers) diffusers=1 ;;
    -*) echo "unknown option $argument" >&2 && exit 2 ;;
    *) folder=$argument ;;
  esac
done
architecture=${ARCHITECTURE:-sm_90a}

"$here/build.sh"
rm -rf "$folder"
mkdir -p "$folder/cuda"
cp "$here/run.sh" "$here/peers.py" "$root/bench/sdxl_networks.py" "$folder"
strip -o "$folder/gpu_bench" "$root/build/gpu/gpu_bench"
cp "$root/build/cuda/cubins/"*".$architecture.cubin" "$root/build/cuda/cubins/kernels.stamp" "$folder/cuda"
[ -z "$model" ] || cp "$root/models/tiny-shapes.safetensors" "$folder"
[ -z "$diffusers" ] || python3 -m pip download -q --no-deps -d "$folder" diffusers importlib_metadata zipp
tar -C "$(dirname "$folder")" -czf "$folder.tar.gz" "$(basename "$folder")"
du -ah "$folder" | sort -k 2
du -sb "$folder" "$folder.tar.gz" | awk '{ printf "%.1f MB: %s\n", $1 / 1e6, $2 }'
