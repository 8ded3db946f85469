"""Times what other software makes of the shapes in a file of gpu_bench's results, and writes it beside them.

    peers.py --json results.json [--seconds 300] [--dry]

torch alone: matrix products (cuBLAS), convolutions (cuDNN, channels last, the fastest of its algorithms) and attention (the fastest of torch's
own kernels), bf16, with inputs that rotate past the cache and replays of a graph, as gpu_bench times ours. Then a step of Diffusers' UNet and
its VAE, eager and compiled, where diffusers can be imported. --seconds: what would end later is left out, with a reason. --dry: tiny
shapes on the CPU, which shows that the script works.
"""
import argparse
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

# The networks lie beside this file where it was packed, else a folder above.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

REPLAYS = 50
COMPILES = 150  # seconds that compiling the UNet may take
TINY_UNET = dict(block_out_channels=(32, 64, 64), attention_head_dim=(1, 1, 1), transformer_layers_per_block=(1, 1, 1))
TINY_VAE = dict(block_out_channels=(32, 32, 32, 32))


class Results:
    """The file, written anew after every row."""

    def __init__(self, path: Path):
        self.path = path
        self.value = json.loads(path.read_text())

    def add(self, name: str, row: dict) -> None:
        rows = [r for r in self.value.get(name, []) if r["name"] != row["name"]]
        self.value[name] = [*rows, row]
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.value, indent=2, allow_nan=False) + "\n")
        os.replace(partial, self.path)

    def shapes(self) -> list:
        """(shape, our milliseconds or None), each shape once with the fastest of our kernels that are right."""
        found: dict = {}
        for case in self.value.get("cases", []):
            if not case.get("shape"):
                continue
            key = json.dumps(case["shape"])
            times = found.setdefault(key, [])
            if case.get("right") and case.get("milliseconds"):
                times.append(case["milliseconds"])
        return [(json.loads(key), min(times, default=None)) for key, times in found.items()]


class Clock:
    def __init__(self, dry: bool):
        self.dry = dry
        self.device = "cpu" if dry else "cuda"
        self.cache = 0 if dry else torch.cuda.get_device_properties(0).L2_cache_size

    def sets(self, size: int) -> int:
        """How many sets of inputs of so many bytes pass by the cache three times."""
        return 1 if self.dry else min(max(3 * self.cache // size + 1, 1), 16)

    def random(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, device=self.device, dtype=torch.bfloat16) * 2 - 1

    def milliseconds(self, calls: list) -> float:
        """The median time of one call, all of them recorded as one graph."""
        for _ in range(1 if self.dry else 3):
            for call in calls:
                call()
        if self.dry:
            begun = time.perf_counter()
            for call in calls:
                call()
            return (time.perf_counter() - begun) * 1e3 / len(calls)
        torch.cuda.synchronize()
        rounds = 1
        once = self._replay(self._recorded(calls, rounds))
        rounds = min(max(math.ceil(0.2 / once), 1), 100)
        graph = self._recorded(calls, rounds)
        self._replay(graph)
        return statistics.median(self._replay(graph) for _ in range(REPLAYS)) / (rounds * len(calls))

    def step(self, call, count: int) -> float:
        """The median time of something that is started from Python every time."""
        times = []
        for _ in range(count):
            self.wait()
            begun = time.perf_counter()
            call()
            self.wait()
            times.append((time.perf_counter() - begun) * 1e3)
        return statistics.median(times)

    def wait(self) -> None:
        if not self.dry:
            torch.cuda.synchronize()

    @staticmethod
    def _recorded(calls: list, rounds: int) -> "torch.cuda.CUDAGraph":
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(rounds):
                for call in calls:
                    call()
        graph.replay()
        return graph

    @staticmethod
    def _replay(graph: "torch.cuda.CUDAGraph") -> float:
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)


def gemm(clock: Clock, s: dict) -> dict:
    """The product and its bias alone, though ours has the GEGLU in it where the shape says so."""
    rows, columns, inner = s["rows"], s["columns"], s["inner"]
    sets = clock.sets(2 * (rows * inner + columns * inner + rows * columns))
    inputs = [(clock.random(rows, inner), clock.random(columns, inner), clock.random(columns)) for _ in range(sets)]
    return {"cuBLAS": clock.milliseconds([lambda x=x, w=w, b=b: F.linear(x, w, b) for x, w, b in inputs])}


def conv(clock: Clock, s: dict) -> dict:
    images, side, inner, out, stride = s["images"], s["side"], s["in"], s["out"], s["stride"]
    sets = clock.sets(2 * (images * side * side * (inner + out // stride**2) + 9 * inner * out))
    last = torch.channels_last
    inputs = [
        (
            clock.random(images, inner, side, side).to(memory_format=last),
            clock.random(out, inner, 3, 3).to(memory_format=last),
            clock.random(out),
        )
        for _ in range(sets)
    ]
    return {"cuDNN": clock.milliseconds([lambda x=x, w=w, b=b: F.conv2d(x, w, b, stride, 1) for x, w, b in inputs])}


def attention(clock: Clock, s: dict) -> dict:
    batch, heads, width = s["batch"], s["heads"], s["width"]
    sets = clock.sets(4 * batch * heads * width * (s["queries"] + s["keys"]))

    def split(length: int) -> torch.Tensor:
        return clock.random(batch, length, heads, width).transpose(1, 2)

    inputs = [(split(s["queries"]), split(s["keys"]), split(s["keys"])) for _ in range(sets)]
    calls = [lambda q=q, k=k, v=v: F.scaled_dot_product_attention(q, k, v) for q, k, v in inputs]
    times = {}
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH):
        if backend == SDPBackend.MATH and times:
            continue  # only where nothing else can do it
        try:
            with sdpa_kernel(backend):
                times[backend.name.lower()] = clock.milliseconds(calls)
        except RuntimeError:
            continue  # not on this chip, or not for this shape
    return times


OPS = {"gemm": gemm, "conv": conv, "attention": attention}


def tiny(shape: dict) -> dict:
    return {name: value if isinstance(value, str) else min(value, 64) for name, value in shape.items()}


def name_of(shape: dict) -> str:
    sizes = [f"{name} {value}" for name, value in shape.items() if name not in ("op", "geglu")]
    return f"{shape['op']} {', '.join(sizes)}" + (" (geglu)" if shape.get("geglu") else "")


def time_torch(results: Results, clock: Clock, deadline: float) -> None:
    print(f"{'torch ' + torch.__version__:72} {'ms':>9} {'ours':>9} {'share':>6}  fastest")
    for shape, ours in results.shapes():
        name = name_of(shape)
        if time.monotonic() > deadline:
            results.add("skipped", {"name": name, "reason": "no time was left"})
            print(f"{name:72} skipped: no time is left")
            continue
        try:
            times = OPS[shape["op"]](clock, tiny(shape) if clock.dry else shape)
        except RuntimeError as error:  # out of memory and the like: the next shape may do
            times = {}
            print(f"{name:72} {str(error).splitlines()[0]}")
        if not times:
            continue
        kernel = min(times, key=times.get)
        row = {"name": name, "op": shape["op"], "milliseconds": times[kernel], "kernel": kernel, "all": times}
        if ours:
            row |= {"ours": ours, "share": times[kernel] / ours}
        results.add("peers", row)
        print(f"{name:72} {times[kernel]:9.4f} " + (f"{ours:9.4f} {row['share']:6.0%}" if ours else " " * 16) + f"  {kernel}", flush=True)
        if not clock.dry:
            torch.cuda.empty_cache()


def time_diffusers(results: Results, clock: Clock, deadline: float) -> None:
    def note(name: str, value: float, unit: str = "ms") -> None:
        results.add("diffusers", {"name": name, "value": value, "unit": unit})
        print(f"{name:72} {value:9.3f} {unit}", flush=True)

    def skip(name: str, reason: str) -> None:
        results.add("diffusers", {"name": name, "skipped": reason})
        print(f"{name:72} skipped: {reason}", flush=True)

    try:
        from sdxl_networks import sdxl_unet, sdxl_vae
    except Exception as error:  # also raised by a diffusers that does not fit its surroundings
        return skip("Diffusers", f"{type(error).__name__}: {error}".splitlines()[0])
    if time.monotonic() + 45 > deadline:
        return skip("Diffusers", "no time was left")
    side, count = (8, 1) if clock.dry else (128, 20)
    type_ = torch.float32 if clock.dry else torch.float16

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device=clock.device, dtype=type_)

    def built(make, dtype: torch.dtype, **changes) -> torch.nn.Module:
        torch.set_default_dtype(dtype)
        try:
            with torch.device(clock.device):
                network = make(**changes)
        finally:
            torch.set_default_dtype(torch.float32)
        return network.eval().to(memory_format=torch.channels_last)

    unet = built(sdxl_unet, type_, **(TINY_UNET if clock.dry else {}))
    x = random(2, 4, side, side).to(memory_format=torch.channels_last)
    context = random(2, 77, 2048)
    sizes = torch.tensor([[1024.0, 1024, 0, 0, 1024, 1024]] * 2, device=clock.device, dtype=type_)
    added = dict(text_embeds=random(2, 1280), time_ids=sizes)
    timestep = torch.tensor(500.0, device=clock.device)

    def step(network) -> None:
        network(x, timestep, context, added_cond_kwargs=added, return_dict=False)

    clock.step(lambda: step(unet), 3)
    note("Diffusers UNet step with guidance, eager", clock.step(lambda: step(unet), count))

    vae = built(sdxl_vae, torch.float32 if clock.dry else torch.bfloat16, **(TINY_VAE if clock.dry else {}))
    latents = random(1, 4, side, side).to(next(vae.parameters()).dtype)
    clock.step(lambda: vae.decode(latents), 2)
    note("Diffusers VAE decode, eager", clock.step(lambda: vae.decode(latents), 1 if clock.dry else 7))
    del vae

    name = "Diffusers UNet step with guidance, compiled"
    if not clock.dry and time.monotonic() + COMPILES > deadline:
        return skip(name, f"compiling may take {COMPILES} s, and {max(deadline - time.monotonic(), 0):.0f} s were left")
    begun = time.perf_counter()
    # reduce-overhead records graphs; without a GPU and its compiler only the capture of the network can be tried.
    compiled = torch.compile(unet, backend="aot_eager") if clock.dry else torch.compile(unet, mode="reduce-overhead")
    try:
        clock.step(lambda: step(compiled), 3)
    except Exception as error:  # no compiler there, say
        return skip(name, f"{type(error).__name__}: {error}".splitlines()[0][:200])
    note("  compiling it", time.perf_counter() - begun, "s")
    note(name, clock.step(lambda: step(compiled), count))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--dry", action="store_true")
    arguments = parser.parse_args()
    deadline = time.monotonic() + arguments.seconds
    results = Results(arguments.json)
    if not arguments.dry and not torch.cuda.is_available():
        results.add("skipped", {"name": "torch", "reason": "it finds no GPU"})
        print("torch finds no GPU")
        return
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    clock = Clock(arguments.dry)
    with torch.inference_mode():
        time_torch(results, clock, deadline)
        time_diffusers(results, clock, deadline)


main()
