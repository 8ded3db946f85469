"""Golden values of lib/tasks: what torch, Pillow and the arithmetic of A1111's web UI make of small inputs.

    task_pieces.py            writes test/golden/task-pieces.json

- latents:  {upscaler, width, height, shape, data, wanted}: torch's interpolate, float32
- masks:    {mode, mask, width, height, wanted}: a mask in latents as A1111, ComfyUI and Diffusers make it
- fits:     {mode, width, height, image, wanted}: A1111's three ways to resize, restated
- regions:  {mask, padding, drawn, wanted}: A1111's "only masked" rectangle (left, top, right, bottom), restated
"""

import base64
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

ROOT = Path(__file__).resolve().parents[2]
randomness = np.random.default_rng(23)


def text(array, dtype=np.uint8):
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode()


def raster(array):
    height, width = array.shape[:2]
    return {"width": width, "height": height, "channels": 1 if array.ndim == 2 else array.shape[2], "data": text(array)}


def latents():
    modes = {
        "latent": ("bilinear", False), "latent (antialiased)": ("bilinear", True), "latent (bicubic)": ("bicubic", False),
        "latent (bicubic antialiased)": ("bicubic", True), "latent (nearest)": ("nearest", False),
        "latent (nearest-exact)": ("nearest-exact", False),
    }  # fmt: skip
    for upscaler, (mode, antialias) in modes.items():
        for (height, width), size in [((5, 7), (10, 14)), ((5, 7), (8, 9)), ((16, 12), (6, 5)), ((1, 3), (4, 3))]:
            data = torch.from_numpy(randomness.normal(0, 1, (3, height, width)).astype(np.float32))
            made = interpolate(data[None], size=size, mode=mode, antialias=antialias)[0]
            yield {
                "upscaler": upscaler, "width": size[1], "height": size[0], "shape": list(data.shape),
                "data": text(data.numpy(), np.float32), "wanted": text(made.numpy(), np.float32),
            }  # fmt: skip


def blob(height, width, soft):
    y, x = np.mgrid[0:height, 0:width]
    inside = ((x - width * 0.6) / (width * 0.25)) ** 2 + ((y - height * 0.4) / (height * 0.3)) ** 2
    return (np.clip((1.5 - inside) * 200, 0, 255) if soft else np.where(inside < 1, 255, 0)).astype(np.uint8)


def masks():
    for soft in (False, True):
        mask = blob(64, 88, soft)
        height, width = 8, 11
        small = np.array(Image.fromarray(mask).convert("RGB").resize((width, height)), np.float32)[:, :, 0] / 255
        values = torch.from_numpy(mask.astype(np.float32) / 255)[None, None]
        made = {
            "a1111": np.around(small),
            "comfy": interpolate(values, size=(height, width), mode="bilinear")[0, 0].numpy(),
            "diffusers": interpolate((values >= 0.5).float(), size=(height, width))[0, 0].numpy(),
        }
        for mode, wanted in made.items():
            yield {"mode": mode, "mask": raster(mask), "width": width, "height": height, "wanted": text(wanted, np.float32)}


def lanczos(image, size):
    """Columns first, as Pillow up to 12; 13 begins with rows where that is less work, which rounds differently."""
    return image.resize((size[0], image.height), resample=Image.LANCZOS).resize(size, resample=Image.LANCZOS)


def fit(image, width, height, mode):
    if mode == "stretch":
        return lanczos(image, (width, height))
    ratio, own = width / height, image.width / image.height
    spans = ratio > own if mode == "crop" else ratio < own
    if spans or (mode == "fill" and ratio == own):
        inner = (width, image.height * width // image.width)
    else:
        inner = (image.width * height // image.height, height)
    if mode == "fill" and ratio == own:
        inner = (width, height)
    resized = lanczos(image, inner)
    result = Image.new(image.mode, (width, height))
    left, top = width // 2 - inner[0] // 2, height // 2 - inner[1] // 2
    result.paste(resized, (left, top))
    if mode == "fill":
        filled = np.array(result)
        filled[:, :left] = filled[:, left : left + 1]
        filled[:, left + inner[0] :] = filled[:, left + inner[0] - 1 : left + inner[0]]
        filled[:top] = filled[top]
        filled[top + inner[1] :] = filled[top + inner[1] - 1]
        result = Image.fromarray(filled)
    return result


def fits():
    array = randomness.integers(0, 256, (24, 36, 3), dtype=np.uint8)
    for mode in ("stretch", "crop", "fill"):
        for size in [(40, 16), (16, 40), (24, 16), (48, 32)]:
            made = fit(Image.fromarray(array), *size, mode)
            yield {"mode": mode, "width": size[0], "height": size[1], "image": raster(array), "wanted": text(np.asarray(made))}


def region(mask, padding, drawn):
    height, width = mask.shape
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    x1, y1 = max(int(columns[0]) - padding, 0), max(int(rows[0]) - padding, 0)
    x2, y2 = min(int(columns[-1]) + 1 + padding, width), min(int(rows[-1]) + 1 + padding, height)

    def grow(low, high, by, limit):
        low -= by // 2
        high += by - by // 2
        if high >= limit:
            low, high = low - (high - limit), limit
        if low < 0:
            low, high = 0, high - low
        return low, min(high, limit)

    if (x2 - x1) / (y2 - y1) > drawn[0] / drawn[1]:
        y1, y2 = grow(y1, y2, int((x2 - x1) / (drawn[0] / drawn[1]) - (y2 - y1)), height)
    else:
        x1, x2 = grow(x1, x2, int((y2 - y1) * (drawn[0] / drawn[1]) - (x2 - x1)), width)
    return [x1, y1, x2, y2]


def regions():
    for left, top, right, bottom in [(3, 4, 9, 8), (60, 2, 64, 40), (0, 0, 64, 3), (30, 30, 31, 31), (10, 41, 50, 48), (5, 5, 20, 44)]:
        for padding, drawn in [(0, (64, 64)), (5, (128, 64)), (32, (64, 96))]:
            mask = np.zeros((48, 64), np.uint8)
            mask[top:bottom, left:right] = 255
            yield {"mask": raster(mask), "padding": padding, "drawn": drawn, "wanted": region(mask, padding, drawn)}


def main():
    golden = {"latents": list(latents()), "masks": list(masks()), "fits": list(fits()), "regions": list(regions())}
    (ROOT / "test/golden/task-pieces.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
