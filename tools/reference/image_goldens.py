"""Golden values of lib/image: what Pillow 13 and OpenCV make of small pictures.

    image_goldens.py          writes test/golden/image.json

Bytes are base64 of [height, width, channels].
- resize: {filter, width, height, source: {width, height, channels, data}, data}
- blur:   {sigma, source, data}, cv2.GaussianBlur along rows, then along columns, as A1111 blurs masks
- fill:   {image, mask, data}, blurred surroundings laid over each other as A1111's "fill" does
- files:  {name, file, width, height, data, alpha or null}: JPEG, WebP and PNG as Pillow writes them, and what it reads, turned upright
"""

import base64
import io
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFilter, ImageOps

ROOT = Path(__file__).resolve().parents[2]
randomness = np.random.default_rng(11)


def text(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).decode()


def raster(array):
    height, width = array.shape[:2]
    return {"width": width, "height": height, "channels": 1 if array.ndim == 2 else array.shape[2], "data": text(array)}


def smooth(height, width, channels=3):
    """A picture with edges, gradients and some noise."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 100 * np.sin(x / (3 + c) + c) * np.cos(y / (4 - c / 2)) + 40 * ((x + 2 * y) % 11 > 6) for c in range(channels)]
    noisy = np.stack(planes, axis=2) + randomness.normal(0, 8, (height, width, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def blob(height, width, soft=False):
    y, x = np.mgrid[0:height, 0:width]
    inside = ((x - width * 0.55) / (width * 0.3)) ** 2 + ((y - height * 0.4) / (height * 0.25)) ** 2
    return np.clip((1.3 - inside) * 400, 0, 255).astype(np.uint8) if soft else np.where(inside < 1, 255, 0).astype(np.uint8)


def resizes():
    filters = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
    sources = [smooth(13, 21), blob(13, 21), randomness.integers(0, 256, (5, 3, 3), dtype=np.uint8)]
    for name, value in filters.items():
        for array in sources:
            for size in [(32, 16), (7, 5), (21, 40), (1, 1)]:
                made = np.asarray(Image.fromarray(array).resize(size, resample=value))
                yield {"filter": name, "width": size[0], "height": size[1], "source": raster(array), "data": text(made)}


def blurs():
    for array in [blob(24, 31), blob(40, 9, soft=True), np.full((3, 4), 200, np.uint8)]:
        for sigma in [1, 4, 7.5]:
            size = 2 * int(2.5 * sigma + 0.5) + 1
            across = cv2.GaussianBlur(array, (size, 1), sigma)
            made = cv2.GaussianBlur(across, (1, size), sigma)
            yield {"sigma": sigma, "source": raster(array), "data": text(made)}


def fills():
    for height, width, soft in [(37, 52, False), (37, 52, True), (64, 16, False)]:
        picture, mask = Image.fromarray(smooth(height, width)), Image.fromarray(blob(height, width, soft))
        shown = Image.new("RGBa", picture.size)
        shown.paste(picture.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask))
        made = Image.new("RGBA", picture.size)
        for radius, repeats in [(256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1)]:
            layer = shown.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
            for _ in range(repeats):
                made.alpha_composite(layer)
        yield {"image": raster(np.asarray(picture)), "mask": raster(np.asarray(mask)), "data": text(np.asarray(made.convert("RGB")))}


def files():
    picture = Image.fromarray(smooth(18, 27))
    clear = picture.copy()
    clear.putalpha(Image.fromarray(blob(18, 27, soft=True)))

    def case(name, image, form, **options):
        if "orientation" in options:
            exif = Image.Exif()
            exif[0x0112] = options.pop("orientation")
            options["exif"] = exif
        file = io.BytesIO()
        image.save(file, form, **options)
        file.seek(0)
        read = ImageOps.exif_transpose(Image.open(file))
        alpha = np.asarray(read.getchannel("A")) if "A" in read.getbands() else None
        colors = np.asarray(read.convert("RGB"))
        return {
            "name": name,
            "file": base64.b64encode(file.getvalue()).decode(),
            **raster(colors),
            "alpha": None if alpha is None else text(alpha),
        }

    yield case("JPEG", picture, "JPEG", quality=90, subsampling=0)
    yield case("grey JPEG", picture.convert("L"), "JPEG", quality=90)
    for orientation in range(2, 9):
        yield case(f"JPEG turned by orientation {orientation}", picture, "JPEG", quality=90, subsampling=0, orientation=orientation)
    yield case("WebP", picture, "WEBP", lossless=True)
    yield case("WebP with alpha", clear, "WEBP", lossless=True, exact=True)
    yield case("PNG with alpha", clear, "PNG")
    yield case("grey PNG with alpha", clear.convert("LA"), "PNG")
    yield case("PNG turned by orientation 6", picture, "PNG", orientation=6)


def main():
    golden = {"resize": list(resizes()), "blur": list(blurs()), "fill": list(fills()), "files": list(files())}
    (ROOT / "test/golden/image.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
