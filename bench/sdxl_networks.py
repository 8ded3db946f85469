"""SDXL's UNet and VAE in Diffusers, built from their configuration with random weights."""
from diffusers import AutoencoderKL, UNet2DConditionModel


def sdxl_unet(**changes) -> UNet2DConditionModel:
    return UNet2DConditionModel(**{**dict(
        sample_size=128, in_channels=4, out_channels=4, block_out_channels=(320, 640, 1280), layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20), cross_attention_dim=2048,
        addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
        use_linear_projection=True,
    ), **changes})


def sdxl_vae(**changes) -> AutoencoderKL:
    return AutoencoderKL(**{**dict(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, scaling_factor=0.13025,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    ), **changes})
