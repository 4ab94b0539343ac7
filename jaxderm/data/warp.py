"""Sampling a picture where a placement and a few features that shall meet send it."""

import numpy as np

REACH = 0.5  # of the points' spread: how far a feature draws its neighbourhood along
LOOSE = 0.8  # share of the misfit that is taken up; rounded landmarks are not exact
KNOTS = 33


def bent_grid(matrix: np.ndarray, target: np.ndarray, source: np.ndarray, size: int) -> np.ndarray:
    """Where the pixels of a frame come from, [S,S,2] (x, y) in [0,1] of the picture.

    matrix [2,3] sends the frame's [0,1] square there; target [K,2] in it shall come from source [K,2].
    """
    places = (np.arange(size) + 0.5) / size
    where = np.stack(np.meshgrid(places, places), -1) @ matrix[:, :2].T + matrix[:, 2]
    if len(target) < 2:
        return where
    misfit = LOOSE * (source - (target @ matrix[:, :2].T + matrix[:, 2]))
    spread = np.linalg.norm(target - target.mean(0), axis=-1).max()
    width = max(2 * REACH * spread, 1e-3)

    def bell(points: np.ndarray) -> np.ndarray:
        apart = np.square(points[..., None, :] - target).sum(-1)
        return np.exp(-0.5 * apart / width**2)

    weights = np.linalg.solve(bell(target) + 1e-2 * np.eye(len(target)), misfit)
    # The bells are wide: a coarse grid of them, and lines between.
    knots = np.linspace(0, 1, KNOTS)
    coarse = bell(np.stack(np.meshgrid(knots, knots), -1)) @ weights
    between = np.maximum(0, 1 - np.abs(places[:, None] - knots) * (KNOTS - 1))
    return where + np.einsum("yj,jkc,xk->yxc", between, coarse, between, optimize=True)


def sample(picture: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Picture [H,W,C] uint8 at `bent_grid`, bilinear, [S,S,C] uint8; beyond its edge its mirror image."""
    height, width = picture.shape[:2]
    top = np.array([width, height], np.float32) - 1.0
    at = grid.astype(np.float32) * (top + 1) - 0.5
    # A limb, hair or a backdrop that goes on mirrored shows less than one drawn out into stripes.
    at = np.clip(top - np.abs(top - np.mod(at, 2 * top)), 0, top)
    low = np.minimum(at.astype(np.int32), (top - 1).astype(np.int32))
    part = (at - low)[..., None].astype(np.float32)
    flat = np.ascontiguousarray(picture).reshape(height * width, -1)
    first = low[..., 1] * width + low[..., 0]
    rows = [
        flat[first + step].astype(np.float32) * (1 - part[..., 0, :])
        + flat[first + step + 1] * part[..., 0, :]
        for step in (0, width)
    ]
    mixed = rows[0] + part[..., 1, :] * (rows[1] - rows[0])
    return (mixed + 0.5).astype(np.uint8)
