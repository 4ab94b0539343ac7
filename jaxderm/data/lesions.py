"""Lesions painted into training pictures, so that odd pixels are normal for the encoder.

The looks are those of rendered people (lesion_looks.py), on the plane of the picture and in the shape of
a given mask.
"""

import functools

import numpy as np
from scipy import ndimage

from jaxderm.data import lesion_looks
from jaxderm.data.lesion_looks import KINDS, Changes, smoothstep

# Absorption (R, G, B) of a unit of melanin, haemoglobin and venous blood: mean slopes of data/pigment.py.
_MELANIN = np.array([2.7, 3.6, 4.3], np.float32)
_HAEMOGLOBIN = np.array([0.07, 0.42, 0.30], np.float32)
_VENOUS = np.array([0.30, 0.10, -0.02], np.float32)
_GREEN = np.array([231, 206, 168, 139, 102, 67, 43, 30], float)  # of skin from light to dark
# The palest that skin without melanin gets; without it a bright picture would bleach to white.
_PALEST = np.array([0.86, 0.70, 0.61], np.float32)
_TURN = np.array([[0.8, -0.6], [0.6, 0.8]])  # so that no octave's grid lies along the picture's
_HORN = np.array([0.88, 0.80, 0.71], np.float32)
_LINEAR = np.arange(256, dtype=np.float32) / 255
_LINEAR = np.where(_LINEAR <= 0.04045, _LINEAR / 12.92, ((_LINEAR + 0.055) / 1.055) ** 2.4)
_LINEAR = _LINEAR.astype(np.float32)


@functools.cache
def _lattice() -> np.ndarray:
    return np.random.default_rng(11).random((128, 128), np.float32) * 2 - 1


def _planar_noise(place: np.ndarray, pixel: float, seed: int) -> lesion_looks.Noise:
    """Noise on the plane: place [N,2] in radii; octaves finer than two pixels are left out."""

    def noise(frequency: float, octaves: int, salt: int) -> np.ndarray:
        total, strength, turned = np.zeros(len(place), np.float32), 1.0, place
        for octave in range(octaves):
            now = frequency * 2.03**octave
            fade = float(smoothstep(np.asarray(now * pixel), 1.0, 0.4))
            if fade == 0.0:
                break
            shift = np.array(
                [(seed + 31 * salt + octave) * 17.3 % 113, (seed * 5.7 + salt * 7.1) % 109]
            )
            turned = turned @ _TURN
            at = turned * now + shift
            whole = np.floor(at)
            part = at - whole
            at = (whole + part * part * (3 - 2 * part)).T
            total += strength * fade * ndimage.map_coordinates(
                _lattice(), at, order=1, mode="grid-wrap", prefilter=False
            )  # fmt: skip
            strength *= 0.55
        return total

    return noise


def paint(
    rng: np.random.Generator, image: np.ndarray, mask: np.ndarray, kind: str | None = None
) -> np.ndarray:
    """Image [S,S,3] uint8 with a lesion inside mask [S,S] bool; outside unchanged. kind: random by default."""
    if not mask.any():
        return image
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside = mask[box]
    drawn = list(KINDS)[rng.integers(len(KINDS))]
    kind = drawn if kind is None else kind
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1][inside]
    where = np.argwhere(inside).astype(np.float32)
    radius = max(0.25 * (inside.shape[0] + inside.shape[1]), 1.0)
    place = (where[:, ::-1] - where[:, ::-1].mean(0)) / radius
    deepest = depth.max()
    away = 1 - depth / deepest * (1 - 0.5 / deepest)
    edge = rng.uniform(0.5, 0.25 * max(deepest, 2.0) + 0.5) * min(1.0, 0.3 + 4 * KINDS[kind].soft)
    coverage = np.clip(depth / max(edge, 0.5), 0, 1)
    pixels = image[box][inside]
    green = float(np.median(pixels[:, 1]))
    melanin = float(np.interp(-green, -_GREEN, np.linspace(0, 1, len(_GREEN))))
    noise = _planar_noise(place, 1 / radius, int(rng.integers(10000)))
    changes = lesion_looks.look(kind, rng, place, away, coverage, melanin, 1.0, noise)
    light = np.array([rng.normal() * 0.5, -rng.uniform(0.3, 1.0)])
    result = image.copy()
    view = result[box]
    view[inside] = _lit(
        pixels, changes, inside, radius, light / np.hypot(*light), rng.uniform(0.7, 1.25)
    )
    return result


def _lit(pixels, changes: Changes, inside, radius: float, light, strength: float) -> np.ndarray:
    """Pixels [N,3] uint8 with the changes applied, relief lit from `light` (x, y)."""
    absorbed = (
        changes.melanin[:, None] * _MELANIN
        + changes.haemoglobin[:, None] * _HAEMOGLOBIN
        + changes.venous[:, None] * _VENOUS
    )
    before = _LINEAR[pixels]
    grain = before.mean(1, keepdims=True)
    pale = _PALEST * np.clip(grain / max(float(np.median(grain)), 1e-4), 0.6, 1.3)
    colour = np.minimum(before * np.exp(-strength * absorbed), np.maximum(before, pale))
    bright = np.sqrt(colour.mean(1, keepdims=True))
    horn = 0.75 * changes.scale[:, None]
    colour = colour * (1 - horn) + _HORN * (0.45 + 0.55 * bright) * horn
    height = np.zeros(inside.shape, np.float32)
    height[inside] = changes.height * radius
    down, across = (np.gradient(np.pad(height, 1), axis=k)[1:-1, 1:-1][inside] for k in (0, 1))
    slope = -(across * light[0] + down * light[1])
    steep = np.sqrt(1 + across**2 + down**2)
    colour = colour * np.clip(1 + 0.45 * slope / steep, 0.6, 1.4)[:, None]
    shine = changes.gloss * np.exp(-(((slope / steep - 0.45) / 0.13) ** 2)) * (height[inside] > 0)
    colour = np.clip(colour + 0.35 * shine[:, None], 0, 1)
    srgb = np.where(
        colour <= 0.0031308, 12.92 * colour, 1.055 * np.maximum(colour, 1e-6) ** (1 / 2.4) - 0.055
    )
    return np.round(255 * srgb).astype(np.uint8)
