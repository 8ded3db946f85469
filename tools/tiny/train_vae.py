"""Trains the tiny VAE on rendered scenes.

    python train_vae.py FOLDER MINUTES [--resume] [--learning-rate 8e-4]

Leaves FOLDER/vae_raw (as trained) and FOLDER/vae (the same function, its latents rescaled to SDXL's 0.13025), in Diffusers' layout.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from architecture import BF16, PIXELS, SCALING, autocast, build_vae
from diffusers import AutoencoderKL

import scenes

POOL = 4000  # rendered pictures kept for reuse; rendering costs more than a crop


class Crops:
    """Random crops of a slowly renewed pool of rendered scenes."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.pool: list[np.ndarray] = []

    def _picture(self) -> np.ndarray:
        if len(self.pool) == POOL and self.random.random() >= 0.15:
            return self.pool[self.random.integers(POOL)]
        scene, _ = scenes.sample(self.random, ("", "", "outline", "striped"))
        picture = scenes.render(scene, PIXELS)
        if len(self.pool) < POOL:
            self.pool.append(picture)
        else:
            self.pool[self.random.integers(POOL)] = picture
        return picture

    def batch(self, count: int, size: int) -> torch.Tensor:
        """Pixels [count, 3, size, size] in -1 ... 1."""
        crops = []
        for _ in range(count):
            y, x = self.random.integers(0, PIXELS - size + 1, 2)
            crops.append(self._picture()[y : y + size, x : x + size])
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2) * 2 - 1


def loss_of(vae: AutoencoderKL, pixels: torch.Tensor, noise: float) -> torch.Tensor:
    """Reconstruction, its edges, and a weak pull of the latents towards a unit normal. `noise` scales the posterior's deviation."""
    with autocast():
        posterior = vae.encode(pixels).latent_dist
        mean, deviation = posterior.mean.float(), posterior.std.float()
        latents = mean + torch.randn_like(mean) * deviation * noise
        decoded = vae.decode(latents.to(torch.bfloat16 if BF16 else torch.float32)).sample.float()
    divergence = 0.5 * (mean**2 + deviation**2 - 1 - 2 * torch.log(deviation + 1e-8)).mean()
    edges = sum((decoded.diff(dim=axis) - pixels.diff(dim=axis)).abs().mean() for axis in (2, 3))
    return functional.l1_loss(decoded, pixels) + functional.mse_loss(decoded, pixels) + 0.5 * edges + 2e-4 * divergence


def train(vae: AutoencoderKL, crops: Crops, minutes: float, peak: float, resumed: bool) -> None:
    """Small crops first, whole pictures last; the learning rate falls along a half cosine."""
    optimizer = torch.optim.AdamW(vae.parameters(), lr=peak, weight_decay=1e-4, betas=(0.9, 0.99))
    start, step = time.time(), 0
    while (done := (time.time() - start) / (minutes * 60)) < 1:
        optimizer.param_groups[0]["lr"] = peak * min(1, (step + 1) / 100) * (0.5 * (1 + np.cos(np.pi * done)) + 0.01)
        count, size = (12, 32) if done < 0.35 and not resumed else (4, 64) if done < 0.85 else (2, PIXELS)
        pixels = crops.batch(count, size).contiguous(memory_format=torch.channels_last)
        loss = loss_of(vae, pixels, 0.5 if resumed else 0.5 * min(1, 3 * done))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step}, {done:.0%}, loss {loss.item():.4f}", flush=True)


@torch.no_grad()
def rescale(vae: AutoencoderKL, crops: Crops) -> None:
    """Makes the latents' deviation 1 / SCALING and lets the decoder undo it: the same function in another unit."""
    vae.eval()
    deviation = torch.cat([vae.encode(crops.batch(16, PIXELS)).latent_dist.mean for _ in range(8)]).std().item()
    factor = 1 / (SCALING * deviation)
    vae.quant_conv.weight[:4] *= factor
    vae.quant_conv.bias[:4] *= factor
    vae.quant_conv.bias[4:] += 2 * np.log(factor)  # the log-variance
    vae.post_quant_conv.weight /= factor
    pixels = crops.batch(16, PIXELS)
    error = functional.mse_loss(vae.decode(vae.encode(pixels).latent_dist.mean).sample, pixels).item()
    print(f"deviation of the latents before rescaling {deviation:.3f}, PSNR {-10 * np.log10(error / 4):.1f} dB")


def main() -> None:
    """Trains, saves, rescales, saves."""
    parser = argparse.ArgumentParser(description="Trains the tiny VAE.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--resume", action="store_true", help="continue from FOLDER/vae_raw")
    parser.add_argument("--learning-rate", type=float, default=8e-4)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    raw = options.folder / "vae_raw"
    vae = AutoencoderKL.from_pretrained(raw) if options.resume else build_vae()
    vae.train().to(memory_format=torch.channels_last)
    crops = Crops(np.random.default_rng(1))
    train(vae, crops, options.minutes, options.learning_rate, options.resume)
    vae.save_pretrained(raw)
    rescale(vae, crops)
    vae.save_pretrained(options.folder / "vae")


if __name__ == "__main__":
    main()
