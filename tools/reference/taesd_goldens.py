"""Golden values of TAESD: a small random one, and what Diffusers' AutoencoderTiny makes of latents and pictures in float32.

Writes test/golden/taesd/tiny.safetensors (the model, in fp16 and with Diffusers' names), values.safetensors and values.json in the form of
model_goldens.py. Neighbouring numbers of blocks differ, so that no layer passes for another.

    python tools/reference/taesd_goldens.py
"""

import copy

import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

import model_goldens
from common import ROOT
from model_goldens import Golden, difference

FOLDER = ROOT / "test" / "golden" / "taesd"
WIDTH = 16


def tiny() -> AutoencoderTiny:
    """Weights that fp16 holds exactly, large enough that every layer shows in the result."""
    torch.manual_seed(21)
    model = AutoencoderTiny(
        encoder_block_out_channels=(WIDTH,) * 4,
        decoder_block_out_channels=(WIDTH,) * 4,
        num_encoder_blocks=(1, 2, 1, 3),
        num_decoder_blocks=(3, 1, 2, 1),
    ).eval()
    for name, value in model.state_dict().items():
        # The layers' own beginnings make ever fainter signals.
        spread = 1.2 / (value[0].numel() ** 0.5) if value.dim() == 4 else 0.1
        value.copy_((torch.randn(value.shape) * spread).half().float())
    return model


@torch.no_grad()
def main() -> None:
    """Writes the files."""
    torch.set_num_threads(2)
    FOLDER.mkdir(parents=True, exist_ok=True)
    model_goldens.GOLDEN = FOLDER
    single = tiny()
    double = copy.deepcopy(single).double()
    path = FOLDER / "tiny.safetensors"
    save_file({name: value.half().contiguous() for name, value in single.state_dict().items()}, path)
    path.chmod(0o644)

    golden = Golden()
    generator = torch.Generator().manual_seed(22)
    # Some beyond the range of 3 that they are bent into.
    latents = torch.randn(2, 4, 5, 7, generator=generator) * 2.5
    pixels, exact = single.decode(latents).sample, double.decode(latents.double()).sample
    golden.case("decode", "plain", {"float64_difference": difference(pixels, exact)}, {"latents": latents, "pixels": pixels})

    rgb = torch.randint(0, 256, (1, 40, 56, 3), generator=generator, dtype=torch.uint8)
    image = rgb.permute(0, 3, 1, 2).double() / 127.5 - 1
    found, exact = single.encode(image.float()).latents, double.encode(image).latents
    golden.case("encode", "plain", {"float64_difference": difference(found, exact)}, {"rgb": rgb, "latents": found})
    golden.write("values")


if __name__ == "__main__":
    main()
