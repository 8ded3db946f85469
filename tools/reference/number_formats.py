"""Writes test/golden/number-formats.json: SHA-256 of many values after torch has rounded them from one number format to another.

The values are made of codes, so that a test can make the same ones: see `codes`. Codes that are no numbers, or become infinite in the other
format, are replaced by 0.
"""

import hashlib
import json
from pathlib import Path

import torch

TARGET = Path(__file__).resolve().parents[2] / "test" / "golden" / "number-formats.json"
COUNT = 4200 * 64  # of each list, zeros at its end
FORMATS = {
    "F32": (torch.float32, torch.int32),
    "F16": (torch.float16, torch.int16),
    "BF16": (torch.bfloat16, torch.int16),
    "F8_E4M3": (torch.float8_e4m3fn, torch.int8),
    "F8_E5M2": (torch.float8_e5m2, torch.int8),
}


def codes(name: str) -> torch.Tensor:
    """All codes of the small formats. Of f32 every 65521st, and what lies half way between two neighbours in f16 and bf16, with one beside."""
    if name != "F32":
        return torch.arange(2**8 if name.startswith("F8") else 2**16)
    halves = torch.arange(0x7BFF).to(torch.int16).view(torch.float16).float()
    middles = ((halves[:-1] + halves[1:]) / 2).view(torch.int32).long()
    brains = torch.arange(0x7F80) * 2**16 + 2**15
    return torch.cat([torch.arange(0, 2**32, 65521), *(bits + beside for bits in (middles, brains) for beside in (-1, 0, 1))])


def main() -> None:
    digests = {}
    for source, (source_type, source_bits) in FORMATS.items():
        bits = torch.zeros(COUNT, dtype=torch.int64)
        listed = codes(source)
        bits[: len(listed)] = listed
        values = bits.to(source_bits).view(source_type)
        for target in ("F32", "F16", "BF16"):
            target_type, target_bits = FORMATS[target]
            rounded = values.float().to(target_type)
            rounded[~(torch.isfinite(values.float()) & torch.isfinite(rounded.float()))] = 0
            digests[f"{source} to {target}"] = hashlib.sha256(rounded.view(target_bits).numpy().tobytes()).hexdigest()
    TARGET.write_text(json.dumps({"torch": torch.__version__, "sha256": digests}, indent=2) + "\n")


if __name__ == "__main__":
    main()
