"""Registration of pictures of faces: where each place of one lies in another (Lucas and Kanade 1981, with weights).

Both are planes at the nodes of one grid, brought to one contrast. The flow is found from coarse to fine by local least
squares. Every average is a product with a matrix, and one loop goes through all levels, so that a pair compiles in a moment and
many pairs run as one batch.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from scipy import ndimage


class Level(NamedTuple):
    """Nodes, sigmas: of the local least squares, of what a step of the flow is smoothed by, of what both planes are blurred by."""

    window: float
    even: float
    blur: float


STEPS = 4  # with each level
RIDGE = 0.02  # of the squared gradients: what is flat goes along with its surroundings
FARTHEST = 9.0  # nodes
# Nodes of the means and of the deviations by which contrast becomes one; a deviation below which there is none; the most of it.
MEAN, DEVIATION, NONE, MOST = 9.0, 12.0, 0.03, 2.5


@functools.cache
def _kernel(side: int, sigma: float) -> np.ndarray:
    """[side,side]: averages over sigma nodes, edges repeated."""
    return ndimage.gaussian_filter1d(np.eye(side, dtype=np.float32), sigma, axis=0, mode="nearest")


def smoothed(planes: jax.Array, sigma: float) -> jax.Array:
    """Planes [...,H,W] averaged over sigma nodes."""
    return _averaged(planes, *(_kernel(side, sigma) for side in planes.shape[-2:]))


def _averaged(planes, rows, columns):
    return jnp.einsum("ij,...jk,lk->...il", rows, planes, columns)


def of_one_contrast(plane: jax.Array, weight: jax.Array) -> jax.Array:
    """Plane [H,W] less its surroundings, in deviations there; only what has weight [H,W] counts."""

    def mean(values, sigma):
        return smoothed(values * weight, sigma) / jnp.maximum(smoothed(weight, sigma), 1e-3)

    away = (plane - mean(plane, MEAN)) * weight
    return jnp.clip(away / jnp.sqrt(mean(away**2, DEVIATION) + NONE**2), -MOST, MOST)


def moved(planes: jax.Array, flow: jax.Array) -> jax.Array:
    """Planes [C,H,W] at the places that a flow [2,H,W] (rows, columns) leads to; beyond their edges as there."""
    places = jnp.stack(jnp.mgrid[: planes.shape[1], : planes.shape[2]]) + flow
    return jax.vmap(lambda plane: map_coordinates(plane, list(places), 1, "nearest"))(planes)


def flow_to(
    template: jax.Array,
    plane: jax.Array,
    weight: jax.Array,
    flow: jax.Array,
    levels: Sequence[Level],
) -> jax.Array:
    """[2,H,W] nodes (rows, columns): how far from each node of a template [H,W] its place in a plane [H,W] lies.

    Both `of_one_contrast`; weight [H,W] of the plane; flow [2,H,W]: to begin from; levels: from coarse to fine.
    """
    # [levels,side,side] of each sigma, along rows and along columns.
    kernels = [
        tuple(np.stack([_kernel(side, sigma) for sigma in sigmas]) for side in plane.shape)
        for sigmas in zip(*levels)
    ]

    def step(flow, level):
        window, even, blur = (tuple(jnp.asarray(k)[level] for k in pair) for pair in kernels)
        fixed = _averaged(template, *blur)
        here, counts = moved(jnp.stack([_averaged(plane, *blur), weight]), flow)
        down, along = (g / 2 for g in map(jnp.add, jnp.gradient(fixed), jnp.gradient(here)))
        apart = fixed - here
        products = [down * down, down * along, along * along, down * apart, along * apart]
        a, b, c, u, v = _averaged(counts * jnp.stack(products), *window)
        a, c = a + RIDGE, c + RIDGE
        change = jnp.stack([c * u - b * v, a * v - b * u]) / (a * c - b * b)
        flow = flow + _averaged(change, *even)
        return flow * jnp.minimum(1, FARTHEST / jnp.sqrt((flow**2).sum(0) + 1e-6)), None

    return jax.lax.scan(step, flow, np.repeat(np.arange(len(levels)), STEPS))[0]
