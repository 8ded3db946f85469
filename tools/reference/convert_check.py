"""Converts synthetic checkpoints with this library and loads the results with Diffusers, in both layouts.

Needs the built package (npm run build) and writes nothing but a temporary folder. No test runs it.

    .venv/bin/python tools/reference/convert_check.py            # all specs
    .venv/bin/python tools/reference/convert_check.py tiny-a     # one of them
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import open_clip.tokenizer
import torch
from diffusers import DiffusionPipeline, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file
from transformers import CLIPTokenizer, CLIPTokenizerFast

ROOT = Path(__file__).resolve().parents[2]
SPECS = ["tiny-a", "tiny-b", "tiny-v", "tiny-inpaint", "tiny-pruned", "tiny-refiner"]
PARTS = ["unet", "text_encoder", "text_encoder_2", "vae"]
PIPELINES = {
    "StableDiffusionXLPipeline": StableDiffusionXLPipeline,
    "StableDiffusionXLImg2ImgPipeline": StableDiffusionXLImg2ImgPipeline,
    "StableDiffusionXLInpaintPipeline": StableDiffusionXLInpaintPipeline,
}
# Nothing here that Diffusers' tokenizers clean differently: transformers has no ftfy repairs, and takes "!" for padding in the second.
TEXTS = ["a photo of a lighthouse", "it's 1234567 (birds), don't", "Ünïcode ☂ 日本語 zoë", "x" * 60]


def convert(source: Path, target: Path, dtype: str | None = None) -> dict:
    options = {"dtype": dtype} if dtype else {}
    program = (
        "import('./dist/esm/lib/index.js').then(m => m.convertModel(...JSON.parse(process.argv[1]))).then(r => console.log(JSON.stringify(r)))"
    )
    arguments = json.dumps([str(source), str(target), options])
    return json.loads(subprocess.run(["node", "-e", program, arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def synthesize(spec: str, target: Path, *options: str) -> Path:
    subprocess.run(["node", "tools/synthesize-checkpoint.mjs", spec, str(target), "--dtype", "f32", *options], cwd=ROOT, check=True)
    return target


def file_state(folder: Path) -> dict[str, torch.Tensor]:
    """The state dicts of all parts, as part/name."""
    return {f"{part}/{name}": tensor for part in PARTS for path in (folder / part).glob("*.safetensors") for name, tensor in load_file(path).items()}


def found_state(pipeline: DiffusionPipeline) -> dict[str, torch.Tensor]:
    parts = {part: getattr(pipeline, part) for part in PARTS}
    state = {f"{part}/{name}": tensor for part, module in parts.items() if module is not None for name, tensor in module.state_dict().items()}
    return {name: tensor for name, tensor in state.items() if not name.endswith("position_ids")}


def compare(what: str, found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys(), f"{what}: {sorted(found.keys() ^ wanted.keys())[:5]}"
    differing = [name for name in wanted if found[name].dtype != wanted[name].dtype or not torch.equal(found[name], wanted[name])]
    assert not differing, f"{what}: {len(differing)} tensors differ, such as {differing[:5]}"
    print(f"{what}: {len(wanted)} tensors are the same")


def check_tokenizers(folder: Path, pipeline: DiffusionPipeline) -> None:
    reference = open_clip.tokenizer.SimpleTokenizer()
    for name, padding in (("tokenizer", 49407), ("tokenizer_2", 0)):
        if not (folder / name).exists():
            assert getattr(pipeline, name) is None
            continue
        for kind in (CLIPTokenizer, CLIPTokenizerFast):
            tokenizer = kind.from_pretrained(folder / name)
            assert len(tokenizer) == 49408 and tokenizer.model_max_length == 77 and tokenizer.pad_token_id == padding
            for text in TEXTS:
                ids = tokenizer(text, padding="max_length", truncation=True, max_length=77).input_ids
                wanted = [49406, *reference.encode(text), 49407]
                assert ids == wanted + [padding] * (77 - len(wanted)), (name, kind.__name__, text)
    print("tokenizers: slow and fast agree with open_clip")


def check_scheduler(folder: Path, pipeline: DiffusionPipeline, spec: str) -> None:
    config = pipeline.scheduler.config
    assert config.prediction_type == ("v_prediction" if spec == "tiny-v" else "epsilon")
    pipeline.scheduler.set_timesteps(30)
    assert torch.isfinite(pipeline.scheduler.sigmas).all()


def check(spec: str, work: Path) -> None:
    single = synthesize(spec, work / f"{spec}.safetensors")
    diffusers = synthesize(spec, work / f"{spec}-diffusers", "--layout", "diffusers")
    wanted = file_state(diffusers)

    folder = work / f"{spec}-converted"
    print(f"--- {spec}", convert(single, folder))
    kind = PIPELINES[json.loads((folder / "model_index.json").read_text())["_class_name"]]
    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    assert type(pipeline) is kind
    compare("from_pretrained", found_state(pipeline), wanted)
    check_tokenizers(folder, pipeline)
    check_scheduler(folder, pipeline, spec)

    file = work / f"{spec}-converted.safetensors"
    convert(diffusers, file)
    pipeline = kind.from_single_file(str(file), config=str(folder), local_files_only=True)
    compare("from_single_file", found_state(pipeline), wanted)

    for dtype in (torch.float16, torch.bfloat16):
        name = {torch.float16: "fp16", torch.bfloat16: "bf16"}[dtype]
        rounded = work / f"{spec}-{name}"
        convert(single, rounded, name)
        pipeline = DiffusionPipeline.from_pretrained(rounded, local_files_only=True, torch_dtype=dtype)
        compare(f"from_pretrained, {name}", found_state(pipeline), {key: tensor.to(dtype) for key, tensor in wanted.items()})
        # What the files hold, before anybody casts it.
        compare(f"{name}, rounded by torch", file_state(rounded), {key: tensor.to(dtype) for key, tensor in wanted.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="*", default=SPECS)
    for spec in parser.parse_args().specs:
        with tempfile.TemporaryDirectory() as work:
            check(spec, Path(work))


if __name__ == "__main__":
    main()
