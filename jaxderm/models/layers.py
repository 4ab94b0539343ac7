"""Layers shared by all networks: residual blocks, modulated convolutions, resampling, heat maps.

NHWC throughout; no grouped convolutions (the partitioner gathers the batch for them) and no layer
that mixes examples, so that nothing but gradients crosses devices.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import ScopeParamShapeError

Dtype = Any
SLOPE = 0.2


def leaky_relu(x: jax.Array) -> jax.Array:
    """Leaky ReLU of slope 0.2; without the two programs within the program that `nn.leaky_relu` makes of each."""
    return jax.lax.select(x >= 0, x, x * jnp.asarray(SLOPE, x.dtype))


def unit(x: jax.Array) -> jax.Array:
    """Vectors [B,D] divided by their root mean square."""
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-8)


def space_to_depth(x: jax.Array, block: int) -> jax.Array:
    """[B,H,W,C] -> [B,H/block,W/block,C*block^2]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // block, block, w // block, block, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // block, w // block, block * block * c)


def depth_to_space(x: jax.Array, block: int) -> jax.Array:
    """[B,H,W,C*block^2] -> [B,H*block,W*block,C]; inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, block, block, c // block**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * block, w * block, c // block**2)


def downsample(x: jax.Array) -> jax.Array:
    """Mean of 2x2 cells: [B,H,W,C] -> [B,H/2,W/2,C]."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


def upsample(x: jax.Array) -> jax.Array:
    """Bilinear, factor 2, edges replicated: [B,H,W,C] -> [B,2H,2W,C].

    Written with slices, since partitioned `jax.image.resize` aborts in one jaxlib (FACTS: 0.11.2).
    """
    for axis in (1, 2):
        first = jax.lax.slice_in_dim(x, 0, 1, axis=axis)
        last = jax.lax.slice_in_dim(x, -1, None, axis=axis)
        before = jnp.concatenate([first, jax.lax.slice_in_dim(x, 0, -1, axis=axis)], axis)
        after = jnp.concatenate([jax.lax.slice_in_dim(x, 1, None, axis=axis), last], axis)
        pair = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        shape = list(x.shape)
        shape[axis] *= 2
        x = pair.reshape(shape)
    return x


class _Weights:
    """Of a layer: weights that it is given are compared by shape.

    Flax traces their initialisers for that, which was a third of the time that a model took to load.
    """

    def param(self, name: str, init: Callable, shape: Sequence[int], *rest: Any, **how: Any) -> Any:
        if not self.has_variable("params", name):
            return super().param(name, init, shape, *rest, **how)
        value = self.get_variable("params", name)
        if value.shape != tuple(shape):
            raise ScopeParamShapeError(name, self.scope.path_text, value.shape, shape)
        return value


class Dense(_Weights, nn.Dense):
    """`nn.Dense`."""


class _Conv(_Weights, nn.Conv):
    pass


class Conv(nn.Module):
    """Dense convolution, stride 1, SAME padding: [B,H,W,C] -> [B,H,W,features]."""

    features: int
    kernel: int = 3
    zero_init: bool = False
    use_bias: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        init = nn.initializers.zeros if self.zero_init else nn.initializers.lecun_normal()
        return _Conv(
            self.features,
            (self.kernel, self.kernel),
            kernel_init=init,
            use_bias=self.use_bias,
            dtype=self.dtype,
            name="Conv_0",
        )(x)


class ResidualBlock(nn.Module):
    """x + conv(act(conv(act(x)))), the last convolution starts at zero: [B,H,W,C] -> [B,H,W,C]."""

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = Conv(self.features, dtype=self.dtype)(leaky_relu(x))
        return x + Conv(self.features, zero_init=True, dtype=self.dtype)(leaky_relu(h))


class ModulatedConv(_Weights, nn.Module):
    """Style-modulated 3x3 convolution: [B,H,W,C], style [B,D] -> [B,H,W,features].

    The activations are scaled before and demodulated after a dense convolution, which equals
    modulating the weights (Karras 2020, eq. 1-3) without a grouped convolution.
    """

    features: int
    gain_init: float = 1.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        scale = 1.0 + Dense(channels, kernel_init=nn.initializers.normal(0.02))(style)  # [B,C]
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), (3, 3, channels, self.features)
        )
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        gain = self.param("gain", nn.initializers.constant(self.gain_init), (self.features,))
        energy = jnp.square(scale) @ jnp.square(kernel).sum((0, 1))  # [B,features]
        demodulation = gain * jax.lax.rsqrt(energy + 1e-8)
        y = jax.lax.conv_general_dilated(
            (x * scale[:, None, None, :].astype(x.dtype)).astype(self.dtype),
            kernel.astype(self.dtype),
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y * demodulation[:, None, None, :].astype(y.dtype) + bias.astype(y.dtype)


def landmark_heatmaps(landmarks: jax.Array, size: int) -> jax.Array:
    """Gaussian heat maps [B,size,size,N] of landmarks [B,N,2] in [0,1] of the frame; NaN = all zero.

    Standard deviation 2.5 % of the frame.
    """
    known = jnp.isfinite(landmarks).all(-1)  # [B,N]
    points = jnp.where(known[..., None], landmarks, 0.0)
    centres = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size
    bell = jnp.exp(-0.5 * jnp.square((centres - points[..., None]) / 0.025))  # [B,N,2,size]
    maps = bell[:, :, 1, :, None] * bell[:, :, 0, None, :]  # [B,N,y,x]
    return jnp.moveaxis(maps * known[..., None, None], 1, -1)


def evidence(image: jax.Array, mask: jax.Array, landmarks: jax.Array) -> jax.Array:
    """What the model sees: [kept pixels, kept mask, landmark heat maps], [B,S,S,3+1+5].

    image [B,S,S,3] in [-1,1], mask [B,S,S] in [0,1], landmarks [B,5,2] in [0,1] of the frame.
    """
    mask = mask[..., None].astype(image.dtype)
    heatmaps = landmark_heatmaps(landmarks, image.shape[1]).astype(image.dtype)
    return jnp.concatenate([image * mask, mask, heatmaps], -1)
