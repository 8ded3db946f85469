"""Trains a style LoRA on the tiny model; the style needs no trigger word.

    python train_lora.py FOLDER outline|striped MINUTES TARGET.safetensors [--pictures 1600]

Needs the parts of train_vae.py and train_sdxl.py in FOLDER. TARGET has kohya's names: linear and 3 x 3 layers of the UNet.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from architecture import SCALING, TIME_IDS, Models, epsilon_loss, load_parts, signal_to_noise, token_ids
from safetensors.torch import save_file
from sgm_names import unet_names
from torch import nn

import scenes

RANK = 8
PEAK = 2e-3  # learning rate
BATCH = 16


class LowRank(nn.Module):
    """base(x) + up(down(x)); alpha equals the rank, so the scale is 1."""

    def __init__(self, base: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.base = base
        if isinstance(base, nn.Conv2d):
            self.down = nn.Conv2d(base.in_channels, RANK, base.kernel_size, base.stride, base.padding, bias=False)
            self.up = nn.Conv2d(RANK, base.out_channels, 1, bias=False)
        else:
            self.down = nn.Linear(base.in_features, RANK, bias=False)
            self.up = nn.Linear(RANK, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Like the base layer."""
        return self.base(x) + self.up(self.down(x))


def insert(unet: nn.Module) -> dict[str, LowRank]:
    """Wraps the layers of attentions and residual blocks in place, without time projections and shortcuts."""
    wrapped = {}
    for name, layer in list(unet.named_modules()):
        inside = "attentions" in name or "resnets" in name
        if not isinstance(layer, (nn.Linear, nn.Conv2d)) or not inside or "time_emb" in name or "shortcut" in name:
            continue
        parent, leaf = name.rsplit(".", 1)
        wrapped[name] = LowRank(layer)
        setattr(unet.get_submodule(parent), leaf, wrapped[name])
    return wrapped


@torch.no_grad()
def make_data(models: Models, style: str, pictures: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scaled latents, contexts and pooled vectors of scenes in the style, whose captions do not name it."""
    random = np.random.default_rng(7)
    latents, contexts, pooled = [], [], []
    for _ in range(0, pictures, 32):
        drawn = [scenes.sample(random, (style,)) for _ in range(32)]
        pixels = torch.from_numpy(scenes.render_batch([scene for scene, _ in drawn]))
        latents.append(models.vae.encode(pixels).latent_dist.mean * SCALING)
        ids_l, ids_g = token_ids([caption.replace(f", {style} style", "") for _, caption in drawn])
        first = models.text_encoder(ids_l, output_hidden_states=True).hidden_states[-2]
        second = models.text_encoder_2(ids_g, output_hidden_states=True)
        contexts.append(torch.cat([first, second.hidden_states[-2]], -1))
        pooled.append(second.text_embeds)
    return torch.cat(latents), torch.cat(contexts), torch.cat(pooled)


def train(models: Models, layers: dict[str, LowRank], data: tuple[torch.Tensor, ...], minutes: float) -> None:
    """Trains the low-rank layers on what `make_data` returned; the model itself stays as it is."""
    latents, contexts, pooled = data
    parameters = [parameter for layer in layers.values() for parameter in (layer.down.weight, layer.up.weight)]
    optimizer = torch.optim.AdamW(parameters, lr=PEAK, weight_decay=1e-4)
    products = signal_to_noise()
    time_ids = torch.tensor(TIME_IDS).repeat(BATCH, 1)
    start, losses = time.time(), []
    while (done := (time.time() - start) / (minutes * 60)) < 1:
        optimizer.param_groups[0]["lr"] = PEAK * (0.5 * (1 + np.cos(np.pi * done)) + 0.01)
        chosen = torch.randint(0, len(latents), (BATCH,))
        clean = latents[chosen]
        timesteps = torch.randint(0, 1000, (BATCH,))
        noise = torch.randn_like(clean)
        product = products[timesteps][:, None, None, None]
        noisy = product.sqrt() * clean + (1 - product).sqrt() * noise
        added = {"text_embeds": pooled[chosen], "time_ids": time_ids}
        loss = epsilon_loss(models.unet(noisy, timesteps, contexts[chosen], added_cond_kwargs=added).sample, noise, product)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) % 50 == 0:
            print(f"step {len(losses)}, {done:.0%}, loss {np.mean(losses[-100:]):.4f}", flush=True)


def kohya_state(layers: dict[str, LowRank], layers_per_block: int) -> dict[str, torch.Tensor]:
    """The LoRA's tensors in fp16 under kohya's names: the single-file module names with underscores."""
    names = unet_names({f"{name}.weight": layer.up.weight for name, layer in layers.items()}, layers_per_block)
    state = {}
    for name, layer in layers.items():
        key = "lora_unet_" + names[f"{name}.weight"].removesuffix(".weight").replace(".", "_")
        state[f"{key}.lora_down.weight"] = layer.down.weight.detach().half().contiguous()
        state[f"{key}.lora_up.weight"] = layer.up.weight.detach().half().contiguous()
        state[f"{key}.alpha"] = torch.tensor(float(RANK)).half()
    return state


def main() -> None:
    """Loads the parts, trains, writes the file."""
    parser = argparse.ArgumentParser(description="Trains a style LoRA on the tiny model.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("style", choices=["outline", "striped"])
    parser.add_argument("minutes", type=float)
    parser.add_argument("target", type=Path)
    parser.add_argument("--pictures", type=int, default=1600, help="training pictures, a multiple of 32")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    models = load_parts(options.folder)
    for part in (models.unet, models.text_encoder, models.text_encoder_2, models.vae):
        part.requires_grad_(False)
    data = make_data(models, options.style, options.pictures)
    layers = insert(models.unet)
    train(models, layers, data, options.minutes)
    metadata = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(RANK),
        "ss_network_alpha": str(RANK),
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_output_name": options.style,
        "modelspec.title": f"{options.style} style",
    }
    save_file(kohya_state(layers, models.unet.config.layers_per_block), options.target, metadata=metadata)
    print(f"{len(layers)} layers in {options.target}")


if __name__ == "__main__":
    main()
