"""Golden pictures of prompts that change from model call to model call, or are several, on the synthetic checkpoint tiny-a.

Writes prompts-pictures (.safetensors and .json) to test/golden/models. The table of texts that A1111's grammar makes of a prompt is written
down by hand; which entry a call takes, and how parts are composed, is computed.

    python tools/reference/prompt_pictures.py
"""

import math
from collections.abc import Callable

import torch

from common import (
    BREAK,
    SAMPLERS,
    SCHEDULES,
    Conditioning,
    Denoiser,
    Models,
    Piece,
    decode,
    denoiser,
    frame,
    seeded_noises,
    to_rgb,
    zeros_like_prompt,
)
from model_goldens import Golden, difference
from prompt_goldens import Encoders, chunks_of, encode, make, pieces_to_spans

Table = list[tuple[int, list[Piece]]]  # [last step, pieces]: what holds until that step

LAKE, MEADOW = "a mountain lake at dawn", "a cat and a dog on the grass"


def plain(text: str) -> Table:
    """One text for good."""
    return [(10**6, [(text, 1.0)])]


def alternating(steps: int, *texts: str) -> Table:
    """An entry per step."""
    return [(step, [(texts[(step - 1) % len(texts)], 1.0)]) for step in range(1, steps + 1)]


def switching(when: int, steps: int, before: list[Piece], after: list[Piece]) -> Table:
    """Two entries."""
    return [(when, before), (steps, after)]


# name: (request, sub-prompts as [weight, table], negative's table; None: zeros). `two_calls` is a sampler that the test defines, Heun's:
# for its two model calls per step A1111 counts two steps.
PICTURES: dict[str, tuple[dict, list[tuple[float, Table]], Table | None]] = {
    "schedule": (
        {"prompt": "[a red fox:a blue star:0.2]"},
        [(1, switching(2, 12, [("a red fox", 1.0)], [("a blue star", 1.0)]))], None,
    ),
    "alternation": (
        {"prompt": "[cat|dog] on grass", "negativePrompt": "[blurry:dark frame:3]"},
        [(1, alternating(12, "cat on grass", "dog on grass"))], switching(3, 12, [("blurry", 1.0)], [("dark frame", 1.0)]),
    ),
    "and": (
        {"prompt": "a cat AND a dog :0.7"},
        [(1, plain("a cat")), (0.7, plain(" a dog"))], None,
    ),
    # Three lengths of context in one call: 1, 2 and 3 chunks.
    "and-lengths": (
        {"prompt": "a red fox AND a cat BREAK oil painting :-0.4", "negativePrompt": "blurry BREAK dark frame BREAK grainy"},
        [(1, plain("a red fox")), (-0.4, [(12, [("a cat", 1.0), BREAK, ("oil painting", 1.0)])])],
        [(12, [("blurry", 1.0), BREAK, ("dark frame", 1.0), BREAK, ("grainy", 1.0)])],
    ),
    "trailing-weight": (
        {"prompt": "a cat :2", "negativePrompt": "blurry"},
        [(2, plain("a cat"))], plain("blurry"),
    ),
    # The first text goes on with two empty chunks, as long as the second one.
    "schedule-lengths": (
        {"prompt": "a castle[: BREAK a blue star BREAK oil painting:2]", "negativePrompt": "blurry"},
        [(1, switching(2, 12, [("a castle", 1.0)], [("a castle", 1.0), BREAK, ("a blue star", 1.0), BREAK, ("oil painting", 1.0)]))],
        plain("blurry"),
    ),
    # '' is a text like any other where the negative prompt says more at another step.
    "negative-from-nothing": (
        {"prompt": "a red fox", "negativePrompt": "[blurry:0.25]"},
        [(1, plain("a red fox"))], switching(3, 12, [("", 1.0)], [("blurry", 1.0)]),
    ),
    "two-calls": (
        {"prompt": "[a red fox:a blue star:0.25]", "negativePrompt": "[dark|blurry]", "sampler": "two_calls", "steps": 6},
        [(1, switching(3, 12, [("a red fox", 1.0)], [("a blue star", 1.0)]))], alternating(12, "dark", "blurry"),
    ),
    "all-of-it": (
        {
            "prompt": "[cat|dog|] on grass AND [a red fox:a blue star:2] :0.5", "negativePrompt": "blurry BREAK dark frame",
            "sampler": "dpmpp_2m", "count": 2,
        },
        [
            (1, alternating(12, "cat on grass", "dog on grass", " on grass")),
            (0.5, switching(2, 12, [(" a red fox", 1.0)], [(" a blue star", 1.0)])),
        ],
        [(12, [("blurry", 1.0), BREAK, ("dark frame", 1.0)])],
    ),
    "weights": (
        {"prompt": f"([{LAKE}:{MEADOW}:0.2]:1.4), [mist]", "negativePrompt": "(blurry:1.5)", "prompting": {"emphasis": "no-norm"}},
        [(1, switching(2, 12, [(LAKE, 1.4), (", ", 1.0), ("mist", 1 / 1.1)], [(MEADOW, 1.4), (", ", 1.0), ("mist", 1 / 1.1)]))],
        [(12, [("blurry", 1.5)])],
    ),
}  # fmt: skip

# Of the unit-normal noise. With all of it the later calls of this network hardly show in the picture.
FAINT = 0.05


def sample_heun(x: torch.Tensor, sigmas: list[float], denoise: Denoiser, noises: list[torch.Tensor]) -> torch.Tensor:
    """Karras et al. 2022, algorithm 1: two calls per step, one in the last."""
    del noises
    for sigma, following in zip(sigmas, sigmas[1:]):
        slope = (x - denoise(x, sigma)) / sigma
        ahead = x + slope * (following - sigma)
        if following > 0:
            slope = (slope + (ahead - denoise(ahead, following)) / following) / 2
        x = x + slope * (following - sigma)
    return x


Text = tuple[tuple[Piece, ...], int] | None  # pieces, and how many chunks to make of them; None: zeros
Call = list[tuple[float, Text]]  # of the UNet: the unguided text, whose number counts nothing, then parts of the prompt with their weights


def a1111_entry(table: Table, call: int) -> list[Piece]:
    """The first entry that lasts until the call's number, which counts from 0, or longer."""
    return next((pieces for last, pieces in table if last >= call), table[-1][1])


def calls_of(
    count: int,
    subs: list[tuple[float, Table]],
    negative: Table | None,
    pick: Callable[[Table, int], list[Piece]] = a1111_entry,
    even: bool = True,
    weigh: Callable[[float], float] = float,
    most: int = 100,
    zeros: bool = False,
) -> list[Call]:
    """What each call of the UNet is conditioned on. The later arguments are for mistakes, see WRONG."""

    def text(table: Table, call: int) -> Text:
        pieces = pick(table, call)
        longest = max(len(pieces_to_spans(one)) for one in ([own for _, own in table] if even else [pieces]))
        return None if zeros and pieces == [("", 1.0)] else (tuple(pieces), longest)

    def one(call: int) -> Call:
        unguided = (0.0, None if negative is None else text(negative, call))
        return [unguided, *[(weigh(weight), text(table, call)) for weight, table in subs[:most]]]

    return [one(call) for call in range(count)]


# What would be wrong, to know that a picture shows it.
WRONG: dict[str, dict] = {
    "first text only": {"pick": lambda table, call: table[0][1]},
    "last text only": {"pick": lambda table, call: table[-1][1]},
    "a call too early": {"pick": lambda table, call: a1111_entry(table, call + 1)},
    "a call too late": {"pick": lambda table, call: a1111_entry(table, max(0, call - 1))},
    "steps not doubled": {"pick": lambda table, call: a1111_entry(table, 2 * call)},
    "weights of AND all 1": {"weigh": lambda weight: 1.0},
    "first part of AND only": {"most": 1},
    "no empty chunks behind short texts": {"even": False},
    "nothing as zeros": {"zeros": True},
}


def draw(models: Models, request: dict, calls: list[Call], noise: torch.Tensor) -> torch.Tensor:
    """Final latents. The UNet runs once for each conditioning, so that no length ever meets another."""
    encoders, mode = Encoders(models), request["prompting"].get("emphasis", "a1111")
    known: dict[Text, Conditioning] = {}
    for text in {text for call in calls for _, text in call if text is not None}:
        chunks = chunks_of(list(text[0]))
        known[text] = encode(encoders, chunks + [frame([])] * (text[1] - len(chunks)), mode)
    known[None] = zeros_like_prompt(next(iter(known.values())))
    sizes = [request["height"], request["width"], 0, 0, request["height"], request["width"]]
    left = iter(calls)

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        unguided, *parts = [(weight, denoiser(models, known[text], known[text], 1, sizes)(x, sigma)) for weight, text in next(left)]
        return unguided[1] + sum(weight * request["guidance"] * (part - unguided[1]) for weight, part in parts)

    sigmas = SCHEDULES[request["scheduler"]](request["steps"])
    return (SAMPLERS | {"two_calls": sample_heun})[request["sampler"]](noise.double() * sigmas[0], sigmas, denoise, [])


def psnr(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Of bytes, in decibels."""
    error = ((found.double() - wanted.double()) ** 2).mean().item()
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def picture_cases(golden: Golden, single: Models, double: Models) -> None:
    """Pictures that say which prompt each call had. `wrong`: the PSNR that mistakes would reach, those that change anything at all."""
    defaults = {
        "negativePrompt": "", "width": 64, "height": 64, "steps": 12, "sampler": "euler", "scheduler": "normal", "guidance": 7, "count": 1,
        "seed": 1234, "rng": "torch-cpu", "prompting": {},
    }  # fmt: skip
    for name, (given, subs, negative) in PICTURES.items():
        request = defaults | given
        shape = (4, request["height"] // single.latent_pixels, request["width"] // single.latent_pixels)
        noise = seeded_noises(request["seed"], request["count"], shape, 1)[0] * FAINT
        count = 2 * request["steps"] - 1 if request["sampler"] == "two_calls" else request["steps"]
        right = calls_of(count, subs, negative)
        latents, exact = [draw(models, request, right, noise) for models in (single, double)]
        rgb, exact_rgb = to_rgb(decode(single, latents)), to_rgb(decode(double, exact))
        gap = {"latents": difference(latents, exact), "rgb": difference(rgb, exact_rgb)}
        wrong = {}
        for mistake, change in WRONG.items():
            calls = calls_of(count, subs, negative, **change)
            if calls != right:
                wrong[mistake] = round(psnr(to_rgb(decode(single, draw(single, request, calls, noise))), rgb), 1)
        assert wrong and max(wrong.values()) < 50 and psnr(exact_rgb, rgb) > 70, (name, wrong)
        golden.case("pictures", name, {"request": request, "float64_difference": gap, "wrong": wrong}, {"noise": noise, "rgb": rgb})


if __name__ == "__main__":
    make("prompts-pictures", picture_cases)
