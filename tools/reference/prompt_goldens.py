"""Golden values of what prompts are encoded to: emphasis, compel's syntax, textual inversion, on the synthetic checkpoint tiny-a.

Writes prompts-emphasis and prompts-embeddings (.safetensors and .json) to test/golden/models, and the textual inversions
prompts-style.safetensors and prompts-word.safetensors beside them. Names and the figure `float64_difference` are those of
model_goldens.py. The pieces that A1111's grammar makes of a text are written down by hand.

Compel's mode and syntax are the package compel itself, one Compel per encoder with the tokenizer that SDXL gives it.

    python tools/reference/prompt_goldens.py
"""

import json
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import diffusers
import open_clip.tokenizer
import torch
import transformers
from compel import Compel, DownweightMode, ReturnedEmbeddingsType, SplitLongTextMode
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from common import (
    BREAK,
    CHUNK,
    COMMA,
    EOS,
    GOLDEN,
    Chunk,
    Conditioning,
    Models,
    Piece,
    _default_dtype,
    frame,
    load_diffusers_folder,
)
from model_goldens import Golden, difference, synthesize

VOCABULARY = 49408
BACKTRACK = 20  # tokens
SAMPLED = 7  # of a context every 7th value is kept: no encoder's width is a multiple, so that each row and each column is among them

TOKENIZER = open_clip.tokenizer.SimpleTokenizer()
FOREST = [" ".join(["deep dark old wild green forest with tall trees and"] * count) for count in range(9)]  # of count * 10 tokens

Vectors = dict[str, int]  # textual inversions: name -> number of vectors, numbered from VOCABULARY in this order


# ------------------------------------------------------------------------------------------------------------------------------ emphasis

# The states of tiny-a's first encoder have a mean near 0 for many texts, for which mode a1111 divides two sums of rounding errors. These
# texts have one of about 0.1 in both; `weigh` keeps watch.
PARTS: dict[str, list[Piece]] = {
    "up": [("mountain lake at dawn, ", 1.0), ("mist, pine forest", 1.4), (", photorealistic, wide angle", 1.0)],
    "down": [("mountain lake at dawn, ", 1.0), ("mist", 0.6), (", pine ", 1.0), ("forest", 0.85), (", photorealistic", 1.2)],
    "zero": [("a cat", 0.0), (" and a dog on the grass", 1.0)],
    "negative": [("a cat and a dog on ", 1.0), ("the grass", -0.5), (" at dawn", 1.1)],
    "comma": [("mountain lake at dawn", 1.0), (",", 1.6), (" mist, pine forest", 1.0)],
    "second-chunk": [
        ("watercolour of a lighthouse on a cliff above a stormy sea, seagulls", 1.0), BREAK,
        ("a bowl of ", 1.0), ("oranges", 1.3), (" on a ", 1.0), ("wooden table", 0.5),
    ],
    # Something lighter than 1 in either chunk: to compel these are two prompts, each with a mixture of its own.
    "two-stretches": [
        ("a cat and a ", 1.0), ("dog", 0.6), (" on the grass", 1.0), BREAK,
        ("a bowl of ", 1.0), ("oranges", 0.3), (" on a table", 1.0),
    ],
    # Cut behind the comma after "moss", with 62 tokens before it; "sunbeams" is then in the second chunk.
    "cut-at-comma": [
        (FOREST[6] + " ", 1.0), ("soft moss", 1.3),
        (", golden light through the leaves of many old and very crooked oaks beside a stream with ", 1.0),
        ("sunbeams", 0.7), (" and birds", 1.0),
    ],
    # No comma, so cut behind 75 tokens, in the middle of what is light.
    "cut-when-full": [(FOREST[7] + " ", 1.0), ("a cat and a dog on the wet green grass", 0.6)],
}  # fmt: skip

A1111_TEXTS: dict[str, list[Piece]] = {
    "(mountain lake:1.25) at dawn, [mist], ((pine forest)), wide angle": [
        ("mountain lake", 1.25), (" at dawn, ", 1.0), ("mist", 1 / 1.1), (", ", 1.0), ("pine forest", 1.1 * 1.1), (", wide angle", 1.0),
    ],
    "a cat and (a dog:0.5) BREAK (a bowl of oranges": [
        ("a cat and ", 1.0), ("a dog", 0.5), BREAK, ("a bowl of oranges", 1.1),
    ],
}  # fmt: skip

COMPEL_TEXTS = [
    "cat++ and dog-- on the (wet grass)1.3",
    "mountain lake at dawn, (mist and a (cat)0.5)-- in the forest+",
    '("a cat on the grass", "a bowl of oranges").blend(0.7, 0.3)',
    '("a cat++ on the grass", "a bowl of oranges--", "dog").blend(0.7, 0.6, -0.2, no_normalize)',
    '("' + FOREST[8] + '", "a cat-").blend(1, 3)',
    '("a cat", "a dog").and()',
    '("a cat-- on the grass", "a dog---- in a wooden bowl").and()',
    '("a cat on the grass", "a dog").and(1, 0.5)',
    '("a cat-- on the grass", "a dog++ in a wooden bowl", "oranges").and(0.6, 1.4, 1)',
]


def pieces_to_spans(pieces: list[Piece], vectors: Vectors | None = None) -> list[list[tuple[int, float]]]:
    """Tokens and weights chunk by chunk, by A1111's rules: BREAK, the comma rule, and a textual inversion never cut in two."""
    names, first = [], VOCABULARY
    for name, count in (vectors or {}).items():
        ids = list(range(first, first + count))
        names += [(TOKENIZER.encode(written), ids) for written in (name, f"embedding:{name}")]
        first += count
    names.sort(key=lambda entry: -len(entry[0]))

    spans: list[list[tuple[int, float]]] = [[]]
    comma: int | None = None

    def close(kept: int) -> None:
        nonlocal comma
        full = spans[-1]
        spans[-1], moved = full[:kept], full[kept:]
        spans.append(moved)
        comma = None

    for text, weight in pieces:
        if (text, weight) == BREAK:
            close(len(spans[-1]))
            continue
        tokens = TOKENIZER.encode(text)
        while tokens:
            known, unit = next(((k, ids) for k, ids in names if tokens[: len(k)] == k), (tokens[:1], tokens[:1]))
            tokens = tokens[len(known) :]
            if len(spans[-1]) == CHUNK:
                near = comma is not None and CHUNK - comma <= BACKTRACK and unit != [COMMA]
                close(comma + 1 if near else CHUNK)
            if len(spans[-1]) + len(unit) > CHUNK:
                close(len(spans[-1]))
            if unit == [COMMA]:
                comma = len(spans[-1])
            spans[-1] += [(token, weight) for token in unit]
    if len(spans) > 1 and not spans[-1]:
        spans.pop()
    return spans


def chunks_of(pieces: list[Piece], vectors: Vectors | None = None) -> list[Chunk]:
    """As the encoders get them."""
    return [frame([token for token, _ in span], [weight for _, weight in span]) for span in pieces_to_spans(pieces, vectors)]


class Encoders:
    """Unweighted states of both encoders, with rows for textual inversions behind the vocabulary."""

    def __init__(self, models: Models, vectors: list[tuple[torch.Tensor, torch.Tensor]] | None = None) -> None:
        self.models = models
        self.both = (models.text_encoder, models.text_encoder_2)
        for encoder, own in zip(self.both, zip(*vectors) if vectors else ()):
            table = encoder.get_input_embeddings()
            rows = torch.cat([table.weight.data, *[rows.to(table.weight.dtype) for rows in own]])
            encoder.set_input_embeddings(torch.nn.Embedding.from_pretrained(rows))

    @torch.no_grad()
    def states(self, chunk: Chunk) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The penultimate layers, [1, 77, width] each, and the pooled vector [1, projection], read at the first end token."""
        with _default_dtype(self.models.text_encoder_2.dtype):
            ids = (chunk.ids_l, chunk.ids_g)
            outputs = [encoder(torch.tensor([own]), output_hidden_states=True) for encoder, own in zip(self.both, ids)]
        pooled = self.models.text_encoder_2.text_projection(outputs[1].last_hidden_state[:, chunk.ids_g.index(EOS)])
        return [output.hidden_states[-2] for output in outputs], pooled


def weigh(states: torch.Tensor, weights: list[float], empty: torch.Tensor, mode: str, ratios: list[float]) -> torch.Tensor:
    """Weights on one encoder's states of one chunk. `empty`: those of the empty prompt. Mode a1111 adds its quotient to `ratios`."""
    if mode == "ignore":
        return states
    rows = torch.tensor(weights, dtype=states.dtype)[None, :, None]
    if mode == "comfy":
        return empty + rows * (states - empty)
    weighted = rows * states
    if mode == "no-norm" or all(weight == 1 for weight in weights):
        return weighted
    assert mode == "a1111"
    ratio = states.mean() / weighted.mean()
    ratios.append(round(ratio.item(), 4))
    assert 0.6 < ratio < 1.7, "the mean of these states is too near 0 for a reference"
    return weighted * ratio


def encode(encoders: Encoders, chunks: list[Chunk], mode: str, ratios: list[float] | None = None) -> Conditioning:
    """Context of all chunks, weighted, and the pooled vector of the first one, which no weight touches."""
    empty, _ = encoders.states(frame([]))
    rows, pooled = [], None
    seen = [] if ratios is None else ratios
    for chunk in chunks:
        states, vector = encoders.states(chunk)
        pooled = vector if pooled is None else pooled
        rows.append(torch.cat([weigh(z, chunk.weights, e, mode, seen) for z, e in zip(states, empty)], -1))
    return Conditioning(torch.cat(rows, 1), pooled)


class TextCompel(Compel):
    """Compel whose blends work: as of 2.3.1 its own call passes an argument that its own method does not take."""

    def _get_conditioning_for_flattened_prompt(self, prompt, should_return_tokens=True):  # noqa: ANN001, ANN202
        del should_return_tokens
        return super()._get_conditioning_for_flattened_prompt(prompt)


class CompelEncoders:
    """Both encoders through compel. Compel's own SDXL wrapper wants a pipeline, and its weighted .and() fails where pooled vectors are."""

    def __init__(self, models: Models, folder: Path) -> None:
        self.dtype = models.text_encoder_2.dtype
        names = [token for token, _ in sorted(TOKENIZER.encoder.items(), key=lambda entry: entry[1])][:-2]
        vocabulary = {name: i for i, name in enumerate([*names, "<|startoftext|>", "<|endoftext|>"])}
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        merges = ["#version: 0.2", *[" ".join(pair) for pair, _ in sorted(TOKENIZER.bpe_ranks.items(), key=lambda entry: entry[1])]]
        (folder / "merges.txt").write_text("\n".join(merges) + "\n")

        def make(encoder: torch.nn.Module, padding: str) -> Compel:
            tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), pad_token=padding, model_max_length=CHUNK + 2)
            return TextCompel(
                tokenizer=tokenizer,
                text_encoder=encoder,
                dtype_for_device_getter=lambda _: self.dtype,
                truncate_long_prompts=False,
                downweight_mode=DownweightMode.MASK,
                returned_embeddings_type=ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED,
                split_long_text_mode=SplitLongTextMode.PHRASES,
            )

        self.both = (make(models.text_encoder, "<|endoftext|>"), make(models.text_encoder_2, "!"))

    @torch.no_grad()
    def fragments(self, pieces: list[Piece]) -> torch.Tensor:
        """Pieces as fragments; what BREAK separates is a prompt of its own, as with .and()."""
        stretches: list[list[Piece]] = [[]]
        for piece in pieces:
            if piece == BREAK:
                stretches.append([])
            else:
                stretches[-1].append(piece)
        parts = [([[text for text, _ in stretch]], [[weight for _, weight in stretch]]) for stretch in stretches]
        with _default_dtype(self.dtype):
            encode_part = [one.conditioning_provider.get_embeddings_for_weighted_prompt_fragments for one in self.both]
            return torch.cat([torch.cat([encode_one(*part) for encode_one in encode_part], -1) for part in parts], 1)

    @torch.no_grad()
    def text(self, text: str) -> Conditioning:
        """A text of compel's syntax. The pooled vector is that of the raw text."""
        assert "!" not in text, "the second encoder's tokenizer takes it for padding"
        with _default_dtype(self.dtype):
            context = torch.cat([one.build_conditioning_tensor(text) for one in self.both], -1)
            return Conditioning(context, self.both[1].conditioning_provider.get_pooled_embeddings([text]))


def add_conditioning(golden: Golden, part: str, name: str, description: dict, single: Conditioning, double: Conditioning) -> None:
    """A case whose context is kept in part."""
    gap = {"context": difference(single.context, double.context), "pooled": difference(single.pooled, double.pooled)}
    tensors = {"context": single.context.flatten()[::SAMPLED], "pooled": single.pooled}
    golden.case(part, name, description | {"tokens": single.context.shape[1], "float64_difference": gap}, tensors)


def emphasis_cases(golden: Golden, single: Models, double: Models) -> None:
    """Every way to weigh, on parts and on texts."""
    with tempfile.TemporaryDirectory() as temporary:
        packages = [CompelEncoders(models, Path(temporary)) for models in (single, double)]
        encoders = [Encoders(models) for models in (single, double)]

        def case(name: str, prompt: dict, pieces: list[Piece], mode: str) -> None:
            ratios: list[float] = []
            usual = "ignore" if mode == "compel" else mode
            both = [encode(own, chunks_of(pieces), usual, seen) for own, seen in zip(encoders, (ratios, []))]
            if mode == "compel":
                both = [Conditioning(package.fragments(pieces), plain.pooled) for package, plain in zip(packages, both)]
            description = prompt | {"emphasis": mode} | ({"ratios": ratios} if mode == "a1111" else {})
            add_conditioning(golden, "emphasis", f"{name}.{mode}", description, *both)

        for name, pieces in PARTS.items():
            for mode in ("a1111", "no-norm", "comfy", "compel", *(["ignore"] if name == "cut-at-comma" else [])):
                case(name, {"parts": pieces}, pieces, mode)
        for i, (text, pieces) in enumerate(A1111_TEXTS.items()):
            for mode in ("a1111", "comfy", "compel"):
                case(f"text-{i + 1}", {"text": text}, pieces, mode)
        for i, text in enumerate(COMPEL_TEXTS):
            both = [package.text(text) for package in packages]
            add_conditioning(golden, "compel", f"text-{i + 1}", {"text": text}, *both)


# ----------------------------------------------------------------------------------------------------------------------------- embeddings

# In the order of their ids.
STYLE, WORD = "my-style", "qwv"
OPENS, MOVES = FOREST[7] + " a cat on the my-style, red", FOREST[6] + " moss, a cat on the my-style in the very wet green grass by a stream"
EMBEDDED: dict[str, list[Piece]] = {
    "a photo of my-style, red": [("a photo of my-style, red", 1.0)],
    "mountain lake at dawn, (embedding:my-style:1.3)": [("mountain lake at dawn, ", 1.0), ("embedding:my-style", 1.3)],
    "QWV and My-Style, a cat and a [dog] BREAK qwv": [
        ("QWV and My-Style, a cat and a ", 1.0), ("dog", 1 / 1.1), BREAK, ("qwv", 1.0),
    ],
    OPENS: [(OPENS, 1.0)],  # 74 tokens and three vectors, which open the second chunk
    MOVES: [(MOVES, 1.0)],  # the comma rule takes the vectors along
}  # fmt: skip


def embedding_cases(golden: Golden, single: Models, double: Models) -> None:
    """Prompts with textual inversions: their rows stand where the token table's would. This changes the models."""
    generator = torch.Generator().manual_seed(5)
    vectors = {STYLE: 3, WORD: 1}
    widths = [encoder.config.hidden_size for encoder in (single.text_encoder, single.text_encoder_2)]
    own = [tuple(torch.randn(count, width, generator=generator) * 0.3 for width in widths) for count in vectors.values()]
    for file, (first, second) in zip(("prompts-style", "prompts-word"), own):
        path = GOLDEN / f"{file}.safetensors"
        save_file({"clip_l": first, "clip_g": second}, path)
        path.chmod(0o644)
    encoders = [Encoders(models, own) for models in (single, double)]
    for i, (text, pieces) in enumerate(EMBEDDED.items()):
        for mode in ("a1111", "comfy"):
            ratios: list[float] = []
            chunks = chunks_of(pieces, vectors)
            both = [encode(own, chunks, mode, seen) for own, seen in zip(encoders, (ratios, []))]
            used = [chunk.ids_g.index(EOS) - 1 for chunk in chunks]
            description = {"text": text, "emphasis": mode, "used": used} | ({"ratios": ratios} if mode == "a1111" else {})
            add_conditioning(golden, "embeddings", f"text-{i + 1}.{mode}", description, *both)


def make(name: str, cases: Callable[[Golden, Models, Models], None]) -> None:
    """Writes one file of goldens and its cases, made with the models in float32 and float64."""
    torch.set_num_threads(1)  # arrays this small are done before a second thread wakes up
    golden = Golden()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "tiny-a"
        synthesize("tiny-a", folder, "diffusers")
        cases(golden, load_diffusers_folder(folder), load_diffusers_folder(folder).to(torch.float64))
    path = GOLDEN / f"{name}.safetensors"
    save_file(golden.tensors, path)
    path.chmod(0o644)
    made_by = {"torch": torch.__version__, "diffusers": diffusers.__version__, "transformers": transformers.__version__}
    text = json.dumps({"spec": "tiny-a", "made_by": made_by | {"compel": version("compel")}, "cases": golden.cases}, indent=2)
    (GOLDEN / f"{name}.json").write_text(text + "\n")
    print(f"{name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    make("prompts-emphasis", emphasis_cases)
    make("prompts-embeddings", embedding_cases)
