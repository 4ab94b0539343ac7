"""What a refiner leaves on a person that no photograph has: patches on skin, coloured rims.

A refined frame is its exemplar and a change. Where the change lays hair, shade or pallor over half of a forehead that
the exemplar shows bare, the two mix to a patch; where an outline moved, its two edges leave a rim of another hue. Both
are told by size and depth, from the frame, the exemplar and the place of what is kept: no pixel of a photograph is read.
"""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import lab_to_rgb, rgb_to_lab
from jaxderm.data.exemplars import Exemplar

# Of the frame: what is smaller (a wrinkle; grain) is no patch, no edge of one.
PATCH, FINE = 0.024, 0.01
# Of [-1,1]: departures from the light over the skin that are surely none, and one.
DEPTH = 0.08, 0.18
LEVELS = 0.06  # what is left of one
NEAR = 0.03  # of the frame: how far skin goes on from the kept
ROUNDS = 3  # of the robust fit of that light
RIM = 3  # window of the median, in samples of hue, which are two pixels wide as in most JPEG files


def settled(frame: np.ndarray, exemplar: Exemplar, mask: np.ndarray) -> np.ndarray:
    """Frame [S,S,3] in [-1,1] of a refined exemplar without patches on its skin and rims of another hue.

    mask [S,S]: what is kept; near it the skin is as refined, since it goes on from the kept skin.
    """
    before = exemplar.picture.astype(np.float32) / 127.5 - 1
    far = ndimage.distance_transform_edt(mask < 0.5) / len(mask) if mask.any() else np.inf
    skin = exemplar.skin.astype(np.float32) / 255
    frame = _without_patches(frame, before, skin, 1 - np.exp(-0.5 * np.square(far / NEAR)))
    return _without_rims(frame)


def _without_patches(frame, exemplar, skin, share) -> np.ndarray:
    """Where the change of skin departs from light over it by more than skin does, it is held to LEVELS around it."""
    size = len(frame)
    if skin.mean() < 0.01:
        return frame
    change = frame - exemplar
    coarse, density = _smooth(change, skin, PATCH * size)
    light = _light(coarse, skin)
    depth = np.linalg.norm(coarse - light, axis=-1)
    patch = np.clip((depth - DEPTH[0]) / (DEPTH[1] - DEPTH[0]), 0, 1)
    # As far as its edge goes.
    edge = PATCH * size / 2
    patch = ndimage.grey_dilation(patch, size=2 * round(edge) + 1)
    patch = ndimage.gaussian_filter(patch, edge)
    # Not in a gap of hair or a collar.
    patch *= share * skin * np.clip(2 * density - 1, 0, 1)
    fine = _smooth(change, skin, FINE * size)[0] - light
    depth = np.linalg.norm(fine, axis=-1, keepdims=True)
    excess = fine * (1 - np.minimum(1, LEVELS / np.maximum(depth, 1e-6)))
    return frame - patch[..., None] * excess


def _smooth(change: np.ndarray, skin: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """(change [S,S,3] averaged over the skin around each place, how much skin is there [S,S])."""
    density = ndimage.gaussian_filter(skin, sigma, truncate=3)
    sums = [ndimage.gaussian_filter(change[..., i] * skin, sigma, truncate=3) for i in range(3)]
    return np.stack(sums, -1) / np.maximum(density, 1e-3)[..., None], density


def _light(change: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """The linear function of place [S,S,3] nearest to a change on the skin, in absolute value."""
    place = np.linspace(-1, 1, len(change), dtype=np.float32)
    y, x = np.meshgrid(place, place, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y], -1)
    some = np.zeros(skin.shape, bool)
    some[::4, ::4] = True  # it is smooth
    some &= skin > 0.5
    if some.sum() < 50:
        return np.zeros_like(change)
    a, b = terms[some].astype(np.float64), change[some].astype(np.float64)
    weight = np.ones(len(a))
    for _ in range(ROUNDS):
        weighed = a * weight[:, None]
        fit = np.linalg.solve(a.T @ weighed + 1e-3 * len(a) * np.diag([0, 1, 1]), weighed.T @ b)
        weight = 1 / np.maximum(np.linalg.norm(b - a @ fit, axis=1), 0.02)
    return (terms @ fit).astype(np.float32)


def _without_rims(frame: np.ndarray) -> np.ndarray:
    """The frame with the median of its hue over a few pixels; lightness stays."""
    lab = rgb_to_lab(np.clip((frame + 1) / 2, 0, 1))
    size = len(lab)
    half = lab[..., 1:].reshape(size // 2, 2, size // 2, 2, 2).mean((1, 3))
    for channel in range(2):
        hue = ndimage.median_filter(half[..., channel], RIM)
        lab[..., 1 + channel] = ndimage.zoom(hue, 2, order=1, grid_mode=True, mode="nearest")
    return 2 * lab_to_rgb(lab) - 1
