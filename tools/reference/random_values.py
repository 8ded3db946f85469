"""Golden values of native/core/random: writes test/golden/random/{torch_cpu,philox}.json.

torch_cpu.json comes from torch itself. philox.json comes from a second implementation, in Python integers and doubles, of what cuRAND
documents; its seed 0, draw 0 is checked against published output of torch.randn(12, device="cuda").

    python tools/reference/random_values.py      (torch 2.8.0, numpy 2.2)
"""
import json
import math
import pathlib

import numpy as np
import torch

OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "golden" / "random"
SEEDS = [0, 42, 2**32 - 1, 2**53 - 1]
TORCH_CUDA_SEED_0 = [-0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564, -0.62285122, -0.32838709, -1.07454231, -0.36314407, -1.67105067, 2.26550497]


def floats(values):
    """Shortest text that reads back as the same float32."""
    return [float(str(np.float32(v))) for v in values]


def torch_cpu():
    calls = [(seed, [n]) for seed in SEEDS for n in (1, 4, 15, 16, 17, 64)] + [(0, [1000]), (123456789, [31])]
    # Streams: the cached second value of a pair survives calls of 16 and more.
    calls += [(seed, [1, 4, 16, 15, 17, 3, 64, 1, 2]) for seed in SEEDS]
    cases = []
    for seed, sizes in calls:
        generator = torch.Generator().manual_seed(seed)
        cases.append({"seed": seed, "draws": [floats(torch.randn(n, generator=generator).numpy()) for n in sizes]})
    return cases


def philox_block(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def curand_normal(seed, draw, n):
    out = []
    for i in range(n):
        x, y, _, _ = philox_block((draw & 0xFFFFFFFF, draw >> 32, i, 0), (seed & 0xFFFFFFFF, seed >> 32))
        u = x * 2.0**-32 + 2.0**-33
        v = (y * 2.0**-32 + 2.0**-33) * 2 * math.pi
        out.append(math.sqrt(-2 * math.log(u)) * math.sin(v))
    return out


def philox():
    cases = [(seed, draw, 12) for seed in SEEDS for draw in (0, 1, 1000)] + [(0x0123456789ABCDEF, 2**32 + 5, 8), (7, 0, 500)]
    return [{"seed": str(seed), "draw": str(draw), "values": floats(curand_normal(seed, draw, n))} for seed, draw, n in cases]


def dump(name, cases):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


if __name__ == "__main__":
    known = np.abs(np.array(curand_normal(0, 0, 12)) - np.array(TORCH_CUDA_SEED_0))
    assert known.max() < 1e-8, known
    dump("torch_cpu.json", torch_cpu())
    dump("philox.json", philox())
