"""Refiner: a rendered person becomes the surround of a photograph (Shrivastava 2017, SimGAN), in pixels.

It begins from an exemplar, a picture with the features, tone and site that are asked for, and adds what a
discriminator of patches misses in it: light and grain of a photograph, skin that goes on from the kept pixels.
At its first step it adds nothing.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxderm.attributes import BodySite, Source, position_of
from jaxderm.models.generator import Mapping
from jaxderm.models.layers import (
    Conv,
    Dtype,
    ModulatedConv,
    ResidualBlock,
    depth_to_space,
    downsample,
    leaky_relu,
    space_to_depth,
    unit,
    upsample,
)

EVIDENCE = 9  # channels of `layers.evidence`
EXEMPLAR, WINDOW = slice(EVIDENCE, EVIDENCE + 3), slice(EVIDENCE + 3, EVIDENCE + 4)  # after it
SEEN = EVIDENCE + 4
CHANGE = "Conv_5"  # the convolution that gives the change
# An ellipse, in distances from the eyes to the mouth: centre below the eyes, half axes, softness of its edge.
CENTRE, ACROSS, ALONG, EDGE = 0.35, 0.95, 1.45, 0.08


def window(landmarks: jax.Array, condition: jax.Array, size: int) -> jax.Array:
    """Where an exemplar is refined, [B,S,S,1] in [0,1], by landmarks [B,5,2] in [0,1] of the frame and condition [B,A].

    Where a photograph is asked for: in the face, nowhere when its landmarks are unknown, and everywhere at other
    sites. Not beside a face: a rendered room and a photographer's curtain are told apart at a glance, and the
    curtain would be all that is learnt.
    """
    eyes, mouth = landmarks[:, :2].mean(1), landmarks[:, 3:].mean(1)
    known = jnp.isfinite(eyes + mouth).all(-1)[:, None, None]
    eyes, down = jnp.nan_to_num(eyes), jnp.nan_to_num(mouth - eyes)
    square = jnp.maximum(jnp.square(down).sum(-1), 1e-4)[:, None, None]
    place = (jnp.arange(size) + 0.5) / size
    centre = eyes + CENTRE * down
    x, y = place[None, None, :] - centre[:, :1, None], place[None, :, None] - centre[:, 1:, None]
    along, across = down[:, 1:, None], down[:, :1, None]
    v, u = (x * across + y * along) / square, (x * along - y * across) / square
    inside = jax.nn.sigmoid((1 - jnp.hypot(u / ACROSS, v / ALONG)) / EDGE)
    face, photo = (
        condition[:, position_of(of), None, None] for of in (BodySite.FACE, Source.PHOTO)
    )
    return (photo * jnp.where(known, inside, 1 - face))[..., None]


def seen(
    evidence: jax.Array, exemplar: jax.Array, landmarks: jax.Array, condition: jax.Array
) -> jax.Array:
    """What a refiner sees, [B,S,S,SEEN]: evidence [B,S,S,9], exemplar [B,S,S,3] in [-1,1], its window."""
    look = window(landmarks, condition, exemplar.shape[1])
    return jnp.concatenate([evidence, exemplar, look.astype(exemplar.dtype)], -1)


class ModulatedBlock(nn.Module):
    """x + two modulated convolutions: [B,H,W,C], style [B,D] -> [B,H,W,C]."""

    width: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
        h = ModulatedConv(self.width, dtype=self.dtype)(leaky_relu(x), style)
        return x + ModulatedConv(self.width, gain_init=0.1, dtype=self.dtype)(leaky_relu(h), style)


class Refiner(nn.Module):
    """`seen` [B,S,S,SEEN], z, codes, condition -> frame [B,S,S,3] in [-1,1], float32; outside its window the exemplar.

    A U-Net on S/2, S/4, S/8 whose middle is modulated by [z, codes, condition].
    """

    width: int = 32
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, seen: jax.Array, z: jax.Array, codes: jax.Array, condition: jax.Array
    ) -> jax.Array:
        exemplar, look = (seen[..., part].astype(jnp.float32) for part in (EXEMPLAR, WINDOW))
        style = Mapping(4 * self.width)(z, codes, condition)
        x = Conv(self.width, dtype=self.dtype)(
            space_to_depth(seen[..., : WINDOW.start].astype(self.dtype), 2)
        )
        skips = []
        for factor in (2, 4):
            x = ResidualBlock(x.shape[-1], self.dtype)(x)
            skips.append(x)
            x = Conv(factor * self.width, 1, dtype=self.dtype)(downsample(x))
        for _ in range(2):
            x = ModulatedBlock(x.shape[-1], self.dtype)(x, style)
        for skip in reversed(skips):
            x = Conv(skip.shape[-1], 1, dtype=self.dtype)(upsample(x)) + skip
            x = ModulatedBlock(x.shape[-1], self.dtype)(x, style)
        change = Conv(12, zero_init=True, name=CHANGE)(leaky_relu(x))
        return exemplar + look * depth_to_space(change, 2).astype(jnp.float32)


class PatchDiscriminator(nn.Module):
    """(logits [B,S/8,S/8], attributes [B,A], codes [B,K]) of frames [B,S,S,3] under evidence and condition.

    Each logit sees a patch of about 70 px at 128 (Isola 2017): it can ask for eyes and skin of a photograph, and not
    for another person. The condition enters by projection (Miyato 2018); no layer mixes examples.
    """

    condition_size: int
    code_size: int
    base: int = 64
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, frames: jax.Array, evidence: jax.Array, condition: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        frames = frames.astype(self.dtype)
        seen = Conv(self.base // 4, 1, dtype=self.dtype)(space_to_depth(evidence, 4))
        x = jnp.concatenate([space_to_depth(frames, 4), seen.astype(self.dtype)], -1)
        x = Conv(self.base, dtype=self.dtype)(x)
        x = ResidualBlock(self.base, self.dtype)(x)
        x = Conv(2 * self.base, 1, dtype=self.dtype)(downsample(x))
        x = leaky_relu(ResidualBlock(2 * self.base, self.dtype)(x)).astype(jnp.float32)
        embedding = nn.Dense(2 * self.base, kernel_init=nn.initializers.normal(1.0))
        embedded = unit(embedding(condition))[:, None, None]
        logits = Conv(1, 1)(x)[..., 0] + (x * embedded).mean(-1) * jnp.sqrt(2.0 * self.base)
        flat = leaky_relu(Conv(2 * self.base)(downsample(x))).mean((1, 2))
        return logits, nn.Dense(self.condition_size)(flat), nn.Dense(self.code_size)(flat)
