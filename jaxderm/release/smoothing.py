"""Ramps and averages that `settle` and its parts share: of pictures [S,S,C] in [-1,1], weights [S,S] in [0,1]."""

import numpy as np
from scipy import ndimage

NEAR = 0.03  # of the frame: how far skin goes on from the kept


def ramp(x: np.ndarray | float, zero: float, one: float) -> np.ndarray | float:
    """0 up to zero, 1 from one on, linear in between, of numbers or of one; one may be less than zero."""
    share = np.clip((x - zero) / (one - zero), 0, 1)
    return share if np.ndim(share) else float(share)  # NumPy's own float would make float32 float64


def beside_kept(mask: np.ndarray) -> np.ndarray:
    """0 at what is kept [S,S], 1 far off: near it all stays as refined, since it goes on from the kept skin."""
    if not mask.any():
        return np.ones(mask.shape, np.float32)
    far = ndimage.distance_transform_edt(mask < 0.5).astype(np.float32) / len(mask)
    return 1 - np.exp(-0.5 * np.square(far / NEAR))


def smooth(values: np.ndarray, weight: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """(values [S,S,C] averaged by weight [S,S] over sigma px around each place, how much weight is there [S,S])."""
    density = ndimage.gaussian_filter(weight, sigma, truncate=3)
    sums = blurred(values * weight[..., None], sigma)
    return sums / np.maximum(density, 1e-3)[..., None], density


def squares(vectors: np.ndarray) -> np.ndarray:
    """Squared lengths [...] of vectors [...,C]."""
    return np.einsum("...c,...c", vectors, vectors)


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Picture [S,S,C], each channel by a Gaussian of sigma px."""
    return ndimage.gaussian_filter(picture, (sigma, sigma, 0), truncate=3)
