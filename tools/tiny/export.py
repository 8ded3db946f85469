"""Writes the trained parts as one fp16 single file, and draws a contact sheet with Diffusers to look at.

    python export.py FOLDER TARGET.safetensors [--sheet SHEET.png]
"""

import argparse
from pathlib import Path

import torch
from architecture import PIXELS, TIME_IDS, load_parts, to_single_file
from common import SCHEDULES, Models, chunks_of, decode, denoiser, encode_chunks, sample_euler, seeded_noises, to_rgb, zeros_like_prompt
from PIL import Image, ImageDraw
from safetensors.torch import save_file

PROMPTS = [
    "a red circle on a blue background",
    "a yellow star on a black background",
    "a large green square on a white background",
    "a small purple heart on a gray background",
    "a pink ring on a green background",
    "an orange triangle, cyan background",
    "a blue diamond on a yellow background",
    "a white cross on a red background",
    "a red circle to the left of a blue square on a white background",
    "a yellow star above a green circle on a purple background",
    "a cyan square on the right on a brown background",
    "a black circle at the top on an orange background",
]
METADATA = {
    "modelspec.sai_model_spec": "1.0.0",
    "modelspec.architecture": "stable-diffusion-xl-v1-base",
    "modelspec.title": "tiny shapes",
    "modelspec.resolution": f"{PIXELS}x{PIXELS}",
    "modelspec.description": "A small SDXL trained on procedurally drawn shapes; CC0.",
    "modelspec.license": "CC0-1.0",
}


def draw(models: Models, prompt: str, seed: int, steps: int = 20, guidance: float = 4.0) -> torch.Tensor:
    """RGB bytes [height, width, 3] of one prompt."""
    positive = encode_chunks(models, chunks_of([(prompt, 1.0)]))
    sigmas = SCHEDULES["normal"](steps)
    noise = seeded_noises(seed, 1, (4, PIXELS // 8, PIXELS // 8), 1)[0].double()
    denoise = denoiser(models, positive, zeros_like_prompt(positive), guidance, TIME_IDS)
    return to_rgb(decode(models, sample_euler(noise * sigmas[0], sigmas, denoise, [])))[0]


def contact_sheet(models: Models) -> Image.Image:
    """The prompts' pictures, four in a row, with the beginnings of their captions."""
    width, height = PIXELS + 4, PIXELS + 18
    sheet = Image.new("RGB", (4 * width, 3 * height), "white")
    pen = ImageDraw.Draw(sheet)
    for i, prompt in enumerate(PROMPTS):
        x, y = i % 4 * width + 2, i // 4 * height + 2
        sheet.paste(Image.fromarray(draw(models, prompt, seed=i).numpy()), (x, y))
        pen.text((x, y + PIXELS + 1), prompt[:22], fill="black")
    return sheet


def main() -> None:
    """Writes the file and, if wanted, the sheet."""
    parser = argparse.ArgumentParser(description="Exports the tiny model.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(2)
    models = load_parts(options.folder)
    state = to_single_file(models, torch.float16)
    save_file(state, options.target, metadata=METADATA)
    print(f"{len(state)} tensors, {sum(value.numel() for value in state.values()) / 1e6:.1f} M values in {options.target}")
    if options.sheet:
        contact_sheet(models).save(options.sheet)


if __name__ == "__main__":
    main()
