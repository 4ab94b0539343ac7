"""Autoencoder between the frame and the latent in which the GAN lives (8x or 16x reduction r).

Parameters at size 128 with 12 channels: see `tests/test_models.py::test_parameter_counts`, 3.5 M in all
(encoder 0.9 M, decoder 2.6 M).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxderm.models.layers import (
    Conv,
    Dtype,
    ResidualBlock,
    depth_to_space,
    leaky_relu,
    space_to_depth,
)


class Encoder(nn.Module):
    """Frame [B,S,S,3] in [-1,1] -> latent [B,S/r,S/r,channels], float32."""

    channels: int
    reduction: int = 8
    width: int = 64
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        x = Conv(self.width, dtype=self.dtype)(space_to_depth(image, self.reduction // 2))
        x = ResidualBlock(self.width, self.dtype)(x)
        x = Conv(2 * self.width, dtype=self.dtype)(space_to_depth(x, 2))
        for _ in range(2):
            x = ResidualBlock(2 * self.width, self.dtype)(x)
        return Conv(self.channels, 1)(x)


class Decoder(nn.Module):
    """Latent [B,S/r,S/r,channels] -> frame [B,S,S,3], float32, nominally in [-1,1]."""

    reduction: int = 8
    width: int = 160
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array) -> jax.Array:
        x = Conv(self.width, dtype=self.dtype)(latent)
        for _ in range(2):
            x = ResidualBlock(self.width, self.dtype)(x)
        widths = (self.width // 2, self.width // 4 + 8, self.width // 8 + 4)
        for width in widths[: 2 if self.reduction == 8 else 3]:
            x = depth_to_space(Conv(4 * width, dtype=self.dtype)(leaky_relu(x)), 2)
            x = ResidualBlock(width, self.dtype)(x)
        return depth_to_space(Conv(12)(leaky_relu(x)), 2).astype(jnp.float32)


class Autoencoder(nn.Module):
    """Encoder and decoder; with reduction 1 both are the identity and the GAN works in pixels."""

    channels: int = 12
    reduction: int = 8
    encoder_width: int = 64
    decoder_width: int = 160
    dtype: Dtype = jnp.float32

    def setup(self) -> None:
        if self.reduction not in (1, 8, 16):
            raise ValueError(f"latent.reduction {self.reduction} is not 1 (pixels), 8 or 16")
        if self.reduction > 1:
            self.encoder = Encoder(self.channels, self.reduction, self.encoder_width, self.dtype)
            self.decoder = Decoder(self.reduction, self.decoder_width, self.dtype)

    def encode(self, image: jax.Array) -> jax.Array:
        """Frame [B,S,S,3] -> latent [B,S/r,S/r,channels]."""
        return image if self.reduction == 1 else self.encoder(image)

    def decode(self, latent: jax.Array) -> jax.Array:
        """Latent -> frame [B,S,S,3]."""
        return latent if self.reduction == 1 else self.decoder(latent)

    def __call__(self, image: jax.Array, noise: jax.Array | float = 0.0) -> tuple:
        """(reconstruction, latent); `noise`, shaped like the latent, is added before decoding."""
        latent = self.encode(image)
        return self.decode(latent + noise), latent
