"""Golden pictures of Diffusers' SDXL pipelines with settings as their users write them, beyond those of task_goldens.py.

Writes test/golden/tasks/settings.safetensors and settings.json: {"cases": {name: {"spec", "seed", …, "request"}}}, `request` in this library's terms.
Schedulers have SDXL's own configuration ("leading", one step of offset); noise is torch's, on a CPU, in float32.

    python tools/reference/task_settings.py
"""

import json
import tempfile
from pathlib import Path

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UniPCMultistepScheduler,
)
from diffusers.schedulers import scheduling_ddim, scheduling_euler_ancestral_discrete
from safetensors.torch import save_file
from task_goldens import FOLDER, HEIGHT, LEADING, NEGATIVE, PROMPT, SEED, WIDTH, folder_of, generator, pipeline, prompts_of, single_noise

from common import to_rgb

scheduling_ddim.randn_tensor = scheduling_euler_ancestral_discrete.randn_tensor = single_noise

TRAINING = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", **LEADING}
SIZE = {"height": HEIGHT, "width": WIDTH}

tensors: dict[str, torch.Tensor] = {}
cases: dict[str, dict] = {}


@torch.no_grad()
def add(name: str, pipe, latents: torch.Tensor, case: dict) -> None:
    """Decodes and keeps a case."""
    tensors[f"{name}.rgb"] = to_rgb(pipe.vae.decode(latents.double() / pipe.vae.config.scaling_factor).sample).clone().contiguous()
    cases[name] = {"prompt": PROMPT, "negativePrompt": NEGATIVE, "seed": SEED, "guidance": 5, **SIZE, **case}
    print(name, f"latents deviate by {latents.std():.2f}")


def schedulers(temporary: Path) -> None:
    """The schedulers that users of Diffusers choose."""
    folder = folder_of("tiny-a", temporary)
    for name, scheduler, flags, steps, request in [
        ("euler", EulerDiscreteScheduler, {}, 7, {}),
        ("euler-karras", EulerDiscreteScheduler, {"use_karras_sigmas": True}, 7, {"scheduler": "karras"}),
        ("euler-ancestral", EulerAncestralDiscreteScheduler, {}, 5, {}),
        ("heun", HeunDiscreteScheduler, {}, 5, {}),
        ("ddim", DDIMScheduler, {"clip_sample": False, "set_alpha_to_one": False}, 5, {}),
        ("dpm", DPMSolverMultistepScheduler, {"final_sigmas_type": "zero"}, 8, {}),
        ("unipc", UniPCMultistepScheduler, {"final_sigmas_type": "zero"}, 8, {}),
    ]:
        pipe = pipeline(StableDiffusionXLPipeline, folder, LEADING)
        pipe.scheduler = scheduler(**(TRAINING | flags))
        latents = pipe(**SIZE, **prompts_of(folder), num_inference_steps=steps, guidance_scale=5, output_type="latent", generator=generator()).images
        add(name, pipe, latents, {"spec": "tiny-a", "request": {"sampler": scheduler.__name__, "steps": steps, **request}})


def refiner(temporary: Path) -> None:
    """The ensemble of experts: denoising_end of the base is denoising_start of the refiner."""
    share, steps = 0.7, 8
    folders = folder_of("tiny-a", temporary), folder_of("tiny-refiner", temporary, seed=1)
    base, finish = pipeline(StableDiffusionXLPipeline, folders[0], LEADING), pipeline(StableDiffusionXLImg2ImgPipeline, folders[1], LEADING)
    common = {"num_inference_steps": steps, "guidance_scale": 5, "output_type": "latent"}
    handed = base(**common, **prompts_of(folders[0]), **SIZE, denoising_end=share, generator=generator()).images
    sizes = {"original_size": (HEIGHT, WIDTH), "target_size": (HEIGHT, WIDTH)}
    latents = finish(**common, **prompts_of(folders[1]), **sizes, image=handed, denoising_start=share).images
    request = {"sampler": "EulerDiscreteScheduler", "steps": steps, "refine": {"switchAt": share}}
    add("refiner", base, latents, {"spec": "tiny-a", "refiner": {"spec": "tiny-refiner", "seed": 1}, "request": request})


def main() -> None:
    """Writes both files."""
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as temporary:
        schedulers(Path(temporary))
        refiner(Path(temporary))
    save_file(tensors, FOLDER / "settings.safetensors")
    (FOLDER / "settings.safetensors").chmod(0o644)
    (FOLDER / "settings.json").write_text(json.dumps({"cases": cases}, indent=2) + "\n")


if __name__ == "__main__":
    main()
