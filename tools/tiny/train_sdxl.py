"""Trains the tiny text encoders and the UNet together on latents of rendered scenes.

    python train_sdxl.py FOLDER MINUTES [--pictures 16000] [--batch 32]

Needs FOLDER/vae (train_vae.py); leaves FOLDER/unet, text_encoder and text_encoder_2, averaged over the steps. The latents are kept in
FOLDER/latents.pt for the next run.
"""

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
from architecture import SCALING, TIME_IDS, autocast, build_text_encoders, build_unet, epsilon_loss, signal_to_noise, token_ids
from diffusers import AutoencoderKL

import scenes

PARTS = ("text_encoder", "text_encoder_2", "unet")
PEAK = 1e-3  # learning rate
EMPTY_SHARE = 0.1  # captions replaced by none, for classifier-free guidance


@torch.no_grad()
def make_latents(vae: AutoencoderKL, pictures: int) -> tuple[torch.Tensor, list[str]]:
    """Scaled latents [pictures, 4, 16, 16] in fp16, and their captions."""
    random = np.random.default_rng(2)
    latents, captions = [], []
    for _ in range(0, pictures, 32):
        drawn = [scenes.sample(random) for _ in range(32)]
        pixels = torch.from_numpy(scenes.render_batch([scene for scene, _ in drawn])).contiguous(memory_format=torch.channels_last)
        with autocast():
            latents.append((vae.encode(pixels).latent_dist.mean.float() * SCALING).half())
        captions += [caption for _, caption in drawn]
    return torch.cat(latents), captions


def zero_unused_rows(encoders: tuple[torch.nn.Module, ...], used: torch.Tensor) -> None:
    """Embedding rows of words that never occur: zeros, so that the file compresses well. They get no gradient and stay zero."""
    for encoder in encoders:
        rows = encoder.get_input_embeddings().weight.data
        keep = torch.zeros(rows.shape[0], 1)
        keep[used] = 1
        rows.mul_(keep)


def optimizer_of(parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW with weight decay on matrices and convolutions only."""
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    vectors = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 1e-3}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.98))


def save(folder: Path, models: tuple[torch.nn.Module, ...]) -> None:
    """Writes the parts in Diffusers' layout."""
    for model, name in zip(models, PARTS):
        model.save_pretrained(folder / name)


def train(latents: torch.Tensor, captions: list[str], minutes: float, batch: int) -> tuple[torch.nn.Module, ...]:
    """Returns the exponentially averaged text encoders and UNet."""
    ids_l, ids_g = token_ids(captions)
    empty_l, empty_g = token_ids([""])
    text_encoder, text_encoder_2 = build_text_encoders()
    models = (text_encoder, text_encoder_2, unet := build_unet().to(memory_format=torch.channels_last))
    zero_unused_rows(models[:2], torch.cat([ids.unique() for ids in (ids_l, ids_g, empty_l, empty_g)]).unique())
    parameters = [parameter for model in models for parameter in model.parameters()]
    optimizer = optimizer_of(parameters)
    averaged = copy.deepcopy(models)
    products = signal_to_noise()
    time_ids = torch.tensor(TIME_IDS).repeat(batch, 1)
    start, step, losses = time.time(), 0, []
    while (done := (time.time() - start) / (minutes * 60)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = PEAK * min(1, (step + 1) / 300) * (0.5 * (1 + np.cos(np.pi * done)) + 0.01)
        chosen = torch.randint(0, len(latents), (batch,))
        clean = latents[chosen].float()
        shown = (torch.rand(batch) >= EMPTY_SHARE).float()[:, None]
        timesteps = torch.randint(0, 1000, (batch,))
        noise = torch.randn_like(clean)
        product = products[timesteps][:, None, None, None]
        noisy = product.sqrt() * clean + (1 - product).sqrt() * noise
        with autocast():
            first = text_encoder(ids_l[chosen], output_hidden_states=True).hidden_states[-2]
            second = text_encoder_2(ids_g[chosen], output_hidden_states=True)
            context = torch.cat([first, second.hidden_states[-2]], -1) * shown[:, None]  # an empty prompt is all zeros, as in SDXL base
            added = {"text_embeds": second.text_embeds * shown, "time_ids": time_ids}
            prediction = unet(noisy, timesteps, context, added_cond_kwargs=added).sample.float()
        loss = epsilon_loss(prediction, noise, product)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        losses.append(loss.item())
        decay = min(0.9995, (step + 1) / (step + 20))
        with torch.no_grad():
            for mean, model in zip(averaged, models):
                torch._foreach_lerp_(list(mean.parameters()), list(model.parameters()), 1 - decay)
        if step % 100 == 0:
            print(f"step {step}, {done:.0%}, loss {np.mean(losses[-300:]):.4f}", flush=True)
    print(f"{step} steps")
    return averaged


def main() -> None:
    """Makes or loads the latents, trains, saves."""
    parser = argparse.ArgumentParser(description="Trains the tiny text encoders and UNet.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--pictures", type=int, default=16000, help="training pictures, a multiple of 32")
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    cache = options.folder / "latents.pt"
    if cache.exists():
        latents, captions = torch.load(cache)
    else:
        vae = AutoencoderKL.from_pretrained(options.folder / "vae").eval().to(memory_format=torch.channels_last)
        latents, captions = make_latents(vae, options.pictures)
        torch.save((latents, captions), cache)
    save(options.folder, train(latents, captions, options.minutes, options.batch))


if __name__ == "__main__":
    main()
