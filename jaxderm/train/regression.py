"""What faces at the nodes have in common by terms, robustly, and the first components of what is left."""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA

# Robustly: a normal distribution's deviation by its median; rounds; deviations beyond which a value counts less; logarithms below which no deviation is.
DEVIATION, ROUNDS, BEYOND, LEAST_DEVIATION = 1.48, 3, 1.7, 0.02
# Of what differs from face to face: logarithms that one differs by at most.
MOST = 0.6


def regressed(
    light: np.ndarray, weight: np.ndarray, terms: np.ndarray, ridges: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """(Coefficients [T,3,H,W] of light [N,3,H,W], of which weight [N,H,W] counts, by terms [N,T]; luma left [N,H,W])."""
    coefficients, left = [], 0.0
    weights = weight.reshape(len(light), -1)
    for part, plane in zip(LUMA, np.moveaxis(light, 1, 0)):
        values, counts = plane.reshape(len(light), -1), weights
        for _ in range(ROUNDS):
            squares = np.einsum("ni,nj,np->pij", terms, terms, counts, optimize=True)
            sums = np.einsum("ni,np->pi", terms, counts * values, optimize=True)
            found = np.linalg.solve(squares + np.diag(ridges), sums[..., None])[..., 0].T
            away = values - terms @ found
            deviation = DEVIATION * np.median(np.abs(away), 0) + LEAST_DEVIATION
            counts = weights / (1 + np.square(away / (BEYOND * deviation)))
        coefficients.append(found.reshape(-1, *light.shape[2:]))
        left = left + part * away.reshape(weight.shape)
    return np.stack(coefficients, 1), left


def modes_of(apart: np.ndarray, count: int, broad: float) -> np.ndarray:
    """The first modes [K,H,W] of how faces' light differs [N,H,W]: principal components, of one deviation each.

    broad: nodes over which it is even. Each face and its mirror image are faces.
    """
    apart = ndimage.gaussian_filter(np.clip(apart, -MOST, MOST), (0, broad, broad))
    return components(np.concatenate([apart, apart[..., ::-1]]), count)


def components(planes: np.ndarray, count: int) -> np.ndarray:
    """The first principal components [K,...] of planes [N,...] whose mean is 0, of one deviation each."""
    rows = planes.reshape(len(planes), -1)
    _, deviations, modes = np.linalg.svd(rows, full_matrices=False)
    modes = modes[:count] * (deviations[:count, None] / np.sqrt(len(rows)))
    return modes.reshape(-1, *planes.shape[1:]).astype(np.float32)
