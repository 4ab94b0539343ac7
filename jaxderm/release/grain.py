"""Grain: noise that makes a generated surround as detailed as the kept skin beside it.

A function of the kept pixels and mask, the surround itself and the seed's generator, as everything in `compose`.
"""

import functools
import math

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA

# Gaussian sigmas in photo pixels that bound the bands of grain; in larger frames they go on alike.
SCALES = 0.8, 2.0
TOGETHER = 0.5  # correlation of the noise in both: white noise has 1, compressed pictures less
MAX_GRAIN = 5.0  # standard deviation a band, levels of 255
VIEWED = 1000  # px of a frame's side at which its detail is judged
# Gaussian sigmas of that detail, in photo pixels, and in those of a larger frame reduced to VIEWED.
SEEN = 0.5, 1.2
OUTER = 0.75  # of the margin from its edge: beyond lies what is just outside the drawn mask
LIKE = 0.7, 1.4  # light on skin by which the surround is judged, in the kept skin's
STRENGTHS = 0.3, 1.7  # of the grain for that
LIGHTS = 0.25, 1.0  # bounds of the light on a place, as a multiple of that where grain is measured
NOISE_TILE = 512


class Grain:
    """Noise in bands that makes the surround as grainy as the kept skin at the rim.

    photo [h,w,3] uint8 and kept [h,w] bool on the release's rectangle, of a frame of `side` px. First `match` with the
    part of the surround that `sample` names ((rows), (columns)), then `add` to strips from top to bottom.
    """

    def __init__(
        self, photo: np.ndarray, kept: np.ndarray, margin_px: float, side: int, rng
    ) -> None:
        self.rng, self.amounts = rng, None
        self.tile: np.ndarray | None = None
        # What is seen of a frame at VIEWED px.
        shrunk = max(1.0, side / VIEWED)
        self.seen = SEEN[0] * shrunk, SEEN[1] * shrunk
        self.scales = SCALES
        while self.scales[-1] < self.seen[1]:
            self.scales += (self.scales[-1] * SCALES[1] / SCALES[0],)
        rows, columns = np.flatnonzero(kept.any(1)), np.flatnonzero(kept.any(0))
        self.sample = _around(kept, rows, columns)
        self.outside = ~kept[tuple(slice(*part) for part in self.sample)]
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        inside = kept[box]
        if inside.sum() < 200:
            return
        # Skin and not lesion: the outer part of the margin, or of kept where there is none.
        depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
        reach = max(OUTER * margin_px, 1.0) if margin_px >= 1 else 0.35 * depth.max()
        outer = inside & (depth <= reach)
        luminance = np.where(inside, photo[box] @ LUMA, 0).astype(np.float32)
        # Shadows carry less grain; how light is meant is where it is measured, so that dark skin has its own.
        self.light = max(float(luminance[outer].mean()) / 255, 0.02)
        spreads, bands = [], _bands(luminance, inside, self.scales)
        for band, valid in [*bands, _seen(luminance, inside, self.seen)]:
            values = band[valid & outer]
            spreads.append(min(_spread(values), MAX_GRAIN) if len(values) >= 50 else 0.0)
        *self.amounts, self.detail = spreads

    def match(self, sample: np.ndarray) -> None:
        """Make the noise that a surround lacks, by a part of it [h,w,3] float32 in [0,1]."""
        if self.amounts is None:
            return
        own = 255 * sample @ LUMA
        light = own / (255 * self.light)
        like = self.outside & (light > LIKE[0]) & (light < LIKE[1])  # and no hair, lip or eye
        everywhere = np.ones(own.shape, bool)
        for wider in (self.outside, everywhere):
            like = like if like.sum() >= 500 else wider
        tile = np.zeros((NOISE_TILE, NOISE_TILE), np.float32)
        bands = _bands(own, everywhere, self.scales)
        for amount, (band, _), noise in zip(self.amounts, bands, _unit_noise(self.scales)):
            tile += math.sqrt(max(amount**2 - _spread(band[like]) ** 2, 0.0)) * noise
        if not tile.any():
            return
        # Skin's detail is no Gaussian noise, and bands overlap: as strong as makes the sum right.
        noise = tile[: len(own), : own.shape[1]] * np.clip(light, *LIGHTS)
        low, high = STRENGTHS
        for _ in range(6):
            middle = (low + high) / 2
            both, _ = _seen(np.round(own + middle * noise), everywhere, self.seen)
            low, high = (middle, high) if _spread(both[like]) < self.detail else (low, middle)
        tile = np.roll(tile, self.rng.integers(0, NOISE_TILE, 2), (0, 1))
        self.tile = (low + high) / 2 / 255 * tile

    def add(self, surround: np.ndarray) -> None:
        """Add noise to a strip [h,w,3] float32 in [0,1] in place; strips but the last are whole tiles."""
        if self.tile is None:
            return
        for y in range(0, surround.shape[0], NOISE_TILE):
            for x in range(0, surround.shape[1], NOISE_TILE):
                part = surround[y : y + NOISE_TILE, x : x + NOISE_TILE]
                noise = self.tile[: part.shape[0], : part.shape[1]]
                light = part @ (LUMA / self.light)
                part += (noise * np.clip(light, *LIGHTS, out=light))[..., None]


def _bands(
    plane: np.ndarray, mask: np.ndarray, scales: tuple[float, ...]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Band-passed luminance and where it is valid, by normalised convolution within the mask."""
    levels, weights = [plane], [mask.astype(np.float32)]
    for sigma in scales:
        weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma, truncate=3)
        blurred = ndimage.gaussian_filter(np.where(mask, plane, 0), sigma, truncate=3)
        levels.append(blurred / np.maximum(weight, 1e-3))
        weights.append(weight)
    return [(levels[i] - levels[i + 1], mask & (weights[i + 1] > 0.97)) for i in range(len(scales))]


def _seen(
    plane: np.ndarray, mask: np.ndarray, scales: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Luminance between two Gaussian sigmas and where it is valid."""
    (first, valid), (second, whole) = _bands(plane, mask, scales)
    return second, valid & whole


def _around(kept: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple:
    """((rows), (columns)) of a part of the picture on kept's edge: all of it, or where its top is."""
    at = (rows, columns)
    if max(rows[-1] - rows[0], columns[-1] - columns[0]) > 256:
        top = np.flatnonzero(kept[rows[0]])
        at = (rows[:1], top[len(top) // 2 :][:1])
    return tuple(
        (max(int(x[0]) - 96, 0), min(int(x[-1]) + 97, extent)) for x, extent in zip(at, kept.shape)
    )


def _spread(values: np.ndarray) -> float:
    """Robust standard deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


@functools.cache
def _unit_noise(scales: tuple[float, ...]) -> tuple[np.ndarray, ...]:
    """A tile [NOISE_TILE,NOISE_TILE] a band, standard deviation 1, that tiles without a seam.

    The same for every release: each is laid out by a shift of its own (`Grain.match`).
    """
    rng, tiles, lower, before = np.random.default_rng(0), [], 0.0, None
    for sigma in scales:
        noise = rng.standard_normal((NOISE_TILE, NOISE_TILE), np.float32)
        if before is not None:
            # Neighbouring bands of a photograph's grain are partly the same noise, and their powers add.
            noise = TOGETHER * before + math.sqrt(1 - TOGETHER**2) * noise
        fine = ndimage.gaussian_filter(noise, lower, mode="wrap") if lower else noise
        band = fine - ndimage.gaussian_filter(noise, sigma, mode="wrap")
        tiles.append(band / band.std())
        lower, before = sigma, noise
    return tuple(tiles)
