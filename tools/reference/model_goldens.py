"""Golden values of the synthetic checkpoints: text encoders, UNet, VAE and whole pictures, by Diffusers and transformers in float32.

Writes test/golden/models/<spec>.safetensors (inputs and expected outputs) and <spec>.json (the cases). Tensor names are
"<part>.<case>.<what>". Every case also states `float64_difference`: how far the same computation in float64 lies from the expected
output (largest absolute difference), which bounds what any float32 engine can be asked to reproduce.

    python tools/reference/model_goldens.py [spec ...]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from common import (
    BREAK,
    GOLDEN,
    ROOT,
    SAMPLERS,
    SCALING,
    SCHEDULES,
    Chunk,
    Models,
    chunks_of,
    decode,
    denoiser,
    encode_chunks,
    frame,
    load_diffusers_folder,
    seeded_noises,
    to_rgb,
    zeros_like_prompt,
)
from sgm_names import clip_l_to_sgm, open_clip_to_sgm, unet_to_sgm, vae_to_sgm

SPECS = ("tiny-a", "tiny-b", "tiny-v", "tiny-inpaint", "tiny-pruned", "tiny-refiner")
FOX, NIGHT = "a red fox in the snow", "a city at night, neon signs, rain on the street"

# Prompts as the user writes them, and the pieces that A1111's grammar makes of them.
PROMPTS = {
    FOX: [(FOX, 1.0)],
    NIGHT: [(NIGHT, 1.0)],
    "a (red:1.3) fox in the (snow:0.7)": [("a ", 1.0), ("red", 1.3), (" fox in the ", 1.0), ("snow", 0.7)],
    "blurry": [("blurry", 1.0)],
    f"{FOX} BREAK {NIGHT} BREAK oil painting": [(FOX, 1.0), BREAK, (NIGHT, 1.0), BREAK, ("oil painting", 1.0)],
    "blurry BREAK (dark:1.2) frame": [("blurry", 1.0), BREAK, ("dark", 1.2), (" frame", 1.0)],
}

PICTURES = {
    "tiny-a": {
        "euler": {"prompt": FOX, "negativePrompt": "", "width": 104, "height": 72, "steps": 6, "sampler": "euler", "scheduler": "normal"},
        "dpmpp-2m-two-images": {
            "prompt": f"{FOX} BREAK {NIGHT} BREAK oil painting", "negativePrompt": "blurry", "width": 64, "height": 88, "steps": 8,
            "sampler": "dpmpp_2m", "scheduler": "karras", "count": 2,
        },
        "euler-a-weights": {
            "prompt": "a (red:1.3) fox in the (snow:0.7)", "negativePrompt": "blurry BREAK (dark:1.2) frame", "width": 72, "height": 64,
            "steps": 6, "sampler": "euler_a", "scheduler": "normal",
        },
        "no-guidance": {
            "prompt": NIGHT, "negativePrompt": "", "width": 88, "height": 64, "steps": 6, "sampler": "euler", "scheduler": "karras",
            "guidance": 1,
        },
    },
    "tiny-b": {
        "dpmpp-2m": {
            "prompt": NIGHT, "negativePrompt": "blurry BREAK (dark:1.2) frame", "width": 88, "height": 64, "steps": 6,
            "sampler": "dpmpp_2m", "scheduler": "normal",
        },
    },
    "tiny-v": {
        "euler": {"prompt": FOX, "negativePrompt": "", "width": 104, "height": 72, "steps": 6, "sampler": "euler", "scheduler": "normal"},
        "dpmpp-2m": {
            "prompt": "a (red:1.3) fox in the (snow:0.7)", "negativePrompt": "blurry", "width": 64, "height": 88, "steps": 8,
            "sampler": "dpmpp_2m", "scheduler": "karras",
        },
    },
}  # fmt: skip


class Golden:
    """Collects the tensors and the cases of one spec."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.cases: dict[str, dict[str, dict]] = {}

    def case(self, part: str, name: str, description: dict, tensors: dict[str, torch.Tensor]) -> None:
        """Adds a case; floating-point tensors are stored as float32."""
        self.cases.setdefault(part, {})[name] = description
        for what, tensor in tensors.items():
            stored = tensor.float() if tensor.is_floating_point() else tensor
            self.tensors[f"{part}.{name}.{what}"] = stored.clone().contiguous()

    def write(self, spec: str) -> None:
        """Writes both files."""
        GOLDEN.mkdir(parents=True, exist_ok=True)
        path = GOLDEN / f"{spec}.safetensors"
        save_file(self.tensors, path)
        path.chmod(0o644)  # the writer makes files only their owner can read
        made_by = {"torch": torch.__version__, "diffusers": diffusers.__version__, "transformers": transformers.__version__}
        text = json.dumps({"spec": spec, "made_by": made_by, "cases": self.cases}, indent=2)
        (GOLDEN / f"{spec}.json").write_text(text + "\n")


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest absolute difference, rounded up to two digits."""
    return float(f"{(a.double() - b.double()).abs().max().item():.1e}")


def synthesize(spec: str, target: Path, layout: str) -> None:
    """Writes a float32 checkpoint with this project's tool."""
    tool = ROOT / "tools" / "synthesize-checkpoint.mjs"
    subprocess.run(["node", str(tool), spec, str(target), "--layout", layout, "--dtype", "f32"], check=True)


def check_single_file(path: Path, models: Models) -> None:
    """The single file holds exactly the tensors of the folder, bit by bit, under this module's own SGM names."""
    wanted = unet_to_sgm(models.unet.state_dict(), models.unet.config.layers_per_block) | vae_to_sgm(models.vae.state_dict())
    if models.text_encoder is not None:
        wanted |= clip_l_to_sgm(models.text_encoder.state_dict())
    wanted |= open_clip_to_sgm(models.text_encoder_2.state_dict(), embedder=0 if models.text_encoder is None else 1)
    file = load_file(path)
    markers = {"v_pred", "conditioner.embedders.0.transformer.text_model.embeddings.position_ids"}
    assert set(file) - markers == set(wanted), sorted(set(file) ^ set(wanted))[:10]
    assert ("v_pred" in file) == models.v_prediction
    for name, value in wanted.items():
        assert file[name].shape == value.shape and torch.equal(file[name], value), name


def chunk_tensors(chunks: list[Chunk]) -> dict[str, torch.Tensor]:
    """Ids and weights of chunks, [chunks, 77] each."""
    return {
        "ids_l": torch.tensor([chunk.ids_l for chunk in chunks], dtype=torch.int32),
        "ids_g": torch.tensor([chunk.ids_g for chunk in chunks], dtype=torch.int32),
        "weights": torch.tensor([chunk.weights for chunk in chunks]),
    }


def text_cases(golden: Golden, single: Models, double: Models) -> None:
    """Hidden states and pooled vectors of hand-made ids, and of a weighted prompt."""
    generator = torch.Generator().manual_seed(1)

    def random_ids(count: int) -> list[int]:
        return torch.randint(0, 49406, (count,), generator=generator).tolist()

    weighted = "a (red:1.3) fox in the (snow:0.7)"
    cases = {
        # Id 0 inside the text (an exclamation mark) is a token like any other; only what follows the first EOS is padding.
        "one-chunk": (None, [frame([320, 736, 0, 2368, 267, 0, 49405])]),
        "three-chunks": (None, [frame(random_ids(75)), frame(random_ids(20)), frame([])]),
        "weights": (weighted, chunks_of(PROMPTS[weighted])),
    }
    if single.text_encoder is None:
        del cases["three-chunks"], cases["weights"]
    for name, (prompt, chunks) in cases.items():
        conditioning, exact = encode_chunks(single, chunks), encode_chunks(double, chunks)
        tensors = chunk_tensors(chunks) | {"context": conditioning.context, "pooled": conditioning.pooled}
        if name == "one-chunk":
            tensors["context_skip_2"] = encode_chunks(single, chunks, clip_skip=2).context  # for clipSkip 2
        gap = {"context": difference(conditioning.context, exact.context), "pooled": difference(conditioning.pooled, exact.pooled)}
        description = {"chunks": len(chunks), "float64_difference": gap}
        golden.case("text", name, description if prompt is None else {"prompt": prompt} | description, tensors)


def unet_cases(golden: Golden, single: Models, double: Models, wide: bool) -> None:
    """Raw predictions.

    `wide` adds three chunks with a context and a size of its own per image, and latents so faint that the norms' epsilon shows.
    """
    generator = torch.Generator().manual_seed(2)
    config = single.unet.config
    size_numbers = (config.projection_class_embeddings_input_dim - single.text_encoder_2.config.projection_dim) // 256
    # name: (batch, latent height, latent width, deviation of the latents, timestep, chunks, batch of the context)
    cases = {"odd-size": (2, 9, 13, 1.0, 437.25, 1, 1), "even-size": (1, 8, 12, 1.0, 999.0, 1, 1)}
    if wide:
        cases |= {"three-chunks": (2, 10, 6, 1.0, 0.5, 3, 2), "faint": (1, 7, 11, 2e-3, 20.5, 1, 1)}
    sizes = torch.tensor([[1024, 768, 16, 32, 512, 640], [72, 104, 0, 8, 720, 1040]], dtype=torch.float32)
    for name, (batch, height, width, deviation, timestep, chunks, contexts) in cases.items():
        tensors = {
            "latents": torch.randn(batch, config.in_channels, height, width, generator=generator) * deviation,
            "timestep": torch.tensor([timestep]),
            "context": torch.randn(contexts, 77 * chunks, config.cross_attention_dim, generator=generator) * 0.5,
            "pooled": torch.randn(contexts, single.text_encoder_2.config.projection_dim, generator=generator),
            "time_ids": sizes[:contexts, :size_numbers],
        }

        @torch.no_grad()
        def predict(models: Models) -> torch.Tensor:
            kind = models.unet.dtype
            added = {
                "text_embeds": tensors["pooled"].to(kind).expand(batch, -1),
                "time_ids": tensors["time_ids"].to(kind).expand(batch, -1),
            }
            context = tensors["context"].to(kind).expand(batch, -1, -1)
            return models.unet(tensors["latents"].to(kind), tensors["timestep"].to(kind), context, added_cond_kwargs=added).sample

        prediction, exact = predict(single), predict(double)
        description = {"timestep": timestep, "chunks": chunks, "float64_difference": difference(prediction, exact)}
        golden.case("unet", name, description, tensors | {"prediction": prediction})


@torch.no_grad()
def vae_cases(golden: Golden, single: Models, double: Models, tiled: bool) -> None:
    """Decoding and encoding (mean of the posterior) of scaled latents. `tiled` adds decoding in tiles as Diffusers blends them."""
    generator = torch.Generator().manual_seed(3)
    pixels = single.latent_pixels
    channels = single.vae.config.latent_channels

    latents = torch.randn(2, channels, 5, 7, generator=generator)
    decoded, exact = decode(single, latents), decode(double, latents)
    golden.case("vae", "decode", {"float64_difference": difference(decoded, exact)}, {"latents": latents, "pixels": decoded})

    images = {"encode": torch.randint(0, 256, (2, 5 * pixels, 7 * pixels, 3), generator=generator, dtype=torch.uint8)}
    if not tiled:  # a plain gray brings variances near the norms' epsilon; tiny-a's groups of one channel lose too much of float32 on it
        images["encode-gray"] = torch.full((1, 5 * pixels, 7 * pixels, 3), 128, dtype=torch.uint8)
    for name, rgb in images.items():
        image = rgb.permute(0, 3, 1, 2).double() / 127.5 - 1
        encoded, exact = [models.vae.encode(image.to(models.vae.dtype)).latent_dist.mean * SCALING for models in (single, double)]
        golden.case("vae", name, {"float64_difference": difference(encoded, exact)}, {"rgb": rgb, "latents": encoded})

    if tiled:
        latents = torch.randn(1, channels, 11, 20, generator=generator)
        tile = 8
        for models in (single, double):
            models.vae.enable_tiling()
            models.vae.tile_latent_min_size, models.vae.tile_sample_min_size = tile, tile * pixels
        decoded, exact = decode(single, latents), decode(double, latents)
        for models in (single, double):
            models.vae.disable_tiling()
        description = {
            "tile_latent_min_size": tile,
            "tile_sample_min_size": tile * pixels,
            "tile_overlap_factor": single.vae.tile_overlap_factor,
            "float64_difference": difference(decoded, exact),
            "untiled_difference": difference(decoded, decode(single, latents)),
        }
        golden.case("vae", "decode-tiled", description, {"latents": latents, "pixels": decoded})


def picture_cases(golden: Golden, single: Models, double: Models, requests: dict[str, dict]) -> None:
    """Whole pictures. All noise is torch's CPU generator's (rng 'torch-cpu'), and stored too."""
    for name, request in requests.items():
        request = {"count": 1, "guidance": 5, "seed": 1234, "rng": "torch-cpu"} | request
        height, width = request["height"], request["width"]
        positive, negative = chunks_of(PROMPTS[request["prompt"]]), chunks_of(PROMPTS.get(request["negativePrompt"], []))
        zero_negative = request["negativePrompt"] == ""
        shape = (single.vae.config.latent_channels, height // single.latent_pixels, width // single.latent_pixels)
        draws = request["steps"] if request["sampler"] == "euler_a" else 1
        noises = seeded_noises(request["seed"], request["count"], shape, draws)
        sigmas = SCHEDULES[request["scheduler"]](request["steps"])

        def draw(models: Models) -> torch.Tensor:
            wanted = encode_chunks(models, positive)
            unwanted = zeros_like_prompt(wanted) if zero_negative else encode_chunks(models, negative)
            denoise = denoiser(models, wanted, unwanted, request["guidance"], [height, width, 0, 0, height, width])
            start = noises[0].double() * sigmas[0]
            return SAMPLERS[request["sampler"]](start, sigmas, denoise, [noise.double() for noise in noises[1:]])

        latents, exact = draw(single), draw(double)
        rgb, exact_rgb = to_rgb(decode(single, latents)), to_rgb(decode(double, exact))
        tensors = {f"positive_{what}": tensor for what, tensor in chunk_tensors(positive).items()}
        if not zero_negative:
            tensors |= {f"negative_{what}": tensor for what, tensor in chunk_tensors(negative).items()}
        tensors |= {"noise": noises[0], "sigmas": torch.tensor(sigmas), "latents": latents, "rgb": rgb}
        if len(noises) > 1:
            tensors["step_noises"] = torch.stack(noises[1:])  # [steps - 1, count, channels, height, width]
        gap = {"latents": difference(latents, exact), "rgb": difference(rgb, exact_rgb)}
        golden.case("pictures", name, {"request": request, "float64_difference": gap}, tensors)


def make(spec: str) -> None:
    """Writes the golden files of one spec."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, file = Path(temporary) / spec, Path(temporary) / f"{spec}.safetensors"
        synthesize(spec, folder, "diffusers")
        synthesize(spec, file, "single-file")
        single, double = load_diffusers_folder(folder), load_diffusers_folder(folder)
        check_single_file(file, single)
        if single.text_encoder is not None:
            StableDiffusionXLPipeline.from_pretrained(folder)  # the folder is one that Diffusers itself accepts
    double.to(torch.float64)
    golden = Golden()
    if spec in ("tiny-a", "tiny-b", "tiny-refiner"):  # the others' text encoders and VAE are those of tiny-a or tiny-b
        text_cases(golden, single, double)
    if spec != "tiny-v":
        unet_cases(golden, single, double, wide=spec in ("tiny-a", "tiny-b"))
    if spec in ("tiny-a", "tiny-b"):
        vae_cases(golden, single, double, tiled=spec == "tiny-a")
    picture_cases(golden, single, double, PICTURES.get(spec, {}))
    golden.write(spec)


def main() -> None:
    """Writes the golden files of the named specs, or of all."""
    torch.set_num_threads(2)
    for spec in sys.argv[1:] or SPECS:
        make(spec)
        print(f"{spec}: {(GOLDEN / f'{spec}.safetensors').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
