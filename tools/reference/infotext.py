"""Golden values of lib/infotext: texts as A1111 1.10 reads them, and picture files that carry one, written by Pillow 13.

    infotext.py                                 writes test/golden/infotext.json
    infotext.py --seed 7 --count 20000 --out f  other random texts, for a check outside the tests

{"texts": [{"text", "prompt", "negative", "fields"}], "pictures": [{"name", "file": base64, "text": string or null}]}

The rules are A1111's, restated, with two differences: a setting without a value is kept as "" (A1111 fails on it and drops it), and
"Size" is not cut in two.
"""

import argparse
import base64
import io
import json
import random
import re
from pathlib import Path

from PIL import Image, PngImagePlugin

ROOT = Path(__file__).resolve().parents[2]
MARK = "Negative prompt:"
SETTING = re.compile(
    r"""
    (\w[\w\ /-]+):             # a key: a word character and at least one more, or a space, slash or dash
    \s*
    ( "(?:[^"\\]|\\.)+"(?=,|$) # a value: a string that fills its place
    | [^,]*                    # or what stands before the next comma
    )
    (?:,|$)
    """,
    re.VERBOSE,
)


def read(text):
    """Prompt, negative prompt and settings of a text."""
    lines = text.strip().split("\n")
    settings = SETTING.findall(lines[-1])
    if len(settings) < 3:
        settings = []
    else:
        lines.pop()

    parts = {"prompt": "", "negative": ""}
    current = "prompt"
    for line in map(str.strip, lines):
        if line.startswith(MARK):
            current = "negative"
            line = line[len(MARK) :].strip()
        parts[current] += ("\n" if parts[current] else "") + line

    fields = {}
    for key, value in settings:
        if value.startswith('"') and value.endswith('"'):
            try:
                value = json.loads(value)
            except ValueError:
                pass
        fields[key] = value
    return {"text": text, **parts, "fields": fields}


def quote(value):
    """A value as A1111 writes it."""
    return json.dumps(value, ensure_ascii=False) if re.search("[,:\n]", value) else value


def write(prompt, negative, settings):
    """A text as A1111 writes it."""
    last = ", ".join(f"{key}: {quote(value)}" for key, value in settings.items())
    middle = [f"{MARK} {negative}"] if negative else []
    return "\n".join([prompt, *middle, last]).strip()


BASE = {"Steps": "20", "Sampler": "Euler a", "CFG scale": "7", "Seed": "1", "Size": "832x1216"}

PROMPTS = [
    "a cat",
    "",
    "two\nlines",
    "a blank\n\nline",
    "\n\nblank lines first",
    "  spaces  \n  around lines \t\n",
    "trailing comma, ",
    "Steps: 3",
    "Steps: 3, Sampler: none",
    "Steps: 3, Sampler: none, Seed: 5",
    "three: a, four: b, five: c\nthen a line",
    '"quoted" and \\(escaped\\) and C:\\path',
    "(a:1.2), [b|c], <lora:x:0.8>",
    "Größe, 日本語, \U0001f98a e\u0301",
    "carriage\r\nreturn",
    "\u0085 \x1c odd \u00a0spaces\u3000",
    "\ufeffmark",
    "a line\nNegative prompt: in the prompt",
    "  Negative prompt: indented",
    "negative prompt: lower case",
    "Negative prompt:without a space",
]

VALUES = [
    "plain",
    "with, comma",
    "with: colon",
    "two\nlines",
    'a "quote", and more',
    "back\\slash, twice\\\\",
    "tab\there, too",
    "日本語, \U0001f98a",
    "style: 0123456789ab, other: ba9876543210",
    '{"json": [1, 2, "x"]}',
    '"quoted"',
    "ends with a backslash,\\",
    "",
]

LINES = [
    "Steps: 20,Sampler: x,Seed: 5",
    "Steps:20, Sampler:x, Seed:5",
    "Steps: 20, Sampler: x, Seed: 5,",
    "Steps: 20, Sampler: , Seed: 5",
    'Steps: 20, Note: "open, Seed: 5, Size: 1x1',
    'Steps: 20, Note: "a" b, Seed: 5',
    'Steps: 20, Note: "a\\", Seed: 5, Size: 1x1',
    'Steps: 20, Note: "\\q, z", Seed: 5',
    'Steps: 20, Note: "", Seed: 5',
    'Steps: 20, Note: ", Seed: 5, Size: 1x1',
    "Steps: 20, Steps: 21, Seed: 5",
    "Steps: 20, a: 1, Seed: 5",
    "Steps: 20, -ab: 1, /: 2, ab-: 3",
    "Créé: 1, 日本: 2, a/b - c: 3",
    "Steps: 20, no colon here, Seed: 5, Size: 1x1",
    'Created Date: 2024-08-01T00:08:10.1Z, Steps: 25, Resources: [{"type":"checkpoint","id":12},{"id":3}], Metadata: {}',
    "Steps: 20,  Sampler: x ,Seed:  5  ",
    "Steps: 20\tSampler: x, Seed: 5, Size: 1x1",
    "http://host:80/a, b",
]

TOKENS = [
    *["Steps: 3", "Sampler: x y", "Seed: 5", ", ", ",", ": ", ":", "\n", "\n\n", " ", "  ", "\t", "\r\n", '"', "\\", '\\"', "/", "-"],
    *[MARK, " " + MARK, "\n" + MARK + " ", "ab", "a", "é", "日本", "\U0001f98a", "\u0085", "\ufeff", "\u2028", '"a, b"', "{", "7", "_", "+"],
]


def texts(seed, count):
    for prompt in PROMPTS:
        yield write(prompt, "", BASE)
        yield write(prompt, prompt, BASE)
        yield prompt
    for value in VALUES:
        yield write("a cat", "a dog", {**BASE, "Note": value, "Version": "v1.9.3"})
    for line in LINES:
        yield line
        yield f"a cat\n{line}\n"
    draw = random.Random(seed)
    for _ in range(count):
        text = "".join(draw.choices(TOKENS, k=draw.randint(1, 24)))
        yield text + "\nSteps: 20, Sampler: x, Seed: 5" if draw.random() < 0.4 else text


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return base64.b64encode(stream.getvalue()).decode()


def pictures():
    small = Image.new("RGB", (2, 2), (200, 100, 50))
    text = write("a café", "a dog", BASE)
    wide = write("狐 \U0001f98a", "", BASE)

    def png(add, image=small):
        info = PngImagePlugin.PngInfo()
        add(info)
        return saved(image, "PNG", pnginfo=info)

    def comment(value, endian=">"):
        exif = Image.Exif()
        exif.endian = endian
        exif.get_ifd(0x8769)[0x9286] = value
        return exif

    def big(value):  # as A1111 does
        return comment(b"UNICODE\0" + value.encode("utf-16-be"))

    yield "PNG, tEXt", png(lambda info: info.add_text("parameters", text)), text
    yield "PNG, zTXt", png(lambda info: info.add_text("parameters", text, zip=True)), text
    yield "PNG, iTXt", png(lambda info: info.add_itxt("parameters", wide)), wide
    yield "PNG, compressed iTXt", png(lambda info: info.add_itxt("parameters", wide, zip=True)), wide
    yield "PNG with 16 bits", png(lambda info: info.add_text("parameters", text), Image.new("I;16", (2, 2))), text
    yield "PNG with another text", png(lambda info: info.add_text("prompt", "{}")), None
    yield "JPEG", saved(small, "JPEG", exif=big(wide)), wide
    yield "JPEG, little-endian", saved(small, "JPEG", exif=comment(b"UNICODE\0" + wide.encode("utf-16-le"), "<")), wide
    yield "JPEG, little-endian but for the comment", saved(small, "JPEG", exif=comment(b"UNICODE\0" + wide.encode("utf-16-be"), "<")), wide
    yield "JPEG, with a byte order mark", saved(small, "JPEG", exif=comment(b"UNICODE\0\xff\xfe" + "狐".encode("utf-16-le"))), "狐"
    yield "JPEG, ASCII", saved(small, "JPEG", exif=comment(b"ASCII\0\0\0a cat\0")), "a cat"
    yield "JPEG without EXIF", saved(small, "JPEG"), None
    yield "JPEG without a comment", saved(small, "JPEG", exif=Image.Exif()), None
    yield "WebP", saved(small, "WEBP", exif=big(text)), text
    yield "WebP without EXIF", saved(small, "WEBP"), None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--out", type=Path, default=ROOT / "test/golden/infotext.json")
    options = parser.parse_args()
    unique = dict.fromkeys(texts(options.seed, options.count))
    golden = {
        "texts": [read(text) for text in unique],
        "pictures": [{"name": name, "file": file, "text": text} for name, file, text in pictures()],
    }
    lines = ",\n".join(json.dumps(case) for case in golden["texts"])
    files = ",\n".join(json.dumps(case) for case in golden["pictures"])
    options.out.write_text(f'{{"texts": [\n{lines}\n],\n"pictures": [\n{files}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
