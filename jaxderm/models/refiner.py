"""Refiner: a rendered person becomes the surround of a photograph (Shrivastava 2017, SimGAN), in pixels.

It begins from an exemplar, a picture with the features, tone and site that are asked for, and adds what a
discriminator of patches misses in it: light and grain of a photograph, skin that goes on from the kept pixels.
At its first step it adds nothing.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

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

EVIDENCE = 9  # channels of `layers.evidence` without an exemplar


class ModulatedBlock(nn.Module):
    """x + two modulated convolutions: [B,H,W,C], style [B,D] -> [B,H,W,C]."""

    width: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
        h = ModulatedConv(self.width, dtype=self.dtype)(leaky_relu(x), style)
        return x + ModulatedConv(self.width, gain_init=0.1, dtype=self.dtype)(leaky_relu(h), style)


class Refiner(nn.Module):
    """Evidence with exemplar [B,S,S,9+3], z, codes, condition -> frame [B,S,S,3] in [-1,1], float32.

    A U-Net on S/2, S/4, S/8 whose middle is modulated by [z, codes, condition].
    """

    width: int = 32
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, evidence: jax.Array, z: jax.Array, codes: jax.Array, condition: jax.Array
    ) -> jax.Array:
        exemplar = evidence[..., EVIDENCE:].astype(jnp.float32)
        style = Mapping(4 * self.width)(z, codes, condition)
        x = Conv(self.width, dtype=self.dtype)(space_to_depth(evidence.astype(self.dtype), 2))
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
        change = Conv(12, zero_init=True)(leaky_relu(x))
        return exemplar + depth_to_space(change, 2).astype(jnp.float32)


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
