"""Procedural lesions painted into training pictures, so that odd pixels are normal for the encoder."""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import lab_to_rgb, rgb_to_lab

# Lab offset from the local skin (L, a, b), how much it varies within the lesion, and its texture.
KINDS = {
    "naevus": ((-22, 3, 3), 0.25, "smooth"),
    "melanoma": ((-32, 2, -6), 0.7, "patchy"),
    "seborrhoeic_keratosis": ((-18, 2, 4), 0.5, "rough"),
    "basal_cell_carcinoma": ((-4, 10, -1), 0.5, "smooth"),
    "squamous_cell_carcinoma": ((-6, 14, 3), 0.6, "rough"),
    "pyogenic_granuloma": ((-16, 26, 10), 0.3, "dome"),
    "eczema": ((-4, 11, 2), 0.7, "patchy"),
    "psoriasis": ((2, 14, 1), 0.6, "scale"),
    "vitiligo": ((16, -4, -5), 0.2, "smooth"),
    "haemangioma": ((-14, 24, 4), 0.3, "smooth"),
    "acne": ((-6, 16, 4), 0.4, "dome"),
    "crust": ((-26, 8, 2), 0.8, "rough"),
}


def _noise(rng: np.random.Generator, size: int, cell: int) -> np.ndarray:
    """Smooth noise [size,size] in about [-1,1]: bilinear between a coarse grid of normals."""
    n = size // cell + 2
    coarse = rng.normal(0, 0.6, (n, n)).astype(np.float32)
    return ndimage.zoom(coarse, (size + cell) / n, order=1, grid_mode=True, mode="nearest")[
        :size, :size
    ]


def paint(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Image [S,S,3] uint8 with a lesion of a random kind inside mask [S,S] bool; outside unchanged."""
    if not mask.any():
        return image
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside, patch = mask[box], image[box]
    height, width = inside.shape
    size = max(height, width)
    offset, variation, texture = KINDS[list(KINDS)[rng.integers(len(KINDS))]]
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    edge = rng.uniform(0.5, 0.25 * max(depth.max(), 2.0) + 0.5)
    alpha = np.clip(depth / edge, 0, 1)
    coarse = _noise(rng, size, max(size // 3, 2))[:height, :width]
    fine = _noise(rng, size, 2)[:height, :width]
    strength = 1 + variation * coarse
    if texture == "patchy":
        alpha = alpha * np.clip(0.75 + 0.8 * coarse, 0, 1)
    elif texture == "dome":
        strength = strength * (0.6 + 0.5 * np.sqrt(depth / depth.max()))
    lab = rgb_to_lab(patch)
    change = np.array(offset, np.float32) * rng.uniform(0.7, 1.25)
    if change[0] < 0:  # dark skin has less room below
        change[0] *= np.clip(float(np.median(lab[inside][:, 0])) / 60, 0.35, 1.1)
    lab = lab + (alpha * strength)[..., None] * change
    if texture in ("rough", "scale"):
        lab[..., 0] += alpha * fine * (7 if texture == "rough" else 4)
    if texture == "scale":
        lab += (alpha * np.clip(2 * coarse + fine, 0, 1))[..., None] * np.array(
            [14, -9, -3], np.float32
        )
    if texture == "dome" and depth.max() > 3:
        y, x = np.unravel_index(np.argmax(depth), depth.shape)
        yy, xx = np.mgrid[:height, :width]
        r = depth.max()
        gloss = np.exp(-(((yy - y + 0.3 * r) ** 2 + (xx - x + 0.3 * r) ** 2) / (0.12 * r * r + 1)))
        lab[..., 0] += 25 * gloss * alpha
    painted = np.round(255 * lab_to_rgb(lab)).astype(np.uint8)
    result = image.copy()
    result[box] = np.where(inside[..., None], painted, patch)
    return result
