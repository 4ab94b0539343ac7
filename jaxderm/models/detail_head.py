"""Detail head: what photographs of faces show that is finer than some pixels, as a change of a frame's light.

61,000 parameters, 1.2 GFLOP a look at a frame of 256 px; separate from the refiner, whose frames it is trained on. It sees the
logarithm of luma, so that detail of dark skin weighs as much as that of light skin, and it changes luma only, and only
what an average over COARSE px takes away: hue, tone and shape stay.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA, Sex
from jaxderm.face import face_coordinates
from jaxderm.models.layers import (
    Conv,
    ResidualBlock,
    depth_to_space,
    downsample,
    leaky_relu,
    space_to_depth,
    upsample,
)

APART = 72.0  # px between the eyes of the frames that it is trained on
BLOCK = 4  # sides that it takes are multiples of it
BLACK = 0.08  # luma of [0,1] that is added before the logarithm, which noise in the dark would fill
LOCAL = 6.0  # px, sigma: what is wider is a place's light, what is finer its contrast
COARSE = 2.5  # px, sigma: what is wider stays as it is
CONTRAST = 0.15  # of the logarithm: about the contrast of a face
ACROSS, DOWN, BELOW = 1.5, 1.7, 0.3  # coordinates of a face beyond which all is one place
# Ages that are told apart, of which portraits have hardly any others; middle and unit of what is said of them.
YOUNG, OLD, MIDDLE, YEARS = 43.0, 75.0, 55.0, 20.0
CHANNELS = 7  # of what the head sees: `seen`, facts, noise
# Takes a pattern of every other pixel, which networks that double sides leave, and hardly anything else.
NOT_EVERY_OTHER = np.array([-1, 4, 10, 4, -1], np.float32) / 16
# A mouth, in coordinates of a face: half axes, softness of its edge. Most portraits' show teeth, no release's does.
LIPS, LIPS_EDGE = (0.65, 0.35), 0.2


def light(frame: np.ndarray) -> np.ndarray:
    """Logarithm of the luma of a frame [S,S,3] in [-1,1] and BLACK, without NOT_EVERY_OTHER's pattern: [S,S] float32."""
    luma = (frame + 1) @ (LUMA / 2)
    for axis in (0, 1):
        luma = ndimage.convolve1d(luma, NOT_EVERY_OTHER, axis)
    return np.log(np.maximum(luma, 0) + BLACK).astype(np.float32)


def seen(light: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """[S,S,4] of light [S,S] and landmarks [5,2] px: contrast, its surroundings, coordinates of the face.

    ValueError where the face lies nowhere.
    """
    place = face_coordinates(landmarks, light.shape)
    if place is None:
        raise ValueError("an eye or a mouth corner is unknown")
    around = ndimage.gaussian_filter(light, LOCAL)
    across, down = (np.broadcast_to(axis, light.shape) for axis in place)
    across, down = np.clip(across, -ACROSS, ACROSS), np.clip(down - BELOW, -DOWN, DOWN)
    return np.stack([(light - around) / CONTRAST, around, across, down], -1).astype(np.float32)


def facts(sex: Sex, age: float | None) -> np.ndarray:
    """[2] float32: what a person's sex and age say about detail; 0 unknown."""
    years = MIDDLE if age is None else np.clip(age, YOUNG, OLD)
    said = {Sex.MALE: 1.0, Sex.FEMALE: -1.0}.get(sex, 0.0)
    return np.array([said, (years - MIDDLE) / YEARS], np.float32)


class DetailHead(nn.Module):
    """Raw change [B,H,W,1] of contrast by `seen`, facts and noise [B,H,W,CHANNELS]: a U-Net of H/2 and H/4."""

    width: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = self.width

        def twice(x: jax.Array) -> jax.Array:
            return ResidualBlock(x.shape[-1])(ResidualBlock(x.shape[-1])(x))

        x = skip = twice(Conv(width)(space_to_depth(x, 2)))
        x = twice(Conv(2 * width, 1)(downsample(x)))
        x = twice(Conv(width, 1)(upsample(x)) + skip)
        return depth_to_space(Conv(4, zero_init=True)(leaky_relu(x)), 2)


@functools.cache
def _kernels(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Two matrices [side,side], edges repeated: without NOT_EVERY_OTHER, and averages over COARSE px."""
    every = np.eye(side, dtype=np.float32)
    fine = ndimage.convolve1d(every, NOT_EVERY_OTHER, axis=0, mode="nearest")
    return fine, ndimage.gaussian_filter1d(every, COARSE, axis=0, mode="nearest")


def change(params: dict, seen: jax.Array, facts: jax.Array, noise: jax.Array) -> jax.Array:
    """What is added to the contrast [B,H,W] of `seen` [B,H,W,4], under facts [B,2], by standard normal noise [B,H,W]."""
    told = jnp.broadcast_to(facts[:, None, None], (*seen.shape[:3], 2))
    x = DetailHead().apply({"params": params}, jnp.concatenate([seen, told, noise[..., None]], -1))
    rows, columns = _kernels(x.shape[1]), _kernels(x.shape[2])
    fine, coarse = (
        jnp.einsum("ij,bjk,lk->bil", row, x[..., 0], column) for row, column in zip(rows, columns)
    )
    return fine - coarse


def beside_lips(place: jax.Array) -> jax.Array:
    """0 on a mouth, 1 elsewhere [B,H,W], by coordinates of a face [B,H,W,2] as in `seen`."""
    across, down = place[..., 0] / LIPS[0], (place[..., 1] + BELOW - 1) / LIPS[1]
    return jnp.clip((jnp.hypot(across, down) - 1) / LIPS_EDGE, 0, 1)


class DetailDiscriminator(nn.Module):
    """Logits [B,N] of contrast [B,H,W] at a place of a face [B,H,W,2] under facts [B,2]: half of patches at H/4, half at H/8.

    It sees no mouth (`beside_lips`).
    """

    width: int = 24

    @nn.compact
    def __call__(self, contrast: jax.Array, place: jax.Array, facts: jax.Array) -> jax.Array:
        told = jnp.broadcast_to(facts[:, None, None], (*contrast.shape, 2))
        contrast = contrast * beside_lips(place)
        x = jnp.concatenate([contrast[..., None], place, told], -1)
        x = ResidualBlock(self.width)(Conv(self.width)(space_to_depth(x, 2)))
        x = ResidualBlock(2 * self.width)(Conv(2 * self.width, 1)(downsample(x)))
        near = Conv(1, 1)(leaky_relu(x)).reshape(len(x), -1)
        x = ResidualBlock(2 * self.width)(downsample(x))
        far = Conv(1, 1)(leaky_relu(x)).reshape(len(x), -1)
        return jnp.concatenate([near, jnp.repeat(far, near.shape[1] // far.shape[1], 1)], 1)
