"""Generator: evidence encoder, mapping, co-modulated synthesis in the latent (Zhao 2021), posterior.

One `Generator` holds what a release needs besides the decoder; the `Posterior` is used in training
only (conditional VAE stage). Width table: 4x4 256, 8x8 256, 16x16 and up 160, halved above 32x32.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxderm.models.layers import (
    Conv,
    Dense,
    Dtype,
    ModulatedConv,
    ResidualBlock,
    downsample,
    leaky_relu,
    space_to_depth,
    unit,
    upsample,
)


def width_at(grid: int, base: int) -> int:
    """Channels of the synthesis at a grid: base up to 8x8, 5/8 of it to 32x32, then halved per octave."""
    if grid <= 8:
        return base
    width = base * 5 // 8
    while grid > 32:
        grid, width = grid // 2, width // 2
    return max(width, 16)


class EvidenceEncoder(nn.Module):
    """Evidence [B,S,S,9] -> (features {grid: [B,grid,grid,C]} from 4 to the latent's grid, global [B,D])."""

    grid: int
    base: int = 256
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, evidence: jax.Array) -> tuple[dict[int, jax.Array], jax.Array]:
        stride = evidence.shape[1] // self.grid
        x = Conv(self.base // 2, 1 if stride > 1 else 3, dtype=self.dtype)(
            space_to_depth(evidence, stride)
        )
        features, grid = {}, self.grid
        while True:
            x = ResidualBlock(x.shape[-1], self.dtype)(x)
            features[grid] = x
            if grid == 4:
                break
            grid //= 2
            x = Conv(self.base if grid == 4 else self.base * 3 // 4, 1, dtype=self.dtype)(
                downsample(x)
            )
        flat = leaky_relu(x).reshape(x.shape[0], -1)
        return features, leaky_relu(Dense(self.base)(flat)).astype(jnp.float32)


class Mapping(nn.Module):
    """[z [B,Z], codes [B,K], condition [B,A]] -> w [B,base]; truncation: how far z goes from its mean (Brock 2019)."""

    base: int = 256
    truncation: float = 1.0

    @nn.compact
    def __call__(self, z: jax.Array, codes: jax.Array, condition: jax.Array) -> jax.Array:
        # Both at unit size, or the many numbers of z drown the few of the condition (Karras 2020).
        embedded = unit(Dense(self.base // 2, kernel_init=nn.initializers.normal(1.0))(condition))
        x = jnp.concatenate([self.truncation * unit(z), codes, embedded], -1)
        for _ in range(3):
            x = leaky_relu(Dense(self.base)(x))
        return x


def styles(
    mapping: Mapping, z: jax.Array, codes: jax.Array, condition: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """(coarse w, fine w), [B,base] each: one and the same of z [B,Z], two of z [B,2,Z] (style mixing, Karras 2019)."""
    if z.ndim == 2:
        w = mapping(z, codes, condition)
        return w, w
    return mapping(z[:, 0], codes, condition), mapping(z[:, 1], codes, condition)


class SynthesisBlock(nn.Module):
    """Residual block of two modulated convolutions with a skip from the evidence: [B,g,g,C] -> [B,g,g,width]."""

    width: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, evidence: jax.Array, style: jax.Array) -> jax.Array:
        if x.shape[-1] != self.width:
            x = Conv(self.width, 1, dtype=self.dtype)(x)
        x = x + Conv(self.width, 1, dtype=self.dtype)(evidence)
        h = ModulatedConv(self.width, dtype=self.dtype)(leaky_relu(x), style)
        return x + ModulatedConv(self.width, gain_init=0.1, dtype=self.dtype)(leaky_relu(h), style)


class Synthesis(nn.Module):
    """Evidence features, global [B,D] and styles w, fine [B,W] -> latent [B,grid,grid,channels].

    fine modulates what is above 8x8, or the last grid of an 8x8 latent.
    """

    grid: int
    channels: int
    base: int = 256
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, features: dict[int, jax.Array], globe: jax.Array, w: jax.Array, fine: jax.Array
    ) -> jax.Array:
        coarse, fine = (jnp.concatenate([globe, of], -1) for of in (w, fine))
        x = Dense(16 * self.base // 2)(w).reshape(-1, 4, 4, self.base // 2)
        grid = 4
        while True:
            width = width_at(grid, self.base)
            for _ in range(2 if grid == self.grid else 1):
                style = coarse if grid <= min(8, self.grid // 2) else fine
                x = SynthesisBlock(width, self.dtype)(x, features[grid], style)
            if grid == self.grid:
                break
            x, grid = upsample(x), grid * 2
        return Conv(self.channels, 1)(leaky_relu(x)).astype(jnp.float32)


class Generator(nn.Module):
    """Evidence, z, codes and condition -> normalised latent [B,grid,grid,channels], float32.

    evidence [B,S,S,9] (see `layers.evidence`), z [B,Z] or [B,2,Z] normal (see `styles`), codes [B,K] in [-1,1],
    condition [B,A].
    """

    grid: int = 16
    channels: int = 12
    base: int = 256
    dtype: Dtype = jnp.float32
    truncation: float = 1.0

    def setup(self) -> None:
        self.encoder = EvidenceEncoder(self.grid, self.base, self.dtype)
        self.mapping = Mapping(self.base, self.truncation)
        self.synthesis = Synthesis(self.grid, self.channels, self.base, self.dtype)

    def __call__(
        self, evidence: jax.Array, z: jax.Array, codes: jax.Array, condition: jax.Array
    ) -> jax.Array:
        features, globe = self.encoder(evidence)
        return self.synthesis(features, globe, *styles(self.mapping, z, codes, condition))

    def both(
        self,
        evidence: jax.Array,
        z: jax.Array,
        other_z: jax.Array,
        codes: jax.Array,
        condition: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Latents of two z for one evidence, which is encoded once (training)."""
        features, globe = self.encoder(evidence)
        w = self.mapping(z, codes, condition)
        other_w = self.mapping(other_z, codes, condition)
        first = self.synthesis(features, globe, w, w)
        return first, self.synthesis(features, globe, other_w, other_w)


class Posterior(nn.Module):
    """q(z | latent, condition): (mean [B,Z], log variance [B,Z]); training only (Kingma 2014)."""

    z_size: int
    base: int = 256
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array, condition: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = Conv(self.base // 2, dtype=self.dtype)(latent)
        x = ResidualBlock(self.base // 2, self.dtype)(x)
        while x.shape[1] > 4:
            x = Conv(self.base * 3 // 4, dtype=self.dtype)(downsample(leaky_relu(x)))
        flat = leaky_relu(x).reshape(x.shape[0], -1).astype(jnp.float32)
        h = leaky_relu(Dense(self.base)(jnp.concatenate([flat, condition], -1)))
        out = Dense(2 * self.z_size, kernel_init=nn.initializers.normal(0.01))(h)
        mean, log_variance = jnp.split(out, 2, -1)
        return mean, jnp.clip(log_variance, -8.0, 4.0)
