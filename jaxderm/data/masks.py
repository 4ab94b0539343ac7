"""Keep-masks for training: lesion-like blobs on skin."""

import numpy as np
from scipy import ndimage

MIN_SHARE, MAX_SHARE = 0.001, 0.3
MIN_LARGE, MAX_LARGE = 0.2, 0.6


def face_region(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The whole face as an ellipse, eyes and lips too: [H,W] bool; where a mask may lie."""
    if np.isnan(landmarks).any():
        return np.zeros(shape, bool)
    middle, chin = landmarks[:2].mean(0), landmarks[3:].mean(0)
    size = np.linalg.norm(chin - middle)
    centre = middle + 0.4 * (chin - middle)
    y, x = np.ogrid[: shape[0], : shape[1]]
    return ((x - centre[0]) / (0.85 * size)) ** 2 + ((y - centre[1]) / (1.2 * size)) ** 2 < 1


def blob(rng: np.random.Generator, size: int, centre: np.ndarray, radius: float) -> np.ndarray:
    """One lesion-like blob [size,size] bool: an ellipse with a smooth irregular outline."""
    angle, ratio = rng.uniform(0, np.pi), rng.uniform(0.55, 1.0)
    waves, phases = rng.normal(0, 0.22, 5) / np.arange(2, 7), rng.uniform(0, 2 * np.pi, 5)
    reach = radius * (1 + np.abs(waves).sum()) / np.sqrt(ratio) + 1  # only this box is worked on
    low = np.clip(np.floor(centre - reach), 0, size).astype(int)
    high = np.clip(np.ceil(centre + reach) + 1, 0, size).astype(int)
    dx = np.arange(low[0], high[0], dtype=np.float32)[None] - centre[0]
    dy = np.arange(low[1], high[1], dtype=np.float32)[:, None] - centre[1]
    u = (np.cos(angle) * dx + np.sin(angle) * dy) / np.sqrt(ratio)
    v = (-np.sin(angle) * dx + np.cos(angle) * dy) * np.sqrt(ratio)
    theta = np.arctan2(v, u)
    outline = np.ones_like(theta)
    for order, wave, phase in zip(range(2, 7), waves, phases):
        outline += wave * np.cos(order * theta + phase)
    mask = np.zeros((size, size), bool)
    mask[low[1] : high[1], low[0] : high[0]] = np.hypot(u, v) < radius * np.maximum(outline, 0.3)
    return mask


def draw_mask(rng: np.random.Generator, skin: np.ndarray) -> np.ndarray:
    """A lesion-like mask on skin [S,S] bool: 0.1 to 30 % of the frame, one to twelve pieces."""
    size = skin.shape[0]
    where = np.flatnonzero(skin)
    if not len(where):
        skin = np.zeros_like(skin)
        skin[size // 4 : -size // 4, size // 4 : -size // 4] = True
        where = np.flatnonzero(skin)
    share = np.exp(rng.uniform(np.log(MIN_SHARE), np.log(MAX_SHARE)))
    pieces = 1 if rng.random() < 0.65 else int(rng.integers(2, 13))
    parts = rng.dirichlet(np.full(pieces, 2.0)) * share
    mask = np.zeros((size, size), bool)
    for part in parts:
        y, x = divmod(int(rng.choice(where)), size)
        radius = max(size * np.sqrt(part / np.pi), 0.8)
        mask |= blob(rng, size, np.array([x, y], np.float32), radius)
    inside = mask & skin
    return inside if inside.any() else _dot(where, rng, size)


def draw_large(rng: np.random.Generator, skin: np.ndarray) -> np.ndarray:
    """What of a blob of 20 to 60 % of the frame lies on skin [S,S] bool: much of a face, to be continued."""
    size, where = skin.shape[0], np.flatnonzero(skin)
    if not len(where):
        return draw_mask(rng, skin)
    y, x = divmod(int(rng.choice(where)), size)
    radius = size * np.sqrt(rng.uniform(MIN_LARGE, MAX_LARGE) / np.pi)
    inside = blob(rng, size, np.array([x, y], np.float32), radius) & skin
    return inside if inside.any() else _dot(where, rng, size)


def _dot(where: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask.flat[rng.choice(where)] = True
    return mask


def grow(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """The mask with a margin as at a release: about 10 % of its diameter, at least a pixel."""
    diameter = 2 * np.sqrt(mask.sum() / np.pi)
    steps = int(max(1, round(rng.uniform(0.5, 1.5) * 0.1 * diameter)))
    return ndimage.binary_dilation(mask, iterations=steps)
