"""Procedural scenes with captions: the training data of the tiny SDXL."""

from collections.abc import Sequence

import numpy as np

COLORS = {
    "red": (0.86, 0.13, 0.15), "green": (0.13, 0.62, 0.25), "blue": (0.13, 0.30, 0.86),
    "yellow": (0.97, 0.83, 0.13), "orange": (0.96, 0.52, 0.10), "purple": (0.52, 0.18, 0.67),
    "pink": (0.97, 0.56, 0.72), "cyan": (0.20, 0.80, 0.86), "white": (0.97, 0.97, 0.97),
    "black": (0.06, 0.06, 0.07), "gray": (0.50, 0.50, 0.52), "brown": (0.45, 0.28, 0.15),
}  # fmt: skip
SHAPES = ["circle", "square", "triangle", "star", "heart", "ring", "diamond", "cross"]
PLACES = {
    "in the center": (0.5, 0.5),
    "on the left": (0.28, 0.5),
    "on the right": (0.72, 0.5),
    "at the top": (0.5, 0.28),
    "at the bottom": (0.5, 0.72),
}
PAIRS = [((0.28, 0.5), (0.72, 0.5), "to the left of"), ((0.5, 0.28), (0.5, 0.72), "above")]
SIZES = {"small": 0.14, "": 0.22, "large": 0.32}


def _polygon(x: np.ndarray, y: np.ndarray, points: list[tuple[float, float]]) -> np.ndarray:
    """Which positions lie inside a polygon (even-odd rule)."""
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1]):
        crosses = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = (x1 - x0) * (y - y0) / (y1 - y0) + x0
        inside ^= crosses & (x < crossing)
    return inside


def _star() -> list[tuple[float, float]]:
    corners = [(1.1 if k % 2 == 0 else 0.45, -np.pi / 2 + k * np.pi / 5) for k in range(10)]
    return [(radius * np.cos(angle), radius * np.sin(angle)) for radius, angle in corners]


def mask(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coverage of a shape of radius about 1; y points down."""
    squared = x * x + y * y
    if shape == "circle":
        return squared < 1
    if shape == "ring":
        return (squared < 1) & (squared > 0.34)
    if shape == "square":
        return (abs(x) < 0.86) & (abs(y) < 0.86)
    if shape == "diamond":
        return abs(x) * 1.15 + abs(y) * 0.9 < 1.0
    if shape == "cross":
        return ((abs(x) < 0.32) & (abs(y) < 1)) | ((abs(y) < 0.32) & (abs(x) < 1))
    if shape == "triangle":
        return _polygon(x, y, [(0, -1.05), (1.0, 0.75), (-1.0, 0.75)])
    if shape == "star":
        return _polygon(x, y, _star())
    if shape == "heart":
        u, v = x * 1.15, -y * 1.15 + 0.15
        return (u * u + v * v - 0.75) ** 3 - u * u * v**3 * 1.3 < 0
    raise KeyError(shape)


def render(scene: dict, size: int, oversampling: int = 2) -> np.ndarray:
    """RGB [size, size, 3] in 0 ... 1, anti-aliased by averaging `oversampling` x `oversampling` positions per pixel."""
    n = size * oversampling
    grid = (np.arange(n, dtype=np.float32) + 0.5) / n
    x, y = np.meshgrid(grid, grid)
    image = np.broadcast_to(np.array(COLORS[scene["background"]], np.float32), (n, n, 3)).copy()
    if scene["gradient"]:
        image *= (0.75 + 0.35 * (1 - y))[..., None]
    for thing in scene["objects"]:
        dx, dy = (x - thing["x"]) / thing["radius"], (y - thing["y"]) / thing["radius"]
        cosine, sine = np.cos(thing["rotation"]), np.sin(thing["rotation"])
        u, v = cosine * dx + sine * dy, -sine * dx + cosine * dy
        covered = mask(thing["shape"], u, v)
        color = np.array(COLORS[thing["color"]], np.float32)
        if scene["style"] == "outline":
            image[covered & ~mask(thing["shape"], u * 1.28, v * 1.28)] = color
        elif scene["style"] == "striped":
            band = np.floor(y * 18).astype(int) % 2 == 0
            image[covered & band] = color
            image[covered & ~band] = color * 0.45 + 0.5
        else:
            shade = np.clip(1.08 - 0.22 * (u + v)[covered], 0.6, 1.25)
            image[covered] = np.clip(color * shade[:, None], 0, 1)
    image = image.reshape(size, oversampling, size, oversampling, 3).mean((1, 3))
    return np.clip(image, 0, 1).astype(np.float32)


def sample(random: np.random.Generator, styles: Sequence[str] = ("",)) -> tuple[dict, str]:
    """Draws a scene and a caption that describes it."""

    def pick(choices: Sequence) -> object:
        return choices[random.integers(len(choices))]

    def thing(shape: str, color: str, place: tuple[float, float], radius: float) -> dict:
        x, y = (coordinate + random.normal(0, 0.015) for coordinate in place)
        size = radius * random.uniform(0.92, 1.08)
        return {"shape": shape, "color": color, "x": x, "y": y, "radius": size, "rotation": random.normal(0, 0.06)}

    background = pick(list(COLORS))
    others = [color for color in COLORS if color != background]
    if random.random() < 0.3:
        first, second, relation = pick(PAIRS)
        objects = [thing(pick(SHAPES), pick(others), place, 0.19) for place in (first, second)]
        words = [f"a {drawn['color']} {drawn['shape']}" for drawn in objects]
        caption = f"{words[0]} {relation} {words[1]}"
    else:
        size = list(SIZES)[random.choice(3, p=[0.2, 0.55, 0.25])]
        place = list(PLACES)[random.choice(5, p=[0.6, 0.1, 0.1, 0.1, 0.1])]
        objects = [thing(pick(SHAPES), pick(others), PLACES[place], SIZES[size])]
        caption = f"a {size + ' ' if size else ''}{objects[0]['color']} {objects[0]['shape']}"
        if place != "in the center" or random.random() < 0.3:
            caption += f" {place}"
    scene = {"background": background, "objects": objects, "style": pick(styles), "gradient": random.random() < 0.3}

    if random.random() < 0.85:
        caption += pick([f" on a {background} background", f", {background} background"])
    else:
        caption = f"{background} background, {caption}"
    if scene["gradient"] and random.random() < 0.5:
        caption += ", soft light"
    if scene["style"]:
        caption += f", {scene['style']} style"
    if random.random() < 0.15:
        caption = f"a picture of {caption}"
    return scene, caption


def render_batch(scenes: Sequence[dict], size: int = 128) -> np.ndarray:
    """Pixels [scenes, 3, size, size] in -1 ... 1."""
    return np.stack([render(scene, size) for scene in scenes]).transpose(0, 3, 1, 2) * 2 - 1
