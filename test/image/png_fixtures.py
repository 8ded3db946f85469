"""Small PNG files of every kind the reader knows, written without a PNG library and decoded by Pillow 13.

    pip install pillow && python test/image/png_fixtures.py      # writes png-fixtures.json beside this file
"""

import base64
import io
import json
import random
import struct
import zlib
from pathlib import Path

from PIL import Image, PngImagePlugin

WIDTH, HEIGHT = 7, 11
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
randomness = random.Random(5)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def predict(kind, left, above, corner):
    if kind == 4:
        p = left + above - corner
        return min((abs(p - left), 0, left), (abs(p - above), 1, above), (abs(p - corner), 2, corner))[2]
    return [0, left, above, (left + above) // 2][kind]


def encode(color_type, rows, extra=b"", split=None):
    """Rows cycle through the five filters."""
    samples = SAMPLES[color_type]
    raw = b""
    above = bytes(len(rows[0]))
    for y, row in enumerate(rows):
        filtered = bytes(
            (
                value
                - predict(y % 5, row[i - samples] if i >= samples else 0, above[i], above[i - samples] if i >= samples else 0)
            )
            % 256
            for i, value in enumerate(row)
        )
        raw += bytes([y % 5]) + filtered
        above = row
    pixels = zlib.compress(raw)
    parts = [pixels] if split is None else [pixels[:split], b"", pixels[split:]]
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + b"".join(chunk(b"IDAT", part) for part in parts)
        + chunk(b"IEND", b"")
    )


def fixture(name, png):
    image = Image.open(io.BytesIO(png))
    image.load()
    rgba = image.convert("RGBA")
    has_alpha = image.mode in ("LA", "RGBA") or "transparency" in image.info
    return {
        "name": name,
        "png": base64.b64encode(png).decode(),
        # By way of RGBA, where dropping alpha changes no colour.
        "rgb": base64.b64encode(rgba.convert("RGB").tobytes()).decode(),
        "alpha": base64.b64encode(rgba.getchannel("A").tobytes()).decode() if has_alpha else None,
        "text": {key: str(value) for key, value in image.text.items()},
    }


def random_rows(samples, top=256):
    return [bytes(randomness.randrange(top) for _ in range(WIDTH * samples)) for _ in range(HEIGHT)]


palette = chunk(b"PLTE", bytes(randomness.randrange(256) for _ in range(3 * 20)))
fixtures = [
    fixture("grey", encode(0, random_rows(1))),
    fixture("RGB", encode(2, random_rows(3))),
    fixture("RGB in several IDAT chunks", encode(2, random_rows(3), split=11)),
    fixture("palette", encode(3, random_rows(1, 20), palette)),
    fixture("palette with transparency", encode(3, random_rows(1, 20), palette + chunk(b"tRNS", bytes([0, 128, 255, 7])))),
    fixture("grey with alpha", encode(4, random_rows(2))),
    fixture("RGB with alpha", encode(6, random_rows(4))),
]

info = PngImagePlugin.PngInfo()
info.add_text("parameters", "a fox\nSteps: 20, CFG scale: 7, größe")
info.add_text("workflow", "x" * 300, zip=True)
info.add_itxt("Title", "狐", "zh", "标题")
info.add_itxt("Long", "π" * 200, zip=True)
written = io.BytesIO()
Image.frombytes("RGB", (WIDTH, HEIGHT), b"".join(random_rows(3))).save(written, "PNG", pnginfo=info)
fixtures.append(fixture("RGB with texts, by Pillow", written.getvalue()))

out = Path(__file__).with_name("png-fixtures.json")
out.write_text(json.dumps(fixtures, indent=2, ensure_ascii=False) + "\n")
