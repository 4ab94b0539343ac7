"""Landmark head: where the five points of a face lie in a square picture, and whether there is a face.

0.78 M parameters, 0.2 GFLOP a picture of 128 px; separate from the generator, so that any model can use it.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxderm.models.layers import (
    Conv,
    Dense,
    ResidualBlock,
    downsample,
    leaky_relu,
    space_to_depth,
    upsample,
)

SIZE = 128
GRID = 32  # of the heat maps
POINTS = 5


class LandmarkHead(nn.Module):
    """(heat maps [B,32,32,5] as logits, face [B] as logit) of pictures [B,128,128,3] in [-1,1]."""

    widths: tuple[int, int, int] = (32, 64, 128)

    @nn.compact
    def __call__(self, picture: jax.Array) -> tuple[jax.Array, jax.Array]:
        fine, middle, coarse = self.widths
        x = Conv(fine)(space_to_depth(picture, SIZE // GRID))
        at_32 = x = ResidualBlock(fine)(x)
        x = Conv(middle, 1)(downsample(x))
        at_16 = x = ResidualBlock(middle)(x)
        x = Conv(coarse, 1)(downsample(x))
        for _ in range(2):
            x = ResidualBlock(coarse)(x)
        # The eight by eight cells see the face as a whole: its layout corrects the single points.
        flat = leaky_relu(Conv(8, 1)(x)).reshape(x.shape[0], -1)
        whole = leaky_relu(Dense(coarse)(flat))
        face = Dense(1)(whole)[:, 0]
        x = x + Dense(coarse)(whole)[:, None, None]
        x = upsample(Conv(middle, 1)(x)) + at_16
        x = ResidualBlock(middle)(x)
        x = upsample(Conv(fine, 1)(x)) + at_32
        x = ResidualBlock(fine)(x)
        return Conv(POINTS)(leaky_relu(x)), face


def expected_points(maps: jax.Array) -> jax.Array:
    """Points [B,5,2] (x, y) in [0,1] of the picture: the mean of each heat map around its peak.

    maps [B,g,g,5] logits. Cells further than two from the peak do not count: a second, weaker peak would
    pull the mean off both.
    """
    b, grid = maps.shape[:2]
    flat = jnp.moveaxis(maps, -1, 1).reshape(b, POINTS, grid * grid)
    best = flat.argmax(-1)
    rows, columns = jnp.divmod(jnp.arange(grid * grid), grid)
    near = (jnp.abs(rows - best[..., None] // grid) <= 2) & (
        jnp.abs(columns - best[..., None] % grid) <= 2
    )
    share = jax.nn.softmax(jnp.where(near, flat, -jnp.inf), -1)
    return jnp.stack([share @ (columns + 0.5), share @ (rows + 0.5)], -1) / grid
