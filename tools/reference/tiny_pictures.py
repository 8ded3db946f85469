"""Golden pictures of the shipped tiny model, models/tiny-shapes.safetensors, by Diffusers in float32.

Writes test/golden/models/tiny-shapes.safetensors ("<case>.latents", "<case>.rgb") and tiny-shapes.json (the requests). The start noise is
not stored: it is the first draw of torch's CPU generator for the seed (rng 'torch-cpu').

    python tools/reference/tiny_pictures.py
"""

import json
import sys

import torch
from safetensors.torch import load_file, save_file

from common import GOLDEN, ROOT, SAMPLERS, SCHEDULES, chunks_of, decode, denoiser, encode_chunks, seeded_noises, to_rgb, zeros_like_prompt

sys.path.insert(0, str(ROOT / "tools" / "tiny"))
from architecture import PIXELS, TIME_IDS, from_single_file  # noqa: E402

REQUEST = {
    "negativePrompt": "", "width": PIXELS, "height": PIXELS, "steps": 20, "guidance": 4, "sampler": "euler", "scheduler": "normal",
    "rng": "torch-cpu",
}  # fmt: skip
CASES = {
    "circle": {"prompt": "a red circle on a blue background", "seed": 0},
    "star": {"prompt": "a yellow star on a black background", "seed": 1},
    "two-shapes": {"prompt": "a red circle to the left of a blue square on a white background", "seed": 8},
}


def draw(request: dict, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Final latents [1, 4, 16, 16] and RGB bytes [1, 128, 128, 3], computed in `dtype`."""
    models = from_single_file(load_file(ROOT / "models" / "tiny-shapes.safetensors")).to(dtype)
    positive = encode_chunks(models, chunks_of([(request["prompt"], 1.0)]))
    sigmas = SCHEDULES[request["scheduler"]](request["steps"])
    noise = seeded_noises(request["seed"], 1, (4, PIXELS // 8, PIXELS // 8), 1)[0].double()
    denoise = denoiser(models, positive, zeros_like_prompt(positive), request["guidance"], TIME_IDS)
    latents = SAMPLERS[request["sampler"]](noise * sigmas[0], sigmas, denoise, [])
    return latents, to_rgb(decode(models, latents))


def main() -> None:
    """Draws every case in float32, and in float64 to state how far float32 can be trusted."""
    torch.set_num_threads(2)
    tensors, cases = {}, {}
    for name, case in CASES.items():
        request = REQUEST | case
        latents, rgb = draw(request, torch.float32)
        exact_latents, exact_rgb = draw(request, torch.float64)
        tensors |= {f"{name}.latents": latents.float(), f"{name}.rgb": rgb}
        gap = {"latents": (latents - exact_latents).abs().max().item(), "rgb": (rgb.int() - exact_rgb.int()).abs().max().item()}
        cases[name] = {"request": request, "float64_difference": gap}
    save_file(tensors, GOLDEN / "tiny-shapes.safetensors")
    (GOLDEN / "tiny-shapes.safetensors").chmod(0o644)
    (GOLDEN / "tiny-shapes.json").write_text(json.dumps({"model": "models/tiny-shapes.safetensors", "cases": cases}, indent=2) + "\n")


if __name__ == "__main__":
    main()
