"""Golden values of seamless pictures: UNet and VAE of tiny-a with circular padding per axis, by Diffusers in float32.

Writes test/golden/models/tiling.safetensors and .json in the form of model_goldens.py. Every convolution with padding gets circular padding
on the axes of the case and zeros on the others, which is what the tiling options of A1111 and ComfyUI come to; where a model pads by itself in
front of a convolution without padding (the VAE's way down), the zeros stay. `plain_difference`: how far the same without tiling is away.
`encode-tiled` has no circular padding: it is Diffusers' encoding in overlapping tiles.

    python tools/reference/tiling_goldens.py
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F

from common import SCALING, decode, load_diffusers_folder
from model_goldens import Golden, difference, synthesize

AXES = {"x": (True, False), "y": (False, True), "both": (True, True)}


@contextmanager
def circular(parts: list[torch.nn.Module], x: bool, y: bool) -> Iterator[None]:
    """Lets every convolution of the parts wrap around the axes."""

    def wrapped(conv: torch.nn.Conv2d):
        down, right = conv.padding

        def forward(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
            values = F.pad(values, (right, right, 0, 0), mode="circular" if x and right else "constant")
            values = F.pad(values, (0, 0, down, down), mode="circular" if y and down else "constant")
            return F.conv2d(values, weight, bias, conv.stride, 0, conv.dilation, conv.groups)

        return forward

    convs = [module for part in parts for module in part.modules() if isinstance(module, torch.nn.Conv2d)]
    for conv in convs:
        conv._conv_forward = wrapped(conv)
    yield
    for conv in convs:
        del conv._conv_forward


@torch.no_grad()
def main() -> None:
    """Writes both files."""
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "tiny-a"
        synthesize("tiny-a", folder, "diffusers")
        single, double = load_diffusers_folder(folder), load_diffusers_folder(folder)
    double.to(torch.float64)
    golden = Golden()
    generator = torch.Generator().manual_seed(11)
    config, pixels = single.unet.config, single.latent_pixels

    latents = torch.randn(1, 4, 9, 13, generator=generator)  # odd: levels of 5 × 7 and 3 × 4
    context = torch.randn(1, 77, config.cross_attention_dim, generator=generator) * 0.5
    pooled = torch.randn(1, single.text_encoder_2.config.projection_dim, generator=generator)
    sizes = torch.tensor([[72.0, 104.0, 0.0, 0.0, 72.0, 104.0]])
    rgb = torch.randint(0, 256, (1, 5 * pixels, 7 * pixels, 3), generator=generator, dtype=torch.uint8)
    small = torch.randn(1, 4, 5, 7, generator=generator)

    def predict(models) -> torch.Tensor:
        kind = models.unet.dtype
        added = {"text_embeds": pooled.to(kind), "time_ids": sizes.to(kind)}
        return models.unet(latents.to(kind), torch.tensor([500.0], dtype=kind), context.to(kind), added_cond_kwargs=added).sample

    def encode(models, picture: torch.Tensor = rgb) -> torch.Tensor:
        image = picture.permute(0, 3, 1, 2).double() / 127.5 - 1
        return models.vae.encode(image.to(models.vae.dtype)).latent_dist.mean * SCALING

    works = {
        "unet": (predict, {"latents": latents, "context": context, "pooled": pooled, "time_ids": sizes}, "prediction"),
        "decode": (lambda models: decode(models, small), {"latents": small}, "pixels"),
        "encode": (encode, {"rgb": rgb}, "latents"),
    }
    for name, (work, inputs, result) in works.items():
        plain = work(single)
        for axes, (x, y) in AXES.items():
            with circular([single.unet, single.vae], x, y):
                found = work(single)
            with circular([double.unet, double.vae], x, y):
                exact = work(double)
            description = {"float64_difference": difference(found, exact), "plain_difference": difference(found, plain)}
            golden.case(name, axes, description, {result: found})
        golden.case(name, "input", {}, inputs)

    tile = 8
    large = torch.randint(0, 256, (1, 11 * pixels, 20 * pixels, 3), generator=generator, dtype=torch.uint8)
    whole = encode(single, large)
    for models in (single, double):
        models.vae.enable_tiling()
        models.vae.tile_latent_min_size, models.vae.tile_sample_min_size = tile, tile * pixels
    found, exact = encode(single, large), encode(double, large)
    description = {"tile_latent_min_size": tile, "float64_difference": difference(found, exact), "untiled_difference": difference(found, whole)}
    golden.case("encode", "tiled", description, {"rgb": large, "latents": found})
    golden.write("tiling")


if __name__ == "__main__":
    main()
