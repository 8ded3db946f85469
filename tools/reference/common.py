"""What the reference scripts share: loading a checkpoint into Diffusers, prompts as conditioning, and sampling loops.

The loops follow k-diffusion (Karras et al. 2022, in "variance exploding" space: x = x0 + sigma * noise) around a Diffusers UNet. They run
in float64 on plain tensors; the networks run in the precision they were loaded with.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip.tokenizer
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "test" / "golden" / "models"
SCALING = 0.13025
BOS, EOS = 49406, 49407
CHUNK = 75  # tokens per chunk, without the two that frame it
BREAK = ("BREAK", -1.0)
COMMA = 267

Piece = tuple[str, float]
Denoiser = Callable[[torch.Tensor, float], torch.Tensor]


@dataclass
class Models:
    """The parts of a checkpoint. `text_encoder` is None for the refiner."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel | None
    text_encoder_2: CLIPTextModelWithProjection
    vae: AutoencoderKL
    v_prediction: bool

    def to(self, dtype: torch.dtype) -> "Models":
        """Converts the parts in place."""
        for part in (self.unet, self.text_encoder, self.text_encoder_2, self.vae):
            if part is not None:
                part.to(dtype)
        return self

    @property
    def latent_pixels(self) -> int:
        """Width in pixels of one latent value."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)


@dataclass
class Chunk:
    """77 positions of a prompt."""

    ids_l: list[int]
    ids_g: list[int]
    weights: list[float]


@dataclass
class Conditioning:
    """What the UNet sees of a prompt: context [1, 77 * chunks, width], pooled [1, projection]."""

    context: torch.Tensor
    pooled: torch.Tensor


def _load_state(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        state |= load_file(path)
    return state


def load_diffusers_folder(folder: Path) -> Models:
    """Builds every part from its config and loads its weights, each name exactly once (strict)."""

    def diffusers_part(kind: type, name: str) -> torch.nn.Module:
        part = kind.from_config(json.loads((folder / name / "config.json").read_text()))
        part.load_state_dict(_load_state(folder / name), strict=True)
        return part.eval()

    def text_part(kind: type, name: str) -> torch.nn.Module:
        part = kind(CLIPTextConfig.from_dict(json.loads((folder / name / "config.json").read_text())))
        part.load_state_dict(_load_state(folder / name), strict=True)
        return part.eval()

    scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    return Models(
        unet=diffusers_part(UNet2DConditionModel, "unet"),
        text_encoder=text_part(CLIPTextModel, "text_encoder") if (folder / "text_encoder").exists() else None,
        text_encoder_2=text_part(CLIPTextModelWithProjection, "text_encoder_2"),
        vae=diffusers_part(AutoencoderKL, "vae"),
        v_prediction=scheduler["prediction_type"] == "v_prediction",
    )


# ------------------------------------------------------------------------------------------------------------------------------- prompts


def frame(tokens: list[int], weights: list[float] | None = None) -> Chunk:
    """Puts up to 75 tokens between BOS and EOS; CLIP-L pads with EOS, OpenCLIP-G with 0 after the first EOS."""
    free = CHUNK - len(tokens)
    assert free >= 0
    framed = [BOS, *tokens, EOS]
    return Chunk(
        ids_l=framed + [EOS] * free,
        ids_g=framed + [0] * free,
        weights=[1.0, *(weights or [1.0] * len(tokens)), 1.0] + [1.0] * free,
    )


def chunks_of(pieces: list[Piece]) -> list[Chunk]:
    """Tokenises the pieces one by one and cuts into chunks of 75; BREAK closes a chunk."""
    tokenizer = open_clip.tokenizer.SimpleTokenizer()
    chunks: list[Chunk] = []
    tokens: list[tuple[int, float]] = []

    def close() -> None:
        chunks.append(frame([token for token, _ in tokens], [weight for _, weight in tokens]))
        tokens.clear()

    for piece in pieces:
        if piece == BREAK:
            close()
            continue
        for token in tokenizer.encode(piece[0]):
            if len(tokens) == CHUNK:
                assert COMMA not in [earlier for earlier, _ in tokens[-20:]], "this script does not move words to the next chunk"
                close()
            tokens.append((token, piece[1]))
    if tokens or not chunks:
        close()
    return chunks


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """transformers makes its causal mask in torch's default type, which must therefore be the model's own (float64)."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@torch.no_grad()
def encode_chunks(models: Models, chunks: list[Chunk], clip_skip: int = 1) -> Conditioning:
    """Hidden states of both encoders side by side, chunk after chunk, and the pooled vector of the first chunk.

    `clip_skip` 1 takes the penultimate layer's output (before any final norm), 2 the one before it, in both encoders. Weights multiply the
    rows; then each encoder's chunk gets its former mean back (A1111's emphasis).
    """
    layer = -1 - clip_skip

    def emphasise(states: torch.Tensor, weights: list[float]) -> torch.Tensor:
        if all(weight == 1 for weight in weights):
            return states
        weighted = states * torch.tensor(weights, dtype=states.dtype)[None, :, None]
        return weighted * (states.mean() / weighted.mean())

    rows, pooled = [], None
    with _default_dtype(models.text_encoder_2.dtype):
        for chunk in chunks:
            states = []
            if models.text_encoder is not None:
                states.append(models.text_encoder(torch.tensor([chunk.ids_l]), output_hidden_states=True).hidden_states[layer])
            second = models.text_encoder_2(torch.tensor([chunk.ids_g]), output_hidden_states=True)
            states.append(second.hidden_states[layer])
            pooled = second.text_embeds if pooled is None else pooled
            rows.append(torch.cat([emphasise(state, chunk.weights) for state in states], -1))
    return Conditioning(torch.cat(rows, 1), pooled)


def zeros_like_prompt(conditioning: Conditioning) -> Conditioning:
    """What an empty negative prompt is to SDXL base: one chunk of zeros."""
    return Conditioning(torch.zeros_like(conditioning.context[:, :77]), torch.zeros_like(conditioning.pooled))


# ------------------------------------------------------------------------------------------------------------------------------ sampling


class NoiseTable:
    """Noise level and timestep of SDXL's training schedule (betas "scaled linear", 0.00085 ... 0.012, 1000 steps)."""

    def __init__(self) -> None:
        betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=np.float64) ** 2
        products = np.cumprod(1 - betas)
        self.sigmas = np.sqrt((1 - products) / products)  # ascending
        self.log_sigmas = np.log(self.sigmas)

    def sigma(self, timestep: float) -> float:
        """Geometric interpolation between the table's entries."""
        return float(np.exp(np.interp(timestep, np.arange(1000), self.log_sigmas)))

    def timestep(self, sigma: float) -> float:
        """The fractional timestep of a noise level: the inverse of `sigma`."""
        return float(np.interp(np.log(sigma), self.log_sigmas, np.arange(1000)))

    def normal(self, steps: int) -> list[float]:
        """Levels at evenly spaced timesteps 999 ... 0, then 0."""
        return [self.sigma(timestep) for timestep in np.linspace(999, 0, steps)] + [0.0]

    def karras(self, steps: int, rho: float = 7.0) -> list[float]:
        """Levels evenly spaced in sigma^(1/rho), then 0. Karras et al. 2022, eq. 5."""
        top, bottom = self.sigmas[-1] ** (1 / rho), self.sigmas[0] ** (1 / rho)
        return [float((top + i / (steps - 1) * (bottom - top)) ** rho) for i in range(steps)] + [0.0]


TABLE = NoiseTable()


def denoiser(models: Models, positive: Conditioning, negative: Conditioning, guidance: float, time_ids: list[float]) -> Denoiser:
    """The guided estimate of the clean latents; guidance <= 1 leaves the negative prompt out."""
    dtype = models.unet.dtype

    @torch.no_grad()
    def predict(x: torch.Tensor, sigma: float, conditioning: Conditioning) -> torch.Tensor:
        batch = x.shape[0]
        added = {"text_embeds": conditioning.pooled.expand(batch, -1), "time_ids": torch.tensor([time_ids], dtype=dtype).expand(batch, -1)}
        scaled = (x / (sigma**2 + 1) ** 0.5).to(dtype)
        timestep = torch.tensor(TABLE.timestep(sigma), dtype=dtype)
        context = conditioning.context.expand(batch, -1, -1)
        return models.unet(scaled, timestep, context, added_cond_kwargs=added).sample.double()

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        prediction = predict(x, sigma, positive)
        if guidance > 1:
            unguided = predict(x, sigma, negative)
            prediction = unguided + guidance * (prediction - unguided)
        if models.v_prediction:
            return x / (sigma**2 + 1) - prediction * sigma / (sigma**2 + 1) ** 0.5
        return x - prediction * sigma

    return denoise


def sample_euler(x: torch.Tensor, sigmas: list[float], denoise: Denoiser, noises: list[torch.Tensor]) -> torch.Tensor:
    """Karras et al. 2022, algorithm 2 without its second order and churn."""
    del noises
    for sigma, following in zip(sigmas, sigmas[1:]):
        x = x + (x - denoise(x, sigma)) / sigma * (following - sigma)
    return x


def sample_euler_ancestral(x: torch.Tensor, sigmas: list[float], denoise: Denoiser, noises: list[torch.Tensor]) -> torch.Tensor:
    """Euler down to a lower level than the next, then noise up to it (eta 1). One draw for every step but the last."""
    draws = iter(noises)
    for sigma, following in zip(sigmas, sigmas[1:]):
        up = min(following, (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5)
        down = (following**2 - up**2) ** 0.5
        x = x + (x - denoise(x, sigma)) / sigma * (down - sigma)
        if following > 0:
            x = x + next(draws) * up
    return x


def sample_dpmpp_2m(x: torch.Tensor, sigmas: list[float], denoise: Denoiser, noises: list[torch.Tensor]) -> torch.Tensor:
    """DPM-Solver++(2M), Lu et al. 2022, algorithm 2, in lambda = -log sigma."""
    del noises
    before = None
    for i, (sigma, following) in enumerate(zip(sigmas, sigmas[1:])):
        denoised = denoise(x, sigma)
        if following == 0:
            x = denoised
        else:
            h = np.log(sigma / following)
            estimate = denoised
            if before is not None:
                ratio = np.log(sigmas[i - 1] / sigma) / h
                estimate = (1 + 1 / (2 * ratio)) * denoised - 1 / (2 * ratio) * before
            x = (following / sigma) * x - np.expm1(-h) * estimate
        before = denoised
    return x


SAMPLERS = {"euler": sample_euler, "euler_a": sample_euler_ancestral, "dpmpp_2m": sample_dpmpp_2m}
SCHEDULES = {"normal": TABLE.normal, "karras": TABLE.karras}


def seeded_noises(seed: int, count: int, shape: tuple[int, int, int], draws: int) -> list[torch.Tensor]:
    """`draws` unit-normal tensors [count, *shape]; image i draws them in turn from torch's CPU generator with the seed `seed` + i."""
    generators = [torch.Generator().manual_seed(seed + i) for i in range(count)]
    return [torch.stack([torch.randn(shape, generator=generator) for generator in generators]) for _ in range(draws)]


@torch.no_grad()
def decode(models: Models, latents: torch.Tensor) -> torch.Tensor:
    """Pixels [batch, 3, height, width] of scaled latents, about -1 ... 1, not rounded."""
    return models.vae.decode(latents.to(models.vae.dtype) / SCALING).sample


def to_rgb(pixels: torch.Tensor) -> torch.Tensor:
    """Bytes [batch, height, width, 3], rounded to nearest, ties to even, as Diffusers' image processor does (numpy.round)."""
    return ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
