"""The tiny SDXL: its architecture, how its parts are kept while training, and its single-file form."""

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
from common import BOS, EOS, SCALING, Models, chunks_of  # noqa: E402
from sgm_names import (  # noqa: E402
    clip_l_from_sgm,
    clip_l_to_sgm,
    open_clip_from_sgm,
    open_clip_to_sgm,
    unet_from_sgm,
    unet_to_sgm,
    vae_from_sgm,
    vae_to_sgm,
)

PIXELS = 128
TIME_IDS = [float(PIXELS), float(PIXELS), 0.0, 0.0, float(PIXELS), float(PIXELS)]
# Elsewhere than on AVX-512 the CPU emulates bfloat16, and float32 is faster.
BF16 = torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def autocast() -> torch.autocast:
    """bfloat16 where the CPU has it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=BF16)


def build_text_encoders() -> tuple[CLIPTextModel, CLIPTextModelWithProjection]:
    """64 and 128 wide, three layers each."""

    def config(width: int, activation: str, pad: int) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=49408,
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=3,
            num_attention_heads=width // 64,
            hidden_act=activation,
            projection_dim=width,
            bos_token_id=BOS,
            eos_token_id=EOS,
            pad_token_id=pad,
        )

    return CLIPTextModel(config(64, "quick_gelu", EOS)), CLIPTextModelWithProjection(config(128, "gelu", 0))


def build_unet() -> UNet2DConditionModel:
    """Three levels, attention on the lower two.

    No level is narrower than 64 channels: with 32, each of the 32 groups of a group norm is a single channel, and colour is lost.
    """
    channels = (64, 64, 128)
    return UNet2DConditionModel(
        sample_size=PIXELS // 8,
        in_channels=4,
        out_channels=4,
        block_out_channels=channels,
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 1),
        attention_head_dim=tuple(width // 64 for width in channels),  # the number of heads, despite its name
        cross_attention_dim=64 + 128,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=6 * 256 + 128,
        use_linear_projection=True,
        norm_num_groups=32,
    )


def build_vae() -> AutoencoderKL:
    """Four levels of 64 channels."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(64, 64, 64, 64),
        layers_per_block=2,
        norm_num_groups=32,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=PIXELS,
        scaling_factor=SCALING,
        force_upcast=False,
    )


def load_parts(folder: Path) -> Models:
    """The trained parts, as train_vae.py and train_sdxl.py keep them in their output folder."""
    return Models(
        unet=UNet2DConditionModel.from_pretrained(folder / "unet").eval(),
        text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder").eval(),
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2").eval(),
        vae=AutoencoderKL.from_pretrained(folder / "vae").eval(),
        v_prediction=False,
    )


def to_single_file(models: Models, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """All tensors under the names of an original single file."""
    state = unet_to_sgm(models.unet.state_dict(), models.unet.config.layers_per_block) | vae_to_sgm(models.vae.state_dict())
    state |= clip_l_to_sgm(models.text_encoder.state_dict()) | open_clip_to_sgm(models.text_encoder_2.state_dict())
    return {name: value.detach().to(dtype).contiguous() for name, value in state.items()}


def from_single_file(file: dict[str, torch.Tensor]) -> Models:
    """The float32 model of a single file; every weight must be there."""
    unet, vae, (text_encoder, text_encoder_2) = build_unet(), build_vae(), build_text_encoders()
    unet.load_state_dict(unet_from_sgm(file, unet.state_dict(), unet.config.layers_per_block), strict=True)
    vae.load_state_dict(vae_from_sgm(file, vae.state_dict()), strict=True)
    text_encoder.load_state_dict(clip_l_from_sgm(file, text_encoder.state_dict()), strict=True)
    text_encoder_2.load_state_dict(open_clip_from_sgm(file, text_encoder_2.state_dict()), strict=True)
    return Models(unet.eval(), text_encoder.eval(), text_encoder_2.eval(), vae.eval(), v_prediction=False)


def token_ids(captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [captions, 77] for the first and the second encoder."""
    chunks = [chunks_of([(caption, 1.0)])[0] for caption in captions]
    return torch.tensor([chunk.ids_l for chunk in chunks]), torch.tensor([chunk.ids_g for chunk in chunks])


def signal_to_noise() -> torch.Tensor:
    """Cumulative products of 1 - beta for SDXL's 1000 training timesteps."""
    return torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)


def epsilon_loss(prediction: torch.Tensor, noise: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
    """Mean squared error, weighted by min(SNR, 5) / SNR (Hang et al. 2023); `products` [batch, 1, 1, 1] of the drawn timesteps."""
    ratio = (products / (1 - products)).flatten().clamp_min(1e-4)
    weights = (ratio.clamp(max=5) / ratio).clamp(max=1)
    return ((prediction - noise).square().mean((1, 2, 3)) * weights).mean()
