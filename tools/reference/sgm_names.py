"""Diffusers/transformers state dicts <-> the names and layouts of an original (SGM, open_clip) single file.

Written independently of tools/checkpoint/single-file-names.mjs, so that each checks the other. tools/tiny exports with it.
"""

import re

import torch

State = dict[str, torch.Tensor]

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
CLIP_L_PREFIX = "conditioner.embedders.0.transformer."

_UNET_OUTSIDE_BLOCKS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP_LAYER = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_OPEN_CLIP_OUTSIDE_LAYERS = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
}


def unet_names(state: State, layers_per_block: int) -> dict[str, str]:
    """Maps every Diffusers UNet name to its SGM name (without the prefix of the single file)."""
    stride = layers_per_block + 1
    attends = {match[1] for name in state if (match := re.match(r"(up_blocks\.\d+)\.attentions", name))}

    def module_name(module: str) -> str:
        if module in _UNET_OUTSIDE_BLOCKS:
            return _UNET_OUTSIDE_BLOCKS[module]
        block, kind, index, rest = re.fullmatch(r"(.+?)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", module).groups()
        inner = _UNET_RESNET[rest] if kind == "resnets" else rest
        if block == "mid_block":
            return f"middle_block.{1 if kind == 'attentions' else 2 * int(index)}.{inner}"
        level = int(block.rsplit(".", 1)[1])
        if kind == "downsamplers":
            return f"input_blocks.{stride * (level + 1)}.0.op"
        if kind == "upsamplers":
            return f"output_blocks.{stride * (level + 1) - 1}.{2 if block in attends else 1}.conv"
        place = 1 if kind == "attentions" else 0
        if block.startswith("down"):
            return f"input_blocks.{stride * level + 1 + int(index)}.{place}.{inner}"
        return f"output_blocks.{stride * level + int(index)}.{place}.{inner}"

    return {name: f"{module_name(name.rsplit('.', 1)[0])}.{name.rsplit('.', 1)[1]}" for name in state}


def vae_names(state: State) -> dict[str, str]:
    """Maps every Diffusers VAE name to its SGM name (without the prefix of the single file)."""
    levels = 1 + max(int(match[1]) for name in state if (match := re.match(r"decoder\.up_blocks\.(\d+)", name)))

    def whole_name(name: str) -> str:
        if match := re.match(r"(encoder|decoder)\.(down|up)_blocks\.(\d+)\.(?:resnets\.(\d+)|(?:down|up)samplers\.0)\.(.+)", name):
            half, way, level, resnet, rest = match.groups()
            number = int(level) if way == "down" else levels - 1 - int(level)
            place = f"{way}sample" if resnet is None else f"block.{resnet}"
            return f"{half}.{way}.{number}.{place}.{rest.replace('conv_shortcut', 'nin_shortcut')}"
        if match := re.match(r"(encoder|decoder)\.mid_block\.resnets\.(\d+)\.(.+)", name):
            return f"{match[1]}.mid.block_{int(match[2]) + 1}.{match[3]}"
        if match := re.match(r"(encoder|decoder)\.mid_block\.attentions\.0\.(.+)\.(weight|bias)", name):
            return f"{match[1]}.mid.attn_1.{_VAE_ATTENTION[match[2]]}.{match[3]}"
        return name.replace("conv_norm_out", "norm_out")

    return {name: whole_name(name) for name in state}


def unet_to_sgm(state: State, layers_per_block: int) -> State:
    """The UNet's part of a single file."""
    return {UNET_PREFIX + new: state[old] for old, new in unet_names(state, layers_per_block).items()}


def unet_from_sgm(file: State, template: State, layers_per_block: int) -> State:
    """The Diffusers state of a UNet with the names of `template`."""
    return {old: file[UNET_PREFIX + new] for old, new in unet_names(template, layers_per_block).items()}


def vae_to_sgm(state: State) -> State:
    """The VAE's part of a single file, its attention as 1 x 1 convolutions [c, c, 1, 1]."""
    attention = re.compile(r"mid_block\.attentions\.0\.to_.*weight$")
    values = {old: value[:, :, None, None] if attention.search(old) else value for old, value in state.items()}
    return {VAE_PREFIX + new: values[old] for old, new in vae_names(state).items()}


def vae_from_sgm(file: State, template: State) -> State:
    """The Diffusers state of a VAE with the names and shapes of `template`."""
    return {old: file[VAE_PREFIX + new].reshape(template[old].shape) for old, new in vae_names(template).items()}


def clip_l_to_sgm(state: State) -> State:
    """CLIP-L's part of a single file."""
    return {CLIP_L_PREFIX + name: value for name, value in state.items()}


def clip_l_from_sgm(file: State, template: State) -> State:
    """The transformers state of CLIP-L with the names of `template`."""
    return {name: file[CLIP_L_PREFIX + name] for name in template}


def open_clip_to_sgm(state: State, embedder: int = 1) -> State:
    """OpenCLIP-G's part of a single file: query, key and value fused, the projection as [in, out]. The refiner's embedder is number 0."""
    prefix = f"conditioner.embedders.{embedder}.model."
    file = {prefix + new: state[old] for old, new in _OPEN_CLIP_OUTSIDE_LAYERS.items()}
    file[prefix + "text_projection"] = state["text_projection.weight"].t().contiguous()
    file[prefix + "logit_scale"] = torch.tensor(4.6052)  # ln 100, where CLIP clamps it; inference never reads it
    for name, value in state.items():
        layer = re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
        if layer is None:
            continue
        number, module, leaf = layer.groups()
        block = f"{prefix}transformer.resblocks.{number}."
        if module in _OPEN_CLIP_LAYER:
            file[f"{block}{_OPEN_CLIP_LAYER[module]}.{leaf}"] = value
        elif module == "self_attn.q_proj":
            file[f"{block}attn.in_proj_{leaf}"] = torch.cat([state[name.replace("q_proj", f"{part}_proj")] for part in "qkv"])
    return file


def open_clip_from_sgm(file: State, template: State, embedder: int = 1) -> State:
    """The transformers state of OpenCLIP-G with the names of `template`."""
    prefix = f"conditioner.embedders.{embedder}.model."
    state = {old: file[prefix + new] for old, new in _OPEN_CLIP_OUTSIDE_LAYERS.items()}
    state["text_projection.weight"] = file[prefix + "text_projection"].t().contiguous()
    for name in template:
        layer = re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
        if layer is None:
            continue
        number, module, leaf = layer.groups()
        block = f"{prefix}transformer.resblocks.{number}."
        if module in _OPEN_CLIP_LAYER:
            state[name] = file[f"{block}{_OPEN_CLIP_LAYER[module]}.{leaf}"]
        else:
            part = "qkv".index(module.removeprefix("self_attn.")[0])
            state[name] = file[f"{block}attn.in_proj_{leaf}"].chunk(3)[part]
    return state
