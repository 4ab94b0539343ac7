"""What judges in training: the latent's discriminator, and a critic of patches in pixels for the decoder.

The discriminator (projection, Miyato 2018; attribute head; InfoGAN's code head) sees [latent, evidence] on
the latent's grid. No layer mixes examples (no minibatch statistics).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxderm.models.layers import (
    Conv,
    Dense,
    Dtype,
    ResidualBlock,
    downsample,
    leaky_relu,
    space_to_depth,
    unit,
    upsample,
)


class Discriminator(nn.Module):
    """(logits [B], attributes [B,A], codes [B,K]) of a latent [B,g,g,C] under evidence and condition.

    evidence [B,g,g,E] is the evidence folded to the latent's grid (`space_to_depth`). The trunk does not see the condition, so that the attribute head must read it off the picture.
    """

    condition_size: int
    code_size: int
    base: int = 256
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, latent: jax.Array, evidence: jax.Array, condition: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        grid = latent.shape[1]
        seen = Conv(self.base // 8, 1, dtype=self.dtype)(evidence)
        x = jnp.concatenate([latent.astype(seen.dtype), seen], -1)
        x = Conv(self.base * 5 // 8 if grid <= 32 else self.base // 4, dtype=self.dtype)(x)
        while True:
            x = ResidualBlock(x.shape[-1], self.dtype)(x)
            if x.shape[1] == 4:
                break
            width = self.base if x.shape[1] <= 16 else self.base * 5 // 8
            x = Conv(width, 1, dtype=self.dtype)(downsample(x))
        flat = leaky_relu(x).reshape(x.shape[0], -1).astype(jnp.float32)
        h = leaky_relu(Dense(self.base)(flat))
        embedded = unit(Dense(self.base, kernel_init=nn.initializers.normal(1.0))(condition))
        logits = Dense(1)(h)[:, 0] + (h * embedded).mean(-1) * jnp.sqrt(1.0 * self.base)
        attributes = Dense(self.condition_size)(h)
        codes = Dense(self.code_size)(h)
        return logits, attributes, codes


class PatchCritic(nn.Module):
    """Logits [B,S/8,S/8] of a frame [B,S,S,3], each of a patch of 36 px (Isola 2017); 0.2 M parameters.

    It sees what is finer than 4 px and knows neither mask nor facts, so that it can say whether a patch has the
    grain and edges of a photograph, and nothing of colour or shape, which the decoder must not change.
    """

    width: int = 48
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        fine = image - upsample(upsample(downsample(downsample(image))))
        x = Conv(self.width, dtype=self.dtype)(space_to_depth(4 * fine, 2))
        for factor in (2, 3):
            x = downsample(leaky_relu(x))
            x = Conv(factor * self.width, dtype=self.dtype)(x)
        x = Conv(3 * self.width, 1, dtype=self.dtype)(leaky_relu(x))
        return Conv(1, 1)(leaky_relu(x))[..., 0].astype(jnp.float32)
