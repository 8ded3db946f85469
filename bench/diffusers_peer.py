"""Runs SDXL's UNet and VAE decoder in Diffusers on the CPU, fp32, random weights: one forward per line read, answered in milliseconds.

Usage: diffusers_peer.py SIZE [THREADS]; lines are "unet", "unet2" (batch 2) and "vae".
"""
import sys
import time

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel


def sdxl_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=128, in_channels=4, out_channels=4, block_out_channels=(320, 640, 1280), layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20), cross_attention_dim=2048,
        addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
        use_linear_projection=True,
    )


def sdxl_vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, scaling_factor=0.13025,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )


def main() -> None:
    side = int(sys.argv[1]) // 8
    if len(sys.argv) > 2 and sys.argv[2]:
        torch.set_num_threads(int(sys.argv[2]))
    torch.manual_seed(0)
    unet, vae = sdxl_unet().eval(), sdxl_vae().eval()
    unet.to(memory_format=torch.channels_last)
    vae.to(memory_format=torch.channels_last)

    def predict(batch: int) -> None:
        conditions = dict(text_embeds=torch.randn(batch, 1280), time_ids=torch.tensor([[1024.0, 1024, 0, 0, 1024, 1024]] * batch))
        unet(torch.randn(batch, 4, side, side), 500.0, torch.randn(batch, 77, 2048), added_cond_kwargs=conditions)

    parts = {
        "unet": lambda: predict(1),
        "unet2": lambda: predict(2),
        "vae": lambda: vae.decode(torch.randn(1, 4, side, side)),
    }
    with torch.inference_mode():
        for line in sys.stdin:
            begun = time.perf_counter()
            parts[line.strip()]()
            print(f"{(time.perf_counter() - begun) * 1000:.3f}", flush=True)


main()
