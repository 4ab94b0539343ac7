"""Landmarks of a face by the shipped head: `--landmarks auto`.

The whole photo is looked at, the patient's face included; what leaves here is five points, which become a
named, rounded fact of origin "measured" (DESIGN, contract 2).
"""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from safetensors import safe_open

from jaxderm.errors import InputError
from jaxderm.models.landmark_head import SIZE, LandmarkHead, expected_points
from jaxderm.models.weights import unflatten

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "heads" / "landmarks.safetensors"
SCALES = (1.0, 0.66, 0.44, 0.3)  # sides of the squares searched, of the photo's longer side
REFINE = 3  # looks at the face, each framed by the points of the last
FACE_SIDE = 3.3  # of the distance from eyes to mouth: the square of a further look
LARGEST = 4.0  # of the photo's longer side: no face is larger than what shows of it
FACE_LOGIT, CERTAIN = 0.0, 3.0
CANDIDATES = 6  # squares that are looked at further
_FLIPPED = [1, 0, 2, 4, 3]


@functools.cache
def _head():
    with safe_open(WEIGHTS, "np") as file:
        flat = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}
    params = jax.device_put(unflatten(flat))

    def look(params, pictures):
        maps, face = LandmarkHead().apply({"params": params}, pictures)
        return expected_points(maps), face

    shape = jax.ShapeDtypeStruct((2, SIZE, SIZE, 3), jnp.float32)
    return params, jax.jit(look).lower(params, shape).compile()


def find_landmarks(photo: np.ndarray) -> np.ndarray:
    """Landmarks [5,2] float32 in photo pixels of the clearest face in photo [H,W,3] uint8.

    InputError when no face is seen.
    """
    height, width = photo.shape[:2]
    # Far larger than the head sees is only slow.
    factor = max(1, min(height, width) // 512)
    small = np.asarray(Image.fromarray(photo).reduce(factor)) if factor > 1 else photo
    # A clinical portrait fills the photo; only when nothing certain is there, smaller faces are looked for.
    best = _settle(small, _look(small, *next(_squares(*small.shape[:2]))))
    if best is None or best.face < CERTAIN:
        seen = [_look(small, *square) for square in _squares(*small.shape[:2])]
        seen.sort(key=lambda look: -look.face)
        settled = [_settle(small, look) for look in seen[:CANDIDATES]]
        best = max([s for s in [best, *settled] if s], key=lambda look: look.face, default=None)
    if best is None or best.face < FACE_LOGIT:
        raise InputError(
            "no face was found for --landmarks auto; give the five points, or --landmarks none for a "
            "close-up."
        )
    return (best.points * factor).astype(np.float32)


class _Seen(NamedTuple):
    """One look: points [5,2] in pixels, logit of a face, disagreement of the mirror image in face sizes."""

    points: np.ndarray
    face: float
    apart: float


def _size(points: np.ndarray) -> float:
    down = np.linalg.norm(points[3:].mean(0) - points[:2].mean(0))
    return float(max(down, np.linalg.norm(points[1] - points[0]), 4))


def _settle(photo: np.ndarray, seen: _Seen) -> _Seen | None:
    """Further looks, each framed by the points of the last; None where they do not come to rest."""
    for _ in range(REFINE):
        points = seen.points
        middle = (points[:2].mean(0) + points[3:].mean(0)) / 2
        side = FACE_SIDE * _size(points)
        if side > LARGEST * max(photo.shape[:2]):
            return None
        last, seen = seen, _look(photo, *(middle - side / 2), side)
    moved = np.linalg.norm(seen.points - last.points, axis=1).mean() / _size(seen.points)
    steady = moved < 0.1 and seen.apart < 0.15 and _is_plausible(seen.points)
    return seen if steady else None


def _squares(height: int, width: int):
    """(x, y, side) of the squares to look at, the largest first."""
    longer = max(height, width)
    for scale in SCALES:
        side = scale * longer
        steps = [max(1, int(np.ceil((n - side) / (side / 2))) + 1) for n in (height, width)]
        for y in np.linspace(0, height - side, steps[0]) if steps[0] > 1 else [(height - side) / 2]:
            for x in (
                np.linspace(0, width - side, steps[1]) if steps[1] > 1 else [(width - side) / 2]
            ):
                yield float(x), float(y), side


def _look(photo: np.ndarray, x: float, y: float, side: float) -> _Seen:
    """What the head sees in a square, mean of it and its mirror image."""
    picture = cut_square(photo, x, y, side)
    pair = np.stack([picture, picture[:, ::-1]]).astype(np.float32) / 127.5 - 1
    params, program = _head()
    points, face = (np.asarray(v, np.float64) for v in program(params, pair))
    mirrored = points[1][_FLIPPED] * [-1, 1] + [1, 0]
    found = (points[0] + mirrored) / 2 * side + [x, y]
    apart = np.linalg.norm(points[0] - mirrored, axis=1).mean() * side / _size(found)
    return _Seen(found, float(face.mean()), float(apart))


def cut_square(photo: np.ndarray, x: float, y: float, side: float) -> np.ndarray:
    """The square at (x, y) of photo [H,W,3] uint8, beyond it its edge repeated: [128,128,3] uint8."""
    left, top, size = round(x), round(y), max(2, round(side))
    rows = np.clip(np.arange(top, top + size), 0, photo.shape[0] - 1)
    columns = np.clip(np.arange(left, left + size), 0, photo.shape[1] - 1)
    part = Image.fromarray(photo[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    whole = np.asarray(part)[np.ix_(rows - rows[0], columns - columns[0])]
    return np.asarray(
        Image.fromarray(whole).resize(
            (SIZE, SIZE), Image.Resampling.BOX if size > 2 * SIZE else Image.Resampling.BILINEAR
        )
    )


def _is_plausible(points: np.ndarray) -> bool:
    """Eyes apart, above nose and mouth, sides not swapped: a face within 60 degrees of upright."""
    eyes, mouth = points[1] - points[0], points[4] - points[3]
    down = points[3:].mean(0) - points[:2].mean(0)
    height = float(np.linalg.norm(down))
    if (
        height < 4
        or float(np.linalg.norm(eyes)) < 0.25 * height
        or np.linalg.norm(eyes) > 2 * height
    ):
        return False
    across = np.array([down[1], -down[0]]) / height  # to the image's right of a face looking out
    nose = (points[2] - points[:2].mean(0)) @ down / height**2
    return bool(
        eyes @ across > 0 and mouth @ across > 0 and 0 < nose < 1.1 and down[1] > 0.5 * height
    )
