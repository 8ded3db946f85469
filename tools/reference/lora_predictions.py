"""Golden values of whole models under LoRAs: the UNet's prediction and a prompt's states, on the synthetic checkpoint tiny-a.

Writes to test/golden/lora-predictions: LoRA files, one per family and naming (a folder where PEFT wants one), and predictions.json and
predictions.safetensors with what the model makes of them at several strengths, and of ten at once. Latents and conditioning are those of
unet.odd-size in test/golden/models/tiny-a.safetensors. Everything is computed in float64, `float32_difference` is how far torch itself
strays in float32, relative to the largest value: a tolerance below it asks for luck.

Here a LoRA is W + strength * change for every family. What one weight becomes comes from LyCORIS and PEFT (see also lora_goldens.py, which
has their own notions of strength), or by definition. PEFT's files are also run by PEFT itself.

    python tools/reference/lora_predictions.py
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline
from lycoris.modules.boft import ButterflyOFTModule
from lycoris.modules.diag_oft import DiagOFTModule
from lycoris.modules.glora import GLoRAModule
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import nn

from common import GOLDEN, ROOT, Models, chunks_of, encode_chunks, load_diffusers_folder
from lora_goldens import Goldens
from model_goldens import synthesize

FOLDER = ROOT / "test" / "golden" / "lora-predictions"
COMPONENTS = ("unet", "text_encoder", "text_encoder_2")
PROMPT = "a red fox in the snow, oil painting"
# Every so many values are kept: no width is a multiple, so that each row and each column is among them.
SAMPLED = {"prediction": 5, "context": 29, "pooled": 1}

# A change is so large, compared with its weight. Then each one shows (see VISIBLE) and the network still works.
SHARE = 0.5
# Undoing any single change moves some value by at least so much of the largest one: twenty times the tests' tolerance.
VISIBLE = 1e-3

State = dict[str, torch.Tensor]
Layer = tuple[str, str]  # component, name
Naming = Callable[[str, str], str]

BLOCK = "down_blocks.1.attentions.0.transformer_blocks.0"
ATTENTION = [
    f"{BLOCK}.{name}"
    for name in ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0")
]
FEED = [f"{BLOCK}.ff.net.0.proj", f"{BLOCK}.ff.net.2"]
TIMES = ["time_embedding.linear_1", "add_embedding.linear_2", "down_blocks.1.resnets.1.time_emb_proj"]
CONVS = [
    "conv_in",
    "down_blocks.0.downsamplers.0.conv",  # stride 2
    "down_blocks.1.resnets.0.conv1",
    "down_blocks.1.resnets.0.conv_shortcut",  # 1 x 1
    "up_blocks.1.upsamplers.0.conv",
    "up_blocks.2.resnets.2.conv2",
    "conv_out",
]
# A single member of each stack of q, k and v, and every other kind of layer.
FEW = [
    "time_embedding.linear_2",
    "down_blocks.1.resnets.0.time_emb_proj",
    f"{BLOCK}.attn1.to_k",
    f"{BLOCK}.attn2.to_v",
    f"{BLOCK}.attn2.to_out.0",
    f"{BLOCK}.ff.net.0.proj",
    "up_blocks.1.attentions.0.proj_in",
    "down_blocks.0.downsamplers.0.conv",
    "up_blocks.2.resnets.1.conv_shortcut",
    "up_blocks.2.resnets.0.conv2",
]


def text(component: str, number: int, *names: str) -> list[Layer]:
    """Layers of a text encoder's block."""
    places = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "out": "self_attn.out_proj"}
    return [(component, f"text_model.encoder.layers.{number}.{places.get(name) or f'mlp.{name}'}") for name in names]


PROJECTION = [("text_encoder_2", "text_projection")]
WHOLE = ("q", "k", "v", "out", "fc1", "fc2")
TEXT = text("text_encoder", 0, *WHOLE) + text("text_encoder_2", 2, *WHOLE) + PROJECTION
FEW_TEXT = text("text_encoder", 1, "k", "fc1") + text("text_encoder_2", 0, "v", "fc2") + text("text_encoder_2", 3, "q")


def unet(*lists: list[str]) -> list[Layer]:
    """Layers of the UNet."""
    return [("unet", name) for names in lists for name in names]


@dataclass
class Lora:
    """A file and what it changes in the model, in float64 at strength 1."""

    file: State = field(default_factory=dict)
    changes: State = field(default_factory=dict)  # "<component>.<parameter>"
    metadata: dict[str, str] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------------------------------------- making files


def change_of(kind: type, module: nn.Module, base: torch.Tensor, decomposed: bool = True) -> torch.Tensor:
    """What a LyCORIS adapter adds to the weight."""
    if kind in (LohaModule, LokrModule):  # their get_merged_weight() multiplies with the scale twice
        delta = module.get_weight(base.shape)
        return module.apply_weight_decompose(base + delta) - base if module.wd and decomposed else delta
    if kind is LoConModule and not decomposed:
        return module.make_weight().reshape(base.shape) * module.scale
    return module.get_merged_weight(1.0)[0].reshape(base.shape) - base


def adapter(kind: type, layer: nn.Module, dtype: torch.dtype, options: dict) -> nn.Module:
    """A LyCORIS adapter of random values that `dtype` holds, its change SHARE as large as the weight."""
    module = kind("", layer, 1.0, **options).to(layer.weight.dtype).eval()
    base = layer.weight.detach()
    parameters = dict(module.named_parameters())
    for name, parameter in parameters.items():
        if name == "dora_scale" or name == "rescale":  # lengths as they are, or 1
            parameter.data *= 0.7 + 0.6 * torch.rand(parameter.shape)
        else:
            parameter.data = torch.randn(parameter.shape).to(base.dtype) * 0.1
    # The change is linear in these, of a rotation nearly so.
    factors = [name for name in parameters if name not in ("dora_scale", "rescale")]
    linear = ["a1.weight", "b1.weight"] if kind is GLoRAModule else factors[:1]
    ratio = SHARE * base.norm() / change_of(kind, module, base, decomposed=False).norm()
    for name, parameter in parameters.items():
        parameter.data = (parameter.data * (ratio if name in linear else 1)).to(dtype).to(base.dtype)
    return module


def add_lycoris(
    lora: Lora, models: Models, naming: Naming, kind: type, layers: list[Layer], dtype: torch.dtype, options: dict
) -> None:
    """Adds an adapter for each layer of the models, which are float64."""
    for component, name in layers:
        layer = getattr(models, component).get_submodule(name)
        if kind in (DiagOFTModule, ButterflyOFTModule):  # which invert in float32
            layer = deepcopy(layer).float()
        module = adapter(kind, layer, dtype, options)
        for part, value in module.state_dict().items():
            exact = part in ("alpha", "on_input")
            lora.file[f"{naming(component, name)}.{part}"] = value.detach().to(torch.float32 if exact else dtype)
        lora.changes[f"{component}.{name}.weight"] = change_of(kind, module, layer.weight.detach()).detach().double()


def add_product(lora: Lora, models: Models, keys: tuple[str, str], parameters: list[str], rank: int, dtype: torch.dtype) -> None:
    """Adds up · down for weights that lie one below the other, by definition."""
    bases = [parameter_of(models, name) for name in parameters]
    base = torch.cat(bases)
    up, down = torch.randn(base.shape[0], rank).double(), torch.randn(rank, base.shape[1]).double()
    up *= SHARE * base.norm() / (up @ down).norm()
    up, down = up.to(dtype), down.to(dtype)
    lora.file |= dict(zip(keys, (up, down)))
    for name, part in zip(parameters, (up.double() @ down.double()).split([len(base) for base in bases])):
        lora.changes[name] = part


def add_difference(lora: Lora, models: Models, key: str, parameter: str, dtype: torch.dtype, share: float = SHARE) -> None:
    """Adds the difference itself, of a weight, a bias or a norm."""
    base = parameter_of(models, parameter)
    change = torch.randn(base.shape).double()
    # Biases may be near 0, which a share of them would be too.
    change = (change * max(share * base.norm() / change.norm(), 0.1 if base.dim() == 1 else 0)).to(dtype)
    lora.file[key] = change
    lora.changes[parameter] = change.double()


def parameter_of(models: Models, name: str) -> torch.Tensor:
    """A parameter by "<component>.<name>"."""
    component, rest = name.split(".", 1)
    return getattr(models, component).get_parameter(rest).detach()


# ------------------------------------------------------------------------------------------------------------------- running the model


@contextmanager
def under(models: Models, uses: list[tuple[Lora, float, float]]) -> Iterator[None]:
    """The models under LoRAs, each with its strengths for UNet and text encoders."""
    sums: State = {}
    for lora, own, of_text in uses:
        for name, change in lora.changes.items():
            sums[name] = sums.get(name, 0) + (own if name.startswith("unet.") else of_text) * change
    before = {name: parameter_of(models, name).clone() for name in sums}
    try:
        for name, change in sums.items():
            parameter_of(models, name).copy_(before[name].double() + change)
        yield
    finally:
        for name, value in before.items():
            parameter_of(models, name).copy_(value)


ODD_SIZE = "unet.odd-size."
INPUT = {name.removeprefix(ODD_SIZE): value for name, value in load_file(GOLDEN / "tiny-a.safetensors").items() if name.startswith(ODD_SIZE)}


def predicted(models: Models) -> State:
    """The prediction, all values."""
    dtype = models.unet.dtype
    batch = INPUT["latents"].shape[0]
    added = {"text_embeds": INPUT["pooled"].to(dtype).expand(batch, -1), "time_ids": INPUT["time_ids"].to(dtype).expand(batch, -1)}
    context = INPUT["context"].to(dtype).expand(batch, -1, -1)
    return {"prediction": models.unet(INPUT["latents"].to(dtype), INPUT["timestep"].to(dtype), context, added_cond_kwargs=added).sample}


def encoded(models: Models) -> State:
    """The prompt's states, all values."""
    states = encode_chunks(models, chunks_of([(PROMPT, 1.0)]))
    return {"context": states.context, "pooled": states.pooled}


def outputs(models: Models) -> State:
    """Both."""
    return predicted(models) | encoded(models)


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest one, relative to the largest value."""
    return ((a.double() - b.double()).abs().max() / b.double().abs().max()).item()


def check_visible(models: Models, name: str, lora: Lora) -> None:
    """Every single change shows. (The one of a time embedding or a bias would not, where groups of one channel are normalised after it.)"""
    with under(models, [(lora, 1, 1)]):
        whole = outputs(models)
    hidden = []
    for parameter in lora.changes:
        rest = Lora(changes={other: change for other, change in lora.changes.items() if other != parameter})
        with under(models, [(rest, 1, 1)]):
            without = predicted(models) if parameter.startswith("unet.") else encoded(models)
        moved = max(difference(value, whole[what]) for what, value in without.items())
        if moved < VISIBLE:
            hidden.append(f"{parameter} by {moved:.1e}")
    assert not hidden, f"{name} moves nothing with {', '.join(hidden)}"


# ---------------------------------------------------------------------------------------------------------------------- PEFT, Diffusers


def peft_layers(model: nn.Module) -> dict[str, LoraLayer]:
    """PEFT's layers by the names of what they wrap."""
    return {name.removeprefix("base_model.model."): module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def randomise_peft(models: Models, component: str, model: nn.Module, lora: Lora, dtype: torch.dtype) -> None:
    """Fills PEFT's adapters as `adapter` does LyCORIS' and notes the changes."""
    for name, layer in peft_layers(model).items():
        base = parameter_of(models, f"{component}.{name}.weight")
        up, down = layer.lora_B["default"], layer.lora_A["default"]
        up.weight.data = torch.randn(up.weight.shape).double()
        down.weight.data = torch.randn(down.weight.shape).to(dtype).double()
        up.weight.data *= SHARE * base.norm() / layer.get_delta_weight("default").norm()
        up.weight.data = up.weight.data.to(dtype).double()
        if layer.use_dora.get("default"):
            magnitude = layer.lora_magnitude_vector["default"]
            magnitude.weight.data = (magnitude.weight.data * (0.7 + 0.6 * torch.rand(magnitude.weight.shape))).to(dtype).double()
        merged = deepcopy(layer)
        merged.merge()
        lora.changes[f"{component}.{name}.weight"] = merged.get_base_layer().weight.detach() - base
        if up.bias is not None:
            up.bias.data = torch.randn(up.bias.shape).to(dtype).double() * 0.25
            lora.changes[f"{component}.{name}.bias"] = up.bias.data * layer.scaling["default"]


def check_peft(models: Models, adapted: Models, lora: Lora, strengths: tuple[float, ...]) -> None:
    """PEFT's own forward pass gives what the noted changes do."""
    for strength in strengths:
        for component in COMPONENTS:
            for layer in peft_layers(getattr(adapted, component)).values():
                layer.set_scale("default", strength)
        with under(models, [(lora, strength, strength)]):
            wanted = outputs(models)
        found = outputs(adapted)
        for what, value in wanted.items():
            assert difference(found[what], value) < 1e-9, (what, strength, difference(found[what], value))


def diffusers_file(models: Models, layers: list[Layer], dora: bool, target: Path) -> Lora:
    """What Diffusers' pipeline saves: PEFT's names with the components before them, alpha in the metadata."""
    lora, adapted = Lora(), deepcopy(models)
    states, metadata = {}, {}
    for i, component in enumerate(COMPONENTS):
        model = getattr(adapted, component)
        names = [name for of, name in layers if of == component]
        config = LoraConfig(r=2 + i % 2, lora_alpha=3 - i, use_dora=dora, target_modules=names)
        model.add_adapter(config)
        model.double()
        randomise_peft(models, component, model, lora, torch.float16)
        states[component] = {key: value.half() for key, value in get_peft_model_state_dict(model).items()}
        written = {"r": config.r, "lora_alpha": config.lora_alpha, "use_rslora": False, "alpha_pattern": {}}
        metadata[f"{component}_lora_adapter_metadata"] = written
    with tempfile.TemporaryDirectory() as temporary:
        StableDiffusionXLPipeline.save_lora_weights(
            temporary, states["unet"], states["text_encoder"], states["text_encoder_2"], **metadata
        )
        shutil.copy(next(Path(temporary).glob("*.safetensors")), target)
    # PEFT multiplies the scale into a DoRA's product before its rows get their lengths, which is another curve between 0 and 1.
    check_peft(models, adapted, lora, (1.0,) if dora else (1.0, 0.6, -0.5))
    return lora


def peft_folder(models: Models, folder: Path) -> Lora:
    """PEFT's own folder, of the UNet: rsLoRA, a rank and an alpha of its own for some layers, biases."""
    lora, adapted = Lora(), deepcopy(models)
    config = LoraConfig(r=2, lora_alpha=3, use_rslora=True, lora_bias=True, rank_pattern={"ff.net.2": 3}, alpha_pattern={"ff.net.2": 5},
                        target_modules=[*(name for name in CONVS if "resnets" not in name), ATTENTION[3], *FEED, *TIMES])  # fmt: skip
    model = get_peft_model(adapted.unet, config).double()
    randomise_peft(models, "unet", model, lora, torch.float32)
    shutil.rmtree(folder, ignore_errors=True)
    model.float().save_pretrained(folder)
    (folder / "README.md").unlink()
    written = json.loads((folder / "adapter_config.json").read_text())
    kept = ("peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules")
    config_text = {name: sorted(written[name]) if name == "target_modules" else written[name] for name in kept}
    (folder / "adapter_config.json").write_text(json.dumps(config_text, indent=2, sort_keys=True) + "\n")
    model.double()
    adapted.unet = model.get_base_model()
    check_peft(models, adapted, lora, (1.0, 0.6, -0.5))
    return lora


# ------------------------------------------------------------------------------------------------------------------------------- cases


def lycoris_files(models: Models, golden: Goldens) -> dict[str, Lora]:
    """What trainers on the ground of LyCORIS and kohya's scripts write."""
    half, bfloat, single = torch.float16, torch.bfloat16, torch.float32
    few = unet(FEW) + FEW_TEXT
    files = {name: Lora() for name in ("kohya", "kohya-diffusers", "loha", "lokr", "dora", "ia3", "glora", "oft")}

    everything = unet(TIMES, CONVS, ["down_blocks.1.attentions.0.proj_in", "up_blocks.1.attentions.2.proj_out"], ATTENTION, FEED) + TEXT
    add_lycoris(files["kohya"], models, golden.kohya, LoConModule, everything, half, {"lora_dim": 3, "alpha": 2})
    files["kohya"].metadata = {"ss_output_name": "kohya-output"}  # one entry: the writer puts several in any order
    add_lycoris(files["kohya-diffusers"], models, golden.kohya_diffusers, LoConModule, few + unet(CONVS), bfloat,
                {"lora_dim": 2, "alpha": 3, "use_tucker": True})  # fmt: skip

    def lycoris(component: str, name: str) -> str:
        return golden.kohya_diffusers(component, name).replace("lora_unet_", "lycoris_")

    convs = [layer for layer in few if "conv" in layer[1]]
    others = [layer for layer in few if layer not in convs]
    add_lycoris(files["loha"], models, lycoris, LohaModule, convs, half, {"lora_dim": 2, "alpha": 1, "use_tucker": True})
    add_lycoris(files["loha"], models, lycoris, LohaModule, others + unet(["conv_in"]), half, {"lora_dim": 2, "alpha": 1})

    add_lycoris(files["lokr"], models, golden.kohya, LokrModule, convs, single, {"lora_dim": 2, "alpha": 1, "factor": 4, "use_tucker": True})
    add_lycoris(files["lokr"], models, golden.kohya, LokrModule, others, single, {"lora_dim": 2, "alpha": 1, "factor": 8})
    add_lycoris(files["lokr"], models, golden.kohya, LokrModule, unet(["conv_in"]), single, {"lora_dim": 100000, "alpha": 1, "factor": 4})

    for on_rows, layers in ((True, few[::2]), (False, few[1::2])):
        add_lycoris(files["dora"], models, golden.kohya_diffusers, LoConModule, layers, single,
                    {"lora_dim": 2, "alpha": 1, "weight_decompose": True, "wd_on_out": on_rows})  # fmt: skip
    add_lycoris(files["dora"], models, golden.kohya_diffusers, LokrModule, unet(["conv_in"]), single,
                {"lora_dim": 2, "alpha": 1, "factor": 4, "weight_decompose": True})  # fmt: skip

    for on_input, layers in ((True, few[::2]), (False, few[1::2])):
        add_lycoris(files["ia3"], models, golden.kohya, IA3Module, layers, single, {"train_on_input": on_input})
    add_lycoris(files["glora"], models, golden.kohya, GLoRAModule, few, half, {"lora_dim": 2, "alpha": 1})
    add_lycoris(files["oft"], models, golden.kohya, DiagOFTModule, unet(FEW[::2]) + FEW_TEXT, half, {"lora_dim": 4})
    add_lycoris(files["oft"], models, golden.kohya, ButterflyOFTModule, unet(FEW[1::2]), half, {"lora_dim": 4, "rescaled": True})
    return files


def defined_files(models: Models, golden: Goldens) -> dict[str, Lora]:
    """Files whose meaning is a sum or a product."""
    half = torch.float16
    # Diffusers before PEFT: attention processors, linear layers of the text encoders.
    old = Lora()
    for component, name in unet(ATTENTION) + text("text_encoder", 0, *WHOLE[:4]) + text("text_encoder_2", 0, *WHOLE[:4]):
        place, part = name.rsplit(".to_", 1) if component == "unet" else (name, "")
        key = f"unet.{place}.processor.to_{part.removesuffix('.0')}_lora" if component == "unet" else f"{component}.{name}.lora_linear_layer"
        add_product(old, models, (f"{key}.up.weight", f"{key}.down.weight"), [f"{component}.{name}.weight"], 2, half)

    # Differences in ComfyUI's names, kohya's for norms, and factors beside a bias.
    full = Lora()
    sgm = {name: f"diffusion_model.{new}" for name, new in golden.sgm.items()}
    for name in ("conv_in", "down_blocks.1.resnets.0.conv_shortcut", f"{BLOCK}.attn1.to_v", "conv_out"):
        add_difference(full, models, f"{sgm[name]}.diff", f"unet.{name}.weight", half)
    for name in (*CONVS[:-2], CONVS[-1], *FEED, f"{BLOCK}.attn1.to_out.0", "up_blocks.1.attentions.0.proj_in", TIMES[2]):
        add_difference(full, models, f"{sgm[name]}.diff_b", f"unet.{name}.bias", half)
    norms = ["down_blocks.0.resnets.0.norm1", "up_blocks.1.attentions.0.norm", f"{BLOCK}.norm1", f"{BLOCK}.norm3", "conv_norm_out"]
    text_norms = [("text_encoder", "text_model.encoder.layers.0.layer_norm1"), ("text_encoder_2", "text_model.final_layer_norm")]
    for component, name in unet(norms) + text_norms:
        for part, leaf in (("w_norm", "weight"), ("b_norm", "bias")):
            add_difference(full, models, f"{golden.kohya(component, name)}.{part}", f"{component}.{name}.{leaf}", half, 0.3)
    for component, name in text("text_encoder", 0, "q", "v", "fc1") + text("text_encoder_2", 1, "v", "fc2"):
        clip = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}[component]
        add_difference(full, models, f"text_encoders.{clip}.transformer.{name}.diff_b", f"{component}.{name}.bias", half)
    for name in (*FEED, f"{BLOCK}.attn1.to_out.0"):
        key = sgm[name]
        add_product(full, models, (f"{key}.lora_up.weight", f"{key}.lora_down.weight"), [f"unet.{name}.weight"], 2, half)

    # q, k and v as one layer.
    fused = Lora()
    for component, number in (("text_encoder_2", 1), ("text_encoder", 1)):
        key = f"lora_te{COMPONENTS.index(component)}_transformer_resblocks_{number}_attn_in_proj"
        parts = [f"{component}.{name}.weight" for _, name in text(component, number, "q", "k", "v")]
        add_product(fused, models, (f"{key}.lora_up.weight", f"{key}.lora_down.weight"), parts, 4, half)
    for layer, members in (("attn1.to_qkv", "qkv"), ("attn2.to_kv", "kv")):
        key = f"lora_unet_{BLOCK}.{layer}".replace(".", "_")
        parts = [f"unet.{BLOCK}.{layer.split('.')[0]}.to_{member}.weight" for member in members]
        add_product(fused, models, (f"{key}.lora_up.weight", f"{key}.lora_down.weight"), parts, 4, half)
    return {"diffusers-old": old, "differences": full, "fused": fused}


STRENGTHS = {"1": (1.0, 1.0), "0.6": (0.6, 0.6), "-0.5": (-0.5, -0.5), "apart": (0.8, -0.7)}
TEN = {
    "kohya": (0.4, 0.3), "kohya-diffusers": (-0.3, 0.2), "loha": (0.25, -0.2), "lokr": (0.3, 0.5), "dora": (0.35, 0.15), "glora": (-0.2, 0.1),
    "differences": (0.4, -0.3), "diffusers": (0.2, 0.6), "diffusers-dora": (0.5, 0.4), "ia3": (-0.6, 0.7),
}  # fmt: skip


def main() -> None:
    """Writes everything."""
    torch.manual_seed(8)
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "tiny-a"
        synthesize("tiny-a", folder, "diffusers")
        single, models = load_diffusers_folder(folder), load_diffusers_folder(folder).to(torch.float64)
    golden = Goldens(models)
    loras = lycoris_files(models, golden) | defined_files(models, golden)
    for name, lora in loras.items():
        file = {key: value.contiguous() for key, value in lora.file.items()}
        save_file(file, FOLDER / f"{name}.safetensors", metadata=lora.metadata or None)
    everything = list(dict.fromkeys(unet(FEW, ATTENTION, FEED, CONVS) + TEXT))
    loras["diffusers"] = diffusers_file(models, everything, False, FOLDER / "diffusers.safetensors")
    loras["diffusers-dora"] = diffusers_file(models, unet(FEW) + FEW_TEXT, True, FOLDER / "diffusers-dora.safetensors")
    loras["peft"] = peft_folder(models, FOLDER / "peft")
    paths = {name: "peft/adapter_model.safetensors" if name == "peft" else f"{name}.safetensors" for name in loras}

    uses = {"none": []} | {f"{name}, {label}": [(name, *pair)] for name in loras for label, pair in STRENGTHS.items()}
    uses["ten at once"] = [(name, *pair) for name, pair in TEN.items()]
    for name, lora in loras.items():
        check_visible(models, name, lora)
    plain = outputs(models)
    tensors, cases = {}, {}
    for title, used in uses.items():
        chosen = [(loras[name], own, of_text) for name, own, of_text in used]
        with under(models, chosen):
            exact = outputs(models)
        with under(single, chosen):
            rounded = outputs(single)
        cases[title] = {
            "loras": [{"path": paths[name], "unet": own, "textEncoder": of_text} for name, own, of_text in used],
            "float32_difference": float(f"{max(difference(rounded[what], exact[what]) for what in exact):.1e}"),
            "change": {what: float(f"{difference(exact[what], plain[what]):.1e}") for what in exact},
        }
        for what, value in exact.items():
            tensors[f"{title}.{what}"] = value.float().flatten()[:: SAMPLED[what]].clone()
        print(f"{title}: {cases[title]['float32_difference']:.1e}, changes {cases[title]['change']}", flush=True)
    save_file(tensors, FOLDER / "predictions.safetensors")
    text_of = json.dumps({"prompt": PROMPT, "sampled": SAMPLED, "cases": cases}, indent=2)
    (FOLDER / "predictions.json").write_text(text_of + "\n")
    for path in FOLDER.rglob("*"):
        if path.is_file():
            path.chmod(0o644)  # the writer makes files only their owner can read
    print(f"{sum(path.stat().st_size for path in FOLDER.rglob('*') if path.is_file()) / 1e6:.2f} MB")


if __name__ == "__main__":
    sys.exit(main())
