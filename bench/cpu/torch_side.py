"""torch as one side of bench/cpu: answers the lines that native/cpu/bench/cpu_bench.cc describes.

Usage: torch_side.py f32|bf16
"""
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"absent {error}", flush=True)
    sys.exit()

dtype = torch.bfloat16 if sys.argv[1] == "bf16" else torch.float32


def values(shape: list[int], seed: int, scale: float = 1, first: int = 0) -> torch.Tensor:
    """The formula of native/cpu/bench/side.h."""
    low = 0xFFFFFFFF
    count = 1
    for size in shape:
        count *= size
    bits = (torch.arange(first, first + count, dtype=torch.int64) + seed * 0x9E3779B9) & low
    bits = ((bits ^ (bits >> 16)) * 0x7FEB352D) & low
    bits = ((bits ^ (bits >> 15)) * 0x846CA68B) & low
    bits ^= bits >> 16
    return (((bits >> 24) - 128).float() * (scale / 128)).reshape(shape)


def open_case(kind: str, scale: float, sizes: list[int]):
    """A function that computes it, and one that brings its result into the order of ours."""
    if kind in ("linear", "geglu"):
        rows, depth, out = sizes
        x, weight = values([rows, depth], 1).to(dtype), values([out, depth], 2, scale).to(dtype)
        bias = values([out], 3).to(dtype)
        if kind == "linear":
            return lambda: F.linear(x, weight, bias), lambda y: y

        def geglu() -> torch.Tensor:
            value, gate = F.linear(x, weight, bias).chunk(2, dim=-1)
            return value * F.gelu(gate)

        return geglu, lambda y: y
    if kind == "conv":
        size, channels = sizes
        x = values([1, size, size, channels], 1).to(dtype).permute(0, 3, 1, 2)  # channels last, which is the order in memory
        weight = values([channels, channels, 3, 3], 2, scale).to(dtype).contiguous(memory_format=torch.channels_last)
        bias = values([channels], 3).to(dtype)
        return lambda: F.conv2d(x, weight, bias, padding=1), lambda y: y.permute(0, 2, 3, 1)
    if kind == "attention":
        heads, queries, keys, width = sizes

        def of_heads(rows: int, seed: int, factor: float = 1) -> torch.Tensor:
            return values([1, rows, heads, width], seed, factor).to(dtype).transpose(1, 2)

        q, k, v = of_heads(queries, 1, scale), of_heads(keys, 2), of_heads(keys, 3)
        return lambda: F.scaled_dot_product_attention(q, k, v), lambda y: y.transpose(1, 2)
    return None


def milliseconds(body) -> float:
    begun = time.perf_counter()
    body()
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    print(f"ready torch {torch.__version__}", flush=True)
    body = ordered = None
    for line in sys.stdin:
        request, *words = line.split()
        if request == "open":
            opened = open_case(words[0], float(words[1]), [int(word) for word in words[2:]])
            if opened:
                body, ordered = opened
            print("ok" if opened else "no such op", flush=True)
        elif request == "run":
            body()
            times = []
            while len(times) < 21 and sum(times) < 20:
                times.append(milliseconds(body))
            print(sorted(times)[len(times) // 2], flush=True)
        elif request == "sample":
            y = ordered(body()).float().reshape(-1)
            print(*(y[i * 2654435761 % len(y)].item() for i in range(int(words[0]))), flush=True)
        else:
            print(0, flush=True)


with torch.inference_mode():
    main()
