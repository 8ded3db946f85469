"""Runs SDXL's UNet and VAE decoder in Diffusers on the CPU, fp32, random weights: one forward per line read, answered in milliseconds.

Usage: diffusers_peer.py SIZE [THREADS]; lines are "unet", "unet2" (batch 2) and "vae".
"""
import sys
import time

import torch
from sdxl_networks import sdxl_unet, sdxl_vae


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
