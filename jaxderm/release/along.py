"""Averages along strokes: where they go is told by a picture, what lies along stays and all else is lost.

Line integral convolution (Cabral and Leedom 1993) by directions of the structure tensor (Bigun and Granlund 1987), which
is told at half the size: what is [S,S] has an even S.
"""

import numpy as np
from scipy import ndimage

from jaxderm.release.pyramid import halved


def tensor(luma: np.ndarray) -> np.ndarray:
    """Structure tensor of a luma [S,S]: squared slopes to the right and down, and their product, [S/2,S/2,3]."""
    down, right = np.gradient(ndimage.gaussian_filter(halved(luma), 0.7))
    return np.stack([right * right, down * down, right * down], -1)


def agreement(tensors: np.ndarray) -> np.ndarray:
    """How much the strokes that a tensor [...,3] is an average of go one way: 0 any, 1 one."""
    xx, yy, xy = np.moveaxis(tensors, -1, 0)
    return np.hypot(xx - yy, 2 * xy) / np.maximum(xx + yy, 1e-6)


def directions(tensors: np.ndarray) -> np.ndarray:
    """Unit vectors (down, right) [...,2] along strokes of tensors [...,3]; they have no sign."""
    xx, yy, xy = np.moveaxis(tensors, -1, 0)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.float32(np.pi / 2)  # along strokes, not across
    return np.stack([np.sin(angle), np.cos(angle)], -1)


def paths(where: np.ndarray, ways: np.ndarray, length: int) -> list[list[np.ndarray]]:
    """Of each pixel that is where [S,S] the flat indices [N] of those along its path: itself, and `length` to either side.

    ways [S/2,S/2,2]: `directions`.
    """
    size = len(where)
    here = np.flatnonzero(where > 0.02).astype(np.int32)
    down, right = (
        np.repeat(np.repeat(d, 2, 0), 2, 1).astype(np.float32).ravel()
        for d in np.moveaxis(ways, -1, 0)
    )
    both = []
    for sign in (1, -1):
        # The half is for rounding.
        y, x = (at.astype(np.float32) + 0.5 for at in np.divmod(here, size))
        dy, dx = sign * down[here], sign * right[here]
        side = [here]
        for _ in range(length):
            y, x = np.clip(y + dy, 0, size - 1), np.clip(x + dx, 0, size - 1)
            index = y.astype(np.int32) * size + x.astype(np.int32)
            side.append(index)
            next_dy, next_dx = down[index], right[index]
            # A direction has no sign: go on, not back.
            on = np.copysign(np.float32(1), next_dy * dy + next_dx * dx)
            dy, dx = on * next_dy, on * next_dx
        both.append(side)
    return both


def means(values: np.ndarray, weights: np.ndarray, both: list[list[np.ndarray]]) -> np.ndarray:
    """Values [S,S,C] averaged along `paths` by weights [S,S]; beyond the pixels that have one as they are."""
    flat, weight = (values * weights[..., None]).reshape(-1, values.shape[-1]), weights.ravel()
    forth, back = both
    here = forth[0]
    sums, total = flat[here], weight[here]
    for index in forth[1:] + back[1:]:
        sums += np.take(flat, index, axis=0)
        total += np.take(weight, index)
    out = values.reshape(flat.shape).copy()
    out[here] = sums / np.maximum(total, 1e-6)[:, None]
    return out.reshape(values.shape)
