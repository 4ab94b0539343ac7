"""Ramps and averages that `settle` and its parts share: of pictures [S,S,C] in [-1,1], weights [S,S] in [0,1]."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

# Radii around eyes, nose, mouth in distances of the eyes (a little less up and down).
FEATURES, EDGE = (0.32, 0.32, 0.2, 0.38), 0.12
EYES, MOUTH, EYES_NOSE_MOUTH = (0, 1), (3,), (0, 1, 2, 3)  # places in FEATURES


def ramp(x, zero: float, one: float) -> np.ndarray:
    """0 up to zero, 1 from one on, linear in between; one may be less than zero."""
    return np.clip((x - zero) / (one - zero), 0, 1)


def smooth(values: np.ndarray, weight: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """(values [S,S,C] averaged by weight [S,S] over sigma px around each place, how much weight is there [S,S])."""
    density = ndimage.gaussian_filter(weight, sigma, truncate=3)
    sums = blurred(values * weight[..., None], sigma)
    return sums / np.maximum(density, 1e-3)[..., None], density


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Picture [S,S,C], each channel by a Gaussian of sigma px."""
    return ndimage.gaussian_filter(picture, (sigma, sigma, 0), truncate=3)


def beside_features(
    landmarks: np.ndarray, size: int, features: Sequence[int] = EYES_NOSE_MOUTH
) -> np.ndarray:
    """0 on the features, of which EYES_NOSE_MOUTH are all, 1 beyond: [S,S] float32, by landmarks [5,2] px."""
    apart = np.linalg.norm(landmarks[1] - landmarks[0])
    y, x = (axis.astype(np.float32) for axis in np.ogrid[:size, :size])
    beside = np.ones((size, size), np.float32)
    places = (*landmarks[:3], landmarks[3:].mean(axis=0))
    for k in features:
        px, py = (float(v) for v in places[k])
        away = np.hypot(x - px, 1.2 * (y - py)) / float(apart)
        beside *= ramp(away, FEATURES[k], FEATURES[k] + EDGE)
    return beside
