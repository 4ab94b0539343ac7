"""Fine hairs drawn over the picture as antialiased strokes: brows, lashes, stubble, body hair.

A hair of 0.07 mm is far thinner than a pixel, so it is drawn with the opacity of its true width.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from jaxderm.render.framing import Framing


@dataclasses.dataclass(frozen=True, eq=False)
class Strokes:
    """Polylines [M,K,3] in cm, their width in cm at the root, opacity [M], and linear colour [3]."""

    lines: np.ndarray
    width_cm: float
    opacity: np.ndarray
    colour: np.ndarray


def draw(
    strokes: Strokes, framing: Framing, depth: np.ndarray, slack_cm: float = 0.35
) -> np.ndarray:
    """Coverage [R,R] in [0,1] of the strokes that nothing hides; depth [R,R] in cm, inf = nothing there."""
    size = depth.shape[0]
    count, knots = strokes.lines.shape[:2]
    if count == 0:
        return np.zeros((size, size))
    places, away = framing.project(strokes.lines.reshape(-1, 3))
    places, away = places.reshape(count, knots, 2), away.reshape(count, knots)
    root = np.clip((places[:, 0] * size).astype(int), 0, size - 1)
    shown = (np.abs(places[:, 0] - 0.5).max(1) < 0.6) & (away.min(1) > 0)
    shown &= away[:, 0] < depth[root[:, 1], root[:, 0]] + slack_cm
    scale = 2 * size
    canvas = Image.new("L", (scale, scale), 0)
    pen = ImageDraw.Draw(canvas)
    pixels = strokes.width_cm / framing.field_cm * scale
    thick = max(1, round(pixels))
    opacity = np.clip(255 * strokes.opacity * min(1.0, pixels / thick), 0, 255)
    order = np.flatnonzero(shown)
    for i in order[np.argsort(opacity[order], kind="stable")]:
        pen.line([tuple(xy) for xy in places[i] * scale], fill=int(opacity[i]), width=thick)
    half = canvas.resize((size, size), Image.Resampling.BOX)
    return np.asarray(half, np.float64) / 255


def over(picture: np.ndarray, coverage: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Picture [R,R,3] with strokes of a colour ([3] or [R,R,3]) laid over it."""
    return picture * (1 - coverage[..., None]) + coverage[..., None] * colour
