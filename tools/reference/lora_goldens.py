"""Golden values of LoRA files: every family and naming, merged into weights of the synthetic checkpoint tiny-a.

Writes test/golden/lora/base.safetensors (the untouched weights, "<component>.<parameter>"), and for each case <case>.safetensors, a LoRA
as people find them, and <case>.merged.safetensors: the weights with it at strength 1 under the names of base.safetensors; "…@0.6" and
"…@-0.5" where LyCORIS defines other strengths as the library does. PEFT and LyCORIS compute them; where neither knows a form, a formula
of its paper stands here. PEFT's folder has the name of its case.

Deltas are large, about the size of the weights, so that an error in one shows.

    python tools/reference/lora_goldens.py
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline
from lycoris import create_lycoris
from lycoris.modules.boft import ButterflyOFTModule
from lycoris.modules.diag_oft import DiagOFTModule
from lycoris.modules.glora import GLoRAModule
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn

from common import ROOT, Models, load_diffusers_folder
from model_goldens import synthesize
from sgm_names import unet_names

FOLDER = ROOT / "test" / "golden" / "lora"

TIME = "down_blocks.0.resnets.0.time_emb_proj"  # 128 -> 32
KEYS = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"  # 192 -> 64
SHORTCUT = "down_blocks.1.resnets.0.conv_shortcut"  # 1 x 1, 32 -> 64
CONV_IN, CONV_OUT = "conv_in", "conv_out"  # 3 x 3, 4 -> 32 and 32 -> 4
NORM = "down_blocks.0.resnets.0.norm1"
TEXT_Q = "text_model.encoder.layers.0.self_attn.q_proj"
TEXT_QKV = [TEXT_Q.replace("q_proj", f"{part}_proj") for part in "qkv"]
PROJECTION = "text_projection"  # 128 -> 96

State = dict[str, torch.Tensor]


@dataclass
class Case:
    """A LoRA file and what it makes of the weights."""

    lora: State = field(default_factory=dict)
    merged: State = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


class Goldens:
    """The models, and the cases made from them."""

    def __init__(self, models: Models) -> None:
        self.components = {"unet": models.unet, "text_encoder": models.text_encoder, "text_encoder_2": models.text_encoder_2}
        self.base: State = {}
        self.sgm = {}
        names = [name for name, _ in models.unet.named_parameters()]
        for old, new in unet_names(dict.fromkeys(names), models.unet.config.layers_per_block).items():
            self.sgm[old.rsplit(".", 1)[0]] = new.rsplit(".", 1)[0]

    def layer(self, component: str, name: str) -> nn.Module:
        """A layer of the model; its parameters go into base.safetensors."""
        layer = self.components[component].get_submodule(name)
        for leaf, value in layer.named_parameters():
            self.base[f"{component}.{name}.{leaf}"] = value.detach().clone()
        return layer

    def kohya(self, component: str, name: str) -> str:
        """kohya's name in SGM's numbering."""
        if component == "unet":
            return "lora_unet_" + self.sgm[name].replace(".", "_")
        return {"text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}[component] + name.replace(".", "_")

    def kohya_diffusers(self, component: str, name: str) -> str:
        """kohya's name in Diffusers' numbering."""
        return "lora_unet_" + name.replace(".", "_") if component == "unet" else self.kohya(component, name)


def randomise(module: nn.Module, deviation: float, half: bool = False) -> nn.Module:
    """Fills all parameters of an adapter, with values that F16 holds if it is saved so."""
    for name, parameter in module.named_parameters():
        values = torch.randn(parameter.shape) * deviation
        if name.endswith("dora_scale") or name.endswith("rescale"):
            values = 1 + values.abs()
        parameter.data = values.half().float() if half else values
    return module


def from_lycoris(golden: Goldens, case: Case, kind: type, key: str, component: str, name: str, *, half: bool = False, strengths: tuple = (),
                 options: dict | None = None) -> None:  # fmt: skip
    """Adds a LyCORIS adapter of one layer to the case."""
    layer = golden.layer(component, name)
    module = randomise(kind("", layer, 1.0, **(options or {})), 0.6 if kind is LohaModule else 0.3, half).eval()
    base = layer.weight.detach()
    for part, value in module.state_dict().items():
        case.lora[f"{key}.{part}"] = value.detach().half() if half and part != "alpha" else value.detach().clone()

    def merged(strength: float) -> torch.Tensor:
        # The shortcut get_merged_weight() of these two multiplies with the scale twice; their forward pass, which is trained, does not.
        if kind in (LohaModule, LokrModule):
            weight = base + module.get_weight(base.shape) * (1 if module.wd else strength)
            return module.apply_weight_decompose(weight, strength) if module.wd else weight
        return module.get_merged_weight(strength)[0]

    case.merged[f"{component}.{name}.weight"] = merged(1.0)
    for strength in strengths:
        case.merged[f"{component}.{name}.weight@{strength}"] = merged(strength)


# ----------------------------------------------------------------------------------------------------------------------- cases of LyCORIS


def kohya_lora(golden: Goldens) -> Case:
    """kohya's LoRA in F16: matrices, 1 x 1 and 3 x 3 convolutions, both text encoders, and keys that belong to nothing."""
    case = Case(metadata={"ss_output_name": "kohya"})  # one entry: several are written in any order
    targets = [("unet", TIME), ("unet", KEYS), ("unet", SHORTCUT), ("unet", CONV_IN), ("text_encoder", TEXT_Q), ("text_encoder_2", PROJECTION)]
    for i, (component, name) in enumerate(targets):
        strengths = (0.6, -0.5) if name in (TIME, CONV_IN) else ()
        from_lycoris(golden, case, LoConModule, golden.kohya(component, name), component, name, half=True, strengths=strengths,
                     options={"lora_dim": 3 + i, "alpha": 2 + 0.5 * i})  # fmt: skip
    case.lora["bundle_emb.word.clip_l"] = torch.zeros(2, 64)
    case.lora["lora_unet_out_0.alpha"] = torch.tensor(1.0)
    return case


def locon_mid(golden: Goldens) -> Case:
    """LoCon with Tucker's core, under kohya's names in Diffusers' numbering; a 1 x 1 convolution given as a matrix, and the reverse."""
    case = Case()
    for name in (CONV_IN, CONV_OUT, TIME, SHORTCUT):
        from_lycoris(golden, case, LoConModule, golden.kohya_diffusers("unet", name), "unet", name, strengths=(0.6, -0.5) if name == CONV_OUT else (),
                     options={"lora_dim": 4, "alpha": 6, "use_tucker": True})  # fmt: skip
    for part in ("lora_up.weight", "lora_down.weight"):
        time, shortcut = golden.kohya_diffusers("unet", TIME), golden.kohya_diffusers("unet", SHORTCUT)
        case.lora[f"{time}.{part}"] = case.lora[f"{time}.{part}"][:, :, None, None].contiguous()
        case.lora[f"{shortcut}.{part}"] = case.lora[f"{shortcut}.{part}"].flatten(1).contiguous()
    del case.lora[f"{golden.kohya_diffusers('unet', CONV_OUT)}.alpha"]  # the scale is 1 then
    layer, prefix = golden.layer("unet", CONV_OUT), golden.kohya_diffusers("unet", CONV_OUT)
    up, down, mid = [case.lora[f"{prefix}.lora_{part}.weight"] for part in ("up", "down", "mid")]
    delta = torch.einsum("omxy,mnkl,nixy->oikl", up, mid, down)
    for strength in (1, 0.6, -0.5):
        case.merged[f"unet.{CONV_OUT}.weight" + ("" if strength == 1 else f"@{strength}")] = layer.weight.detach() + strength * delta
    return case


def loha(golden: Goldens) -> Case:
    """LoHa with and without Tucker, in the file that LyCORIS' own wrapper writes."""
    case = Case()
    names = [TIME, SHORTCUT, CONV_OUT]
    with tempfile.TemporaryDirectory() as temporary:
        preset = Path(temporary) / "preset.toml"
        preset.write_text(f"enable_conv = true\ntarget_module = []\ntarget_name = {json.dumps(names)}\n")
        network = create_lycoris(golden.components["unet"], 1.0, linear_dim=3, linear_alpha=2, algo="loha", preset=str(preset), use_tucker=True)
    network.apply_to()
    randomise(network, 0.6)
    case.lora = {key: value.detach().clone() for key, value in network.state_dict().items()}
    network.restore()
    modules = {module.lora_name: module for module in network.loras}
    for name in names:
        layer = golden.layer("unet", name)
        delta = modules["lycoris_" + name.replace(".", "_")].get_weight(layer.weight.shape)
        case.merged[f"unet.{name}.weight"] = layer.weight.detach() + delta.detach()
    options = {"lora_dim": 4, "alpha": 3}
    from_lycoris(golden, case, LohaModule, "lycoris_conv_in", "unet", CONV_IN, options=options)
    from_lycoris(golden, case, LohaModule, golden.kohya("text_encoder", TEXT_Q), "text_encoder", TEXT_Q, half=True, strengths=(0.6, -0.5),
                 options=options)  # fmt: skip
    return case


def lokr(golden: Goldens) -> Case:
    """LoKr: one side factored, both, none (then alpha means nothing), convolutions with and without Tucker."""
    case = Case()
    options = {
        ("unet", TIME): {"lora_dim": 3, "alpha": 2, "factor": 4},
        ("unet", SHORTCUT): {"lora_dim": 10000, "alpha": 1, "factor": 4},
        ("unet", CONV_IN): {"lora_dim": 2, "alpha": 3, "factor": 2},
        ("unet", CONV_OUT): {"lora_dim": 2, "alpha": 5, "factor": 2, "use_tucker": True},
        ("text_encoder", TEXT_Q): {"lora_dim": 2, "alpha": 1, "factor": 8, "decompose_both": True},
    }
    for (component, name), chosen in options.items():
        from_lycoris(golden, case, LokrModule, golden.kohya(component, name), component, name, strengths=(0.6, -0.5) if name == TIME else (),
                     options=chosen)  # fmt: skip
    parts = {key.rsplit(".", 1)[1] for key in case.lora}
    assert parts == {"alpha", "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"}, parts
    return case


def dora(golden: Goldens) -> Case:
    """DoRA on the lengths of rows and of inputs, also on top of LoHa and LoKr."""
    case = Case()
    for name, on_rows in ((TIME, True), (CONV_IN, True), (SHORTCUT, False), (CONV_OUT, False)):
        from_lycoris(golden, case, LoConModule, golden.kohya("unet", name), "unet", name,
                     options={"lora_dim": 4, "alpha": 2, "weight_decompose": True, "wd_on_out": on_rows})  # fmt: skip
    from_lycoris(golden, case, LohaModule, golden.kohya("unet", KEYS), "unet", KEYS,
                 options={"lora_dim": 4, "alpha": 2, "weight_decompose": True, "wd_on_out": False})  # fmt: skip
    from_lycoris(golden, case, LokrModule, golden.kohya("text_encoder", TEXT_Q), "text_encoder", TEXT_Q,
                 options={"lora_dim": 2, "alpha": 1, "factor": 8, "weight_decompose": True})  # fmt: skip
    return case


def ia3(golden: Goldens) -> Case:
    """(IA)³ along inputs and outputs."""
    case = Case()
    for name, on_input in ((TIME, True), (CONV_IN, True), (SHORTCUT, False), (CONV_OUT, False)):
        from_lycoris(golden, case, IA3Module, golden.kohya("unet", name), "unet", name, strengths=(0.6, -0.5) if name == SHORTCUT else (),
                     options={"train_on_input": on_input})  # fmt: skip
    return case


def glora(golden: Goldens) -> Case:
    """GLoRA; the last two layers with the factors' older names, one of them square."""
    case = Case()
    for component, name in (("unet", TIME), ("unet", CONV_IN), ("unet", CONV_OUT), ("text_encoder", TEXT_Q)):
        from_lycoris(golden, case, GLoRAModule, golden.kohya(component, name), component, name, strengths=(0.6, -0.5) if name == TIME else (),
                     options={"lora_dim": 3, "alpha": 2})  # fmt: skip
    for prefix in (golden.kohya("unet", CONV_OUT), golden.kohya("text_encoder", TEXT_Q)):
        for pair in ("a", "b"):
            one, two = f"{prefix}.{pair}1.weight", f"{prefix}.{pair}2.weight"
            case.lora[one], case.lora[two] = case.lora[two], case.lora[one]
    return case


def oft(golden: Goldens) -> Case:
    """OFT and BOFT, free and with a limit that is reached, with and without rescaling."""
    case = Case()
    from_lycoris(golden, case, DiagOFTModule, golden.kohya("unet", TIME), "unet", TIME, options={"lora_dim": 4})
    from_lycoris(golden, case, DiagOFTModule, golden.kohya("unet", CONV_IN), "unet", CONV_IN,
                 options={"lora_dim": 8, "constraint": 0.02, "rescaled": True})  # fmt: skip
    from_lycoris(golden, case, ButterflyOFTModule, golden.kohya("unet", SHORTCUT), "unet", SHORTCUT, options={"lora_dim": 8})
    from_lycoris(golden, case, ButterflyOFTModule, golden.kohya("unet", KEYS), "unet", KEYS,
                 options={"lora_dim": 4, "constraint": 0.03, "rescaled": True})  # fmt: skip
    return case


# -------------------------------------------------------------------------------------------------------------- cases of PEFT and Diffusers


def peft_merged(golden: Goldens, case: Case, component: str, model: nn.Module) -> None:
    """Merges all adapters of the model and notes the weights."""
    for name, module in list(model.named_modules()):
        if not hasattr(module, "base_layer") or not hasattr(module, "merge"):
            continue
        path = name.removeprefix("base_model.model.")
        base = {leaf: value.detach().clone() for leaf, value in module.base_layer.named_parameters()}
        for leaf, value in base.items():
            golden.base[f"{component}.{path}.{leaf}"] = value
        module.merge()
        for leaf, value in module.base_layer.named_parameters():
            if not torch.equal(value, base[leaf]):
                case.merged[f"{component}.{path}.{leaf}"] = value.detach().clone()


def peft_folder(golden: Goldens, fresh: Callable[[], Models]) -> Case:
    """PEFT's own folder: "base_model.model.…", the scale in adapter_config.json, rsLoRA, and alpha and rank of their own for one layer."""
    case = Case()
    config = LoraConfig(r=4, lora_alpha=6, use_rslora=True, target_modules=[TIME, SHORTCUT, CONV_IN], lora_bias=True,
                        rank_pattern={"conv_shortcut": 3}, alpha_pattern={"conv_shortcut": 5})  # fmt: skip
    model = get_peft_model(fresh().unet, config)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape) * 0.3
    folder = FOLDER / "peft"
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    written = json.loads((folder / "adapter_config.json").read_text())
    kept = ("peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules")
    written["target_modules"].sort()  # PEFT keeps them as a set
    (folder / "adapter_config.json").write_text(json.dumps({name: written[name] for name in kept}, indent=2, sort_keys=True) + "\n")
    peft_merged(golden, case, "unet", model)
    return case


def diffusers_file(golden: Goldens, fresh: Callable[[], Models]) -> Case:
    """What Diffusers' pipeline saves: PEFT's names with components before them, DoRA with PEFT's magnitudes, alpha in the metadata."""
    case = Case()
    models = fresh()
    chosen = {
        "unet": (models.unet, LoraConfig(r=4, lora_alpha=2, use_dora=True, target_modules=[TIME, CONV_IN, SHORTCUT])),
        "text_encoder": (models.text_encoder, LoraConfig(r=2, lora_alpha=5, target_modules=[TEXT_Q])),
        "text_encoder_2": (models.text_encoder_2, LoraConfig(r=3, lora_alpha=3, target_modules=[PROJECTION])),
    }
    layers, metadata = {}, {}
    for component, (model, config) in chosen.items():
        model.add_adapter(config)
        for name, parameter in model.named_parameters():
            if "lora_magnitude" in name:
                parameter.data = parameter.data * (0.5 + torch.rand(parameter.shape))
            elif "lora_" in name:
                parameter.data = torch.randn(parameter.shape) * 0.3
        layers[component] = get_peft_model_state_dict(model)
        metadata[f"{component}_lora_adapter_metadata"] = {"r": config.r, "lora_alpha": config.lora_alpha, "use_rslora": False, "alpha_pattern": {}}
    with tempfile.TemporaryDirectory() as temporary:
        StableDiffusionXLPipeline.save_lora_weights(
            temporary, layers["unet"], layers["text_encoder"], layers["text_encoder_2"],
            **metadata,
        )  # fmt: skip
        shutil.copy(next(Path(temporary).glob("*.safetensors")), FOLDER / "diffusers.safetensors")
    for component, (model, _) in chosen.items():
        peft_merged(golden, case, component, model)
    return case


def diffusers_old(golden: Goldens) -> Case:
    """Names of Diffusers before PEFT: attention processors, and the text encoders' linear layers. up · down, by definition."""
    case = Case()
    keys = {
        ("unet", KEYS): "unet." + KEYS.replace("attn2.to_k", "attn2.processor.to_k_lora"),
        ("unet", TIME): f"unet.{TIME}.lora",
        ("text_encoder", TEXT_Q): f"text_encoder.{TEXT_Q}.lora_linear_layer",
    }
    for (component, name), key in keys.items():
        layer = golden.layer(component, name)
        out, inside = layer.weight.shape
        up, down = torch.randn(out, 4) * 0.3, torch.randn(4, inside) * 0.3
        case.lora |= {f"{key}.up.weight": up, f"{key}.down.weight": down}
        case.merged[f"{component}.{name}.weight"] = layer.weight.detach() + up @ down
    return case


# ------------------------------------------------------------------------------------------------------------------------ cases by formula


def differences(golden: Goldens) -> Case:
    """Full differences of weights, biases and norms in ComfyUI's export names; a low-rank layer and a bias of one layer together."""
    case = Case()

    def shift(key: str, component: str, parameter: str) -> None:
        name, _ = parameter.rsplit(".", 1)
        golden.layer(component, name)
        base = golden.base[f"{component}.{parameter}"]
        case.lora[key] = torch.randn(base.shape) * 0.3
        case.merged[f"{component}.{parameter}"] = base + case.lora[key]

    for name in (CONV_OUT, SHORTCUT):
        shift(f"diffusion_model.{golden.sgm[name]}.diff", "unet", f"{name}.weight")
        shift(f"diffusion_model.{golden.sgm[name]}.diff_b", "unet", f"{name}.bias")
    shift(f"lora_unet_{golden.sgm[NORM].replace('.', '_')}.w_norm", "unet", f"{NORM}.weight")
    shift(f"lora_unet_{golden.sgm[NORM].replace('.', '_')}.b_norm", "unet", f"{NORM}.bias")
    shift(f"text_encoders.clip_l.transformer.{TEXT_Q}.diff_b", "text_encoder", f"{TEXT_Q}.bias")
    shift(f"diffusion_model.{golden.sgm[TIME]}.diff_b", "unet", f"{TIME}.bias")
    up, down = torch.randn(32, 4) * 0.3, torch.randn(4, 128) * 0.3
    case.lora |= {f"diffusion_model.{golden.sgm[TIME]}.lora_up.weight": up, f"diffusion_model.{golden.sgm[TIME]}.lora_down.weight": down}
    case.merged[f"unet.{TIME}.weight"] = golden.base[f"unet.{TIME}.weight"] + up @ down
    return case


def stacked(golden: Goldens, kind: type, options: dict) -> Case:
    """q, k and v of a text encoder as one layer, under OpenCLIP's name: 192 rows, which the model has as three times 64."""
    case = Case()
    layers = [golden.layer("text_encoder", name) for name in TEXT_QKV]
    whole = nn.Linear(64, 192)
    whole.weight.data = torch.cat([layer.weight.detach() for layer in layers])
    module = randomise(kind("", whole, 1.0, **options), 0.3).eval()
    key = "lora_te1_transformer_resblocks_0_attn_in_proj"
    case.lora = {f"{key}.{part}": value.detach().clone() for part, value in module.state_dict().items()}
    case.lora[f"{key}.diff_b"] = torch.randn(192)
    weight = whole.weight.detach()
    if kind in (LohaModule, LokrModule):
        weight = weight + module.get_weight(weight.shape).detach()
    else:
        weight = module.get_merged_weight(1.0)[0].detach()
    for i, name in enumerate(TEXT_QKV):
        rows = slice(64 * i, 64 * (i + 1))
        case.merged[f"text_encoder.{name}.weight"] = weight[rows]
        case.merged[f"text_encoder.{name}.bias"] = golden.base[f"text_encoder.{name}.bias"] + case.lora[f"{key}.diff_b"][rows]
    return case


def main() -> None:
    """Writes all cases."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "tiny-a"
        synthesize("tiny-a", folder, "diffusers")
        golden = Goldens(load_diffusers_folder(folder))
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        own_file = {
            "peft": peft_folder(golden, lambda: load_diffusers_folder(folder)),
            "diffusers": diffusers_file(golden, lambda: load_diffusers_folder(folder)),
        }
    cases = {
        "kohya": kohya_lora(golden),
        "locon-mid": locon_mid(golden),
        "loha": loha(golden),
        "lokr": lokr(golden),
        "dora": dora(golden),
        "ia3": ia3(golden),
        "glora": glora(golden),
        "oft": oft(golden),
        "diffusers-old": diffusers_old(golden),
        "differences": differences(golden),
        "stacked-lora": stacked(golden, LoConModule, {"lora_dim": 4, "alpha": 3}),
        "stacked-lokr": stacked(golden, LokrModule, {"lora_dim": 2, "alpha": 1, "factor": 8}),
        "stacked-dora": stacked(golden, LoConModule, {"lora_dim": 4, "alpha": 3, "weight_decompose": True}),
    }
    for name, case in cases.items():
        save_file({key: value.contiguous() for key, value in case.lora.items()}, FOLDER / f"{name}.safetensors", metadata=case.metadata or None)
    for name, case in (cases | own_file).items():
        save_file({key: value.detach().contiguous() for key, value in case.merged.items()}, FOLDER / f"{name}.merged.safetensors")
        for key, value in case.merged.items():
            change = (value - golden.base[key.split("@")[0]]).abs().max()
            assert change > 0.01, f"{name} changes {key} by {change}, next to nothing"
        print(f"{name}: {len(case.lora) or 'own'} keys, {len(case.merged)} weights")
    save_file(golden.base, FOLDER / "base.safetensors")
    print(f"{sum(path.stat().st_size for path in FOLDER.rglob('*') if path.is_file()) / 1e6:.2f} MB")


if __name__ == "__main__":
    sys.exit(main())
