"""Golden latents and pictures of Diffusers' own SDXL pipelines on the synthetic checkpoints, one for each task.

Writes test/golden/tasks/tasks.safetensors and tasks.json. The pipelines run as they are, in float64, but for these things: pictures are encoded to
the mean of the VAE's posterior, where they draw from it; masks may be soft; the scheduler computes in float64 too (at zero terminal SNR its float32
would be off by 1e-4); start noise is the first float32 draw of torch's CPU generator with the seed. Each case says the levels and timesteps that its
scheduler came to, so that a plan of the same steps can be written down by hand.

`variation.*` is start noise between that of two seeds as A1111 mixes it; `guidance` in a case may be a list, one number for each step.

    python tools/reference/task_goldens.py
"""

import json
import subprocess
import tempfile
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import (
    EulerDiscreteScheduler,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl as base_module
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_img2img as img2img_module
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_inpaint as inpaint_module
from diffusers.schedulers import scheduling_euler_discrete as euler_module
from PIL import Image
from safetensors.torch import save_file

import taesd_goldens
from common import ROOT, chunks_of, encode_chunks, load_diffusers_folder, to_rgb

FOLDER = ROOT / "test" / "golden" / "tasks"
PROMPT, NEGATIVE, SEED = "a red fox in the snow", "blurry, dark", 77
HEIGHT, WIDTH = 40, 56
LEADING = {"timestep_spacing": "leading", "steps_offset": 1}
ZTSNR = {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}

tensors: dict[str, torch.Tensor] = {}
cases: dict[str, dict] = {}


def posterior_mean(encoded, generator=None, sample_mode="sample"):
    """In the place of the pipelines' function of that meaning, which draws."""
    del generator, sample_mode
    return encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean


def single_noise(shape, generator=None, device=None, dtype=None, layout=None):
    """In the place of the pipelines' function of that meaning: float64 noise would be other noise."""
    del device, layout
    return torch.randn(shape, generator=generator).to(dtype)


class WideTorch:
    """torch as the scheduler sees it: what it casts to float32 stays as it is."""

    float32 = torch.float64

    def __getattr__(self, name: str):
        return getattr(torch, name)


img2img_module.retrieve_latents = posterior_mean
inpaint_module.retrieve_latents = posterior_mean
base_module.randn_tensor = img2img_module.randn_tensor = inpaint_module.randn_tensor = single_noise
euler_module.torch = WideTorch()


def folder_of(spec: str, temporary: Path, seed: int = 0) -> Path:
    """A Diffusers folder of the checkpoint, in float32."""
    target = temporary / f"{spec}-{seed}"
    if not target.exists():
        tool = ROOT / "tools" / "synthesize-checkpoint.mjs"
        command = ["node", str(tool), spec, str(target), "--layout", "diffusers", "--dtype", "f32", "--seed", str(seed)]
        subprocess.run(command, check=True)
    return target


def pipeline(kind: type, folder: Path, schedule: dict):
    """With Euler's method over the levels that `schedule` asks for."""
    pipe = kind.from_pretrained(folder, add_watermarker=False).to(torch.float64)
    pipe.vae.register_to_config(force_upcast=False)  # to float32, that is
    pipe.scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **schedule)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def prompts_of(folder: Path) -> dict[str, torch.Tensor]:
    """Both prompts through the checkpoint's text encoders, as the pipelines take them."""
    models = load_diffusers_folder(folder).to(torch.float64)
    wanted, unwanted = [encode_chunks(models, chunks_of([(text, 1.0)])) for text in (PROMPT, NEGATIVE)]
    return {
        "prompt_embeds": wanted.context, "pooled_prompt_embeds": wanted.pooled,
        "negative_prompt_embeds": unwanted.context, "negative_pooled_prompt_embeds": unwanted.pooled,
    }  # fmt: skip


def generator() -> torch.Generator:
    """What start noise is drawn from."""
    return torch.Generator().manual_seed(SEED)


def picture(height: int, width: int) -> Image.Image:
    """Something with edges, gradients and noise."""
    y, x = np.mgrid[0:height, 0:width]
    grain = np.random.default_rng(5).integers(-20, 20, (height, width, 3))
    base = np.stack([255 * x / width, 255 * y / height, 255 * ((x // 8 + y // 8) % 2)], -1)
    return Image.fromarray(np.clip(base + grain, 0, 255).astype(np.uint8))


def mask(height: int, width: int, soft: bool) -> Image.Image:
    """White right of a slanting edge; `soft`: with all grays between."""
    y, x = np.mgrid[0:height, 0:width]
    slope = (x - 0.3 * width - 0.2 * y) / (0.5 * width)
    return Image.fromarray((255 * (np.clip(slope, 0, 1) if soft else slope > 0.3)).astype(np.uint8), mode="L")


def steps_of(scheduler, first: int = 0) -> dict:
    """Levels, one more than timesteps, from the step `first` on."""
    return {"sigmas": scheduler.sigmas[first:].double().tolist(), "timesteps": scheduler.timesteps[first:].double().tolist()}


@torch.no_grad()
def add(name: str, pipe, latents: torch.Tensor, case: dict, given: dict[str, torch.Tensor] | None = None) -> None:
    """Decodes the latents and keeps the case; floating-point tensors are stored as float32."""
    assert latents.dtype == torch.float64
    rgb = to_rgb(pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample)
    cases[name] = {"prompt": PROMPT, "negativePrompt": NEGATIVE, "seed": SEED, "guidance": 5, "rescale": 0} | case
    for what, tensor in ({"latents": latents, "rgb": rgb} | (given or {})).items():
        tensors[f"{name}.{what}"] = (tensor.float() if tensor.is_floating_point() else tensor).clone().contiguous()
    print(f"{name}: latents deviate by {latents.std():.2f}, picture by {rgb.double().std():.1f}")


def text_to_image(temporary: Path) -> None:
    """v-prediction with zero terminal SNR, guidance rescale for both predictions, guidance that changes from step to step."""
    size = {"height": HEIGHT, "width": WIDTH}
    common = {"num_inference_steps": 6, "output_type": "latent", **size}
    for name, spec, schedule, phi in [
        ("v-ztsnr", "tiny-v", ZTSNR, 0.0), ("v-ztsnr-rescale", "tiny-v", ZTSNR, 0.7), ("rescale", "tiny-a", LEADING, 0.6),
    ]:  # fmt: skip
        folder = folder_of(spec, temporary)
        pipe = pipeline(StableDiffusionXLPipeline, folder, schedule)
        latents = pipe(**common, **prompts_of(folder), guidance_scale=5, guidance_rescale=phi, generator=generator()).images
        start = {"initial": float(pipe.scheduler.init_noise_sigma)}
        add(name, pipe, latents, {"spec": spec, "rescale": phi, **size, **start, **steps_of(pipe.scheduler)})

    guidance = [4.0, 1.0, 1.0, 7.0, 1.0, 2.0]
    folder = folder_of("tiny-a", temporary)
    pipe = pipeline(StableDiffusionXLPipeline, folder, LEADING)
    both: dict[str, torch.Tensor] = {}

    def change_guidance(pipe, step, timestep, given):  # before the next step; both prompts come back after a step without guidance
        del timestep
        both.update({} if both else given)
        pipe._guidance_scale = guidance[min(step + 1, 5)]  # noqa: SLF001
        return {name: value if pipe.guidance_scale > 1 else value[1:] for name, value in both.items()}

    given = ["prompt_embeds", "add_text_embeds", "add_time_ids"]
    latents = pipe(
        **common, **prompts_of(folder), guidance_scale=guidance[0], generator=generator(),
        callback_on_step_end=change_guidance, callback_on_step_end_tensor_inputs=given,
    ).images  # fmt: skip
    start = {"initial": float(pipe.scheduler.init_noise_sigma)}
    add("guidance-per-step", pipe, latents, {"spec": "tiny-a", "guidance": guidance, **size, **start, **steps_of(pipe.scheduler)})


def from_pictures(temporary: Path) -> None:
    """img2img, and inpainting with a model of 4 and with one of 9 channels."""
    image, size = picture(HEIGHT, WIDTH), {"height": HEIGHT, "width": WIDTH}
    common = {"guidance_scale": 5, "output_type": "latent", "image": image}
    tensors["picture"] = torch.from_numpy(np.array(image))

    def skipped(steps: int, strength: float) -> int:
        return steps - int(steps * strength)

    folder = folder_of("tiny-a", temporary)
    pipe = pipeline(StableDiffusionXLImg2ImgPipeline, folder, LEADING)
    latents = pipe(**common, **prompts_of(folder), strength=0.65, num_inference_steps=9, generator=generator()).images
    part = steps_of(pipe.scheduler, skipped(9, 0.65))
    add("img2img", pipe, latents, {"spec": "tiny-a", **size, "initial": part["sigmas"][0], **part})

    # The small autoencoder at both ends.
    pipe.vae = taesd_goldens.tiny().to(torch.float64)
    pipe.vae.register_to_config(force_upcast=False)
    latents = pipe(**common, **prompts_of(folder), strength=0.65, num_inference_steps=9, generator=generator()).images
    add("taesd", pipe, latents, {"spec": "tiny-a", "vae": "taesd/tiny.safetensors", **size, "initial": part["sigmas"][0], **part})

    for name, spec, strength, soft in [
        ("inpaint", "tiny-a", 0.7, False), ("inpaint-soft", "tiny-a", 1.0, True),
        ("inpaint-model", "tiny-inpaint", 1.0, False), ("inpaint-model-strength", "tiny-inpaint", 0.6, False),
    ]:  # fmt: skip
        folder = folder_of(spec, temporary)
        pipe = pipeline(StableDiffusionXLInpaintPipeline, folder, LEADING)
        if soft:
            pipe.mask_processor.register_to_config(do_binarize=False)
        area = mask(HEIGHT, WIDTH, soft)
        seen: dict[str, torch.Tensor] = {}

        def keep_mask(pipe, step, timestep, given, seen=seen):
            del pipe, step, timestep
            seen["mask"] = given["mask"][:1, 0].clone()
            return {}

        latents = pipe(
            **common, **prompts_of(folder), **size, mask_image=area, strength=strength, num_inference_steps=8, generator=generator(),
            callback_on_step_end=keep_mask, callback_on_step_end_tensor_inputs=["latents", "mask"],
        ).images  # fmt: skip
        part = steps_of(pipe.scheduler, skipped(8, strength))
        whole = strength == 1  # then nothing of the picture is in the start
        case = {"spec": spec, **size, "whole": whole, "initial": float(pipe.scheduler.init_noise_sigma) if whole else part["sigmas"][0], **part}
        add(name, pipe, latents, case, {"area": torch.from_numpy(np.array(area)), "mask": seen["mask"][0]})


def refined(temporary: Path) -> None:
    """A base model that hands over to a refiner with other sizes, crops and scores than the usual."""
    size = {"height": HEIGHT, "width": WIDTH}
    steps, share = 9, 0.6
    common = {"num_inference_steps": steps, "guidance_scale": 5, "output_type": "latent"}
    folders = folder_of("tiny-a", temporary), folder_of("tiny-refiner", temporary, seed=1)
    base, refiner = pipeline(StableDiffusionXLPipeline, folders[0], LEADING), pipeline(StableDiffusionXLImg2ImgPipeline, folders[1], LEADING)
    handed = base(**common, **prompts_of(folders[0]), **size, denoising_end=share, generator=generator()).images
    calls = base.scheduler.step_index
    start, whole = {"initial": float(base.scheduler.init_noise_sigma)}, steps_of(base.scheduler)
    sizes = {
        "original_size": (72, 80), "crops_coords_top_left": (8, 0), "aesthetic_score": 6.5,
        "negative_original_size": (40, 56), "negative_crops_coords_top_left": (0, 16), "negative_aesthetic_score": 2.0,
    }  # fmt: skip
    latents = refiner(**common, **prompts_of(folders[1]), **sizes, image=handed, denoising_start=share).images
    assert refiner.scheduler.step_index == steps and (len(whole["timesteps"]), calls) == (steps, 5), calls
    numbers = [[40, 56, 0, 16, 2.0], [72, 80, 8, 0, 6.5]]
    case = {"spec": "tiny-a", "refiner": {"spec": "tiny-refiner", "seed": 1, "from": calls, "sizes": numbers}, **size, **start, **whole}
    add("refiner", base, latents, case)


def projected(temporary: Path) -> None:
    """Guidance as Sadat et al. 2024 bend it: Diffusers' function for it, given the denoised estimates that the paper means."""
    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **LEADING)
    scheduler.set_timesteps(6)
    folder = folder_of("tiny-a", temporary)
    pipe, texts = pipeline(StableDiffusionXLPipeline, folder, LEADING), prompts_of(folder)
    start = torch.randn((1, 4, HEIGHT // 8, WIDTH // 8), generator=generator()).double()
    sizes = torch.tensor([[HEIGHT, WIDTH, 0, 0, HEIGHT, WIDTH]], dtype=torch.float64)

    @torch.no_grad()
    def denoised(x: torch.Tensor, sigma: float, timestep: torch.Tensor, prefix: str) -> torch.Tensor:
        added = {"text_embeds": texts[f"{prefix}pooled_prompt_embeds"], "time_ids": sizes}
        noise = pipe.unet(x / (sigma**2 + 1) ** 0.5, timestep, texts[f"{prefix}prompt_embeds"], added_cond_kwargs=added).sample
        return x - sigma * noise

    settings = {"projection": {"eta": 0.0, "limit": 0.0, "momentum": 0.0}, "projection-momentum": {"eta": 0.4, "limit": 12.0, "momentum": -0.5}}
    for name, setting in settings.items():
        momentum, shortened = MomentumBuffer(setting["momentum"]), 0
        x, levels = start * scheduler.sigmas[0], scheduler.sigmas.tolist()
        for sigma, following, timestep in zip(levels, levels[1:], scheduler.timesteps):
            both = [denoised(x, sigma, timestep, prefix) for prefix in ("", "negative_")]
            shortened += bool((both[0] - both[1]).norm() > setting["limit"])
            estimate = normalized_guidance(*both, 5 - 1, momentum, setting["eta"], setting["limit"], use_original_formulation=True)
            x = x + (x - estimate) / sigma * (following - sigma)
        assert setting["limit"] == 0 or 0 < shortened < 6, shortened  # it acts in some of the steps
        add(name, pipe, x, {"spec": "tiny-a", "height": HEIGHT, "width": WIDTH, "initial": levels[0], "projection": setting, **steps_of(scheduler)})


def variation() -> None:
    """A1111's mixture of two seeds' noise: along the great circle between them, for each column of each channel."""
    shape, strength = (4, 6, 5), 0.3
    first, second = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in (SEED, SEED + 1000)]
    unit = [x / x.norm(dim=1, keepdim=True) for x in (first, second)]
    omega = (unit[0] * unit[1]).sum(1, keepdim=True).acos()
    mixed = ((1 - strength) * omega).sin() / omega.sin() * first + (strength * omega).sin() / omega.sin() * second
    tensors["variation.noise"] = mixed
    cases["variation"] = {"seed": SEED, "other": SEED + 1000, "strength": strength}


def main() -> None:
    """Writes both files."""
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as temporary:
        text_to_image(Path(temporary))
        from_pictures(Path(temporary))
        refined(Path(temporary))
        projected(Path(temporary))
    variation()
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file(tensors, FOLDER / "tasks.safetensors")
    (FOLDER / "tasks.safetensors").chmod(0o644)
    made_by = {"torch": torch.__version__, "diffusers": diffusers.__version__}
    (FOLDER / "tasks.json").write_text(json.dumps({"made_by": made_by, "cases": cases}, indent=2) + "\n")


if __name__ == "__main__":
    main()
