"""Refiner: a rendered person becomes the surround of a photograph (Shrivastava 2017, SimGAN), in pixels.

It begins from an exemplar, a picture with the features, tone and site that are asked for, and adds what a
discriminator of patches misses in it: light and grain of a photograph, skin that goes on from the kept pixels.
At its first step it adds nothing.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxderm.attributes import Source, position_of
from jaxderm.models.generator import Mapping, styles
from jaxderm.models.layers import (
    Conv,
    Dense,
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
EXEMPLAR, LOOK = slice(EVIDENCE, EVIDENCE + 3), slice(EVIDENCE + 3, EVIDENCE + 4)  # after it
SEEN = EVIDENCE + 4
MIDDLE = 16  # side of the U-Net's middle
# An ellipse, in distances from the eyes to the mouth: centre below the eyes, half axes, softness of its edge.
CENTRE, ACROSS, ALONG, EDGE = 0.5, 0.9, 1.0, 0.12
WIDTHS = (1, 2, 4, 8)  # of its levels, from half the frame's side down
CODES = "codes"  # its network that hears them


def inner_face(landmarks: jax.Array, size: int) -> jax.Array:
    """Brows to chin, [B,S,S] in [0,1], by landmarks [B,5,2] in [0,1] of the frame; nowhere when unknown."""
    eyes, mouth = landmarks[:, :2].mean(1), landmarks[:, 3:].mean(1)
    known = jnp.isfinite(eyes + mouth).all(-1)[:, None, None]
    eyes, down = jnp.nan_to_num(eyes), jnp.nan_to_num(mouth - eyes)
    square = jnp.maximum(jnp.square(down).sum(-1), 1e-4)[:, None, None]
    place = (jnp.arange(size) + 0.5) / size
    centre = eyes + CENTRE * down
    x, y = place[None, None, :] - centre[:, :1, None], place[None, :, None] - centre[:, 1:, None]
    along, across = down[:, 1:, None], down[:, :1, None]
    v, u = (x * across + y * along) / square, (x * along - y * across) / square
    return known * jax.nn.sigmoid((1 - jnp.hypot(u / ACROSS, v / ALONG)) / EDGE)


def seen(
    evidence: jax.Array,
    exemplar: jax.Array,
    landmarks: jax.Array,
    condition: jax.Array,
    face_strength: float = 1.0,
) -> jax.Array:
    """What a refiner sees, [B,S,S,SEEN]: evidence [B,S,S,9], exemplar [B,S,S,3] in [-1,1], how far it is refined.

    Everywhere where a photograph is asked for, in the inner face by face_strength: features meet there, so that a
    mixture with the exemplar shows nothing twice, and its person and age stay. A render stays as it is.
    """
    photo = condition[:, position_of(Source.PHOTO), None, None, None]
    face = inner_face(landmarks, exemplar.shape[1])[..., None]
    look = photo * (1 - (1 - face_strength) * face)
    return jnp.concatenate([evidence, exemplar, look.astype(exemplar.dtype)], -1)


class ModulatedBlock(nn.Module):
    """x + two modulated convolutions: [B,H,W,C], style [B,D] -> [B,H,W,C]."""

    width: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
        h = ModulatedConv(self.width, dtype=self.dtype)(leaky_relu(x), style)
        return x + ModulatedConv(self.width, gain_init=0.1, dtype=self.dtype)(leaky_relu(h), style)


class Coding(nn.Module):
    """How much lighter InfoGAN codes make what they act on (Chen 2016): [B,H,W,C], codes [B,K] -> [B,H,W,K], a unit of each.

    The logarithm of a factor: whatever a code says, hair and backdrop keep their hue.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, codes: jax.Array) -> jax.Array:
        h = ModulatedConv(x.shape[-1], dtype=self.dtype)(leaky_relu(x), codes)
        return Conv(codes.shape[-1], zero_init=True, dtype=jnp.float32)(leaky_relu(h))


class Refiner(nn.Module):
    """`seen` [B,S,S,SEEN], z, codes, condition -> frame [B,S,S,3] in [-1,1], float32; where nothing is refined, the exemplar.

    A U-Net from S/2 down to MIDDLE (at least one level), modulated by [z, condition] from there up: by the coarse style of
    `generator.styles` at MIDDLE, by the fine one above. Codes act on its last features. What they change of the frame is sown
    as `coded` [B,S,S,3], and how much light [0,1] a unit of each adds as `each` [B,S/2,S/2,K].
    """

    width: int = 32
    dtype: Dtype = jnp.float32
    truncation: float = 1.0

    @nn.compact
    def __call__(
        self, seen: jax.Array, z: jax.Array, codes: jax.Array, condition: jax.Array
    ) -> jax.Array:
        exemplar, look = (seen[..., part].astype(jnp.float32) for part in (EXEMPLAR, LOOK))
        coarse, fine = styles(Mapping(4 * self.width, self.truncation), z, codes[:, :0], condition)
        levels = max((seen.shape[1] // MIDDLE).bit_length() - 1, 1)
        x = Conv(self.width, dtype=self.dtype)(
            space_to_depth(seen[..., : LOOK.start].astype(self.dtype), 2)
        )
        skips = []
        for factor in WIDTHS[1:levels]:
            x = ResidualBlock(x.shape[-1], self.dtype)(x)
            skips.append(x)
            x = Conv(factor * self.width, 1, dtype=self.dtype)(downsample(x))
        for _ in range(2):
            x = ModulatedBlock(x.shape[-1], self.dtype)(x, coarse)
        for skip in reversed(skips):
            x = Conv(skip.shape[-1], 1, dtype=self.dtype)(upsample(x)) + skip
            x = ModulatedBlock(x.shape[-1], self.dtype)(x, fine)
        change = Conv(12, zero_init=True, dtype=jnp.float32, name="change")(leaky_relu(x))
        frame = exemplar + look * depth_to_space(change, 2)
        # In the mapping, among many numbers of z, codes were not heard (docs/training_log.md).
        each = Coding(self.dtype, name=CODES)(x, codes)
        # Of light a pixel of the cells that the frame is folded to says enough, and four of them would leave a lattice.
        lighter = look * upsample((each * codes[:, None, None]).sum(-1, keepdims=True))
        coded = (frame + 1) * jnp.expm1(lighter)
        self.sow("intermediates", "coded", coded)
        light = downsample(jnp.clip((frame.mean(-1, keepdims=True) + 1) / 2, 0, 1))
        self.sow("intermediates", "each", each * jax.lax.stop_gradient(light))
        return frame + coded


class PatchDiscriminator(nn.Module):
    """(logits [B,N], attributes [B,A], codes [B,K]) of frames [B,S,S,3] under evidence and condition.

    Half of the N logits by weight see patches of about an eye, at S/8 (Isola 2017): skin, hair and grain of a
    photograph; half see most of the frame, at S/32, each of them repeated: light, and a head that is one. The
    condition enters by projection (Miyato 2018); no layer mixes examples.
    """

    condition_size: int
    code_size: int
    base: int = 64
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, frames: jax.Array, evidence: jax.Array, condition: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        def logits(x: jax.Array) -> jax.Array:
            x = leaky_relu(x).astype(jnp.float32)
            embedding = Dense(x.shape[-1], kernel_init=nn.initializers.normal(1.0))(condition)
            projected = (x * unit(embedding)[:, None, None]).mean(-1) * jnp.sqrt(1.0 * x.shape[-1])
            return (Conv(1, 1)(x)[..., 0] + projected).reshape(len(x), -1)

        both = jnp.concatenate([frames.astype(self.dtype), evidence.astype(self.dtype)], -1)
        x = Conv(self.base // 2, dtype=self.dtype)(space_to_depth(both, 2))
        for factor in (1, 2, 4, 4):
            x = Conv(factor * self.base, 1, dtype=self.dtype)(downsample(x))
            x = ResidualBlock(factor * self.base, self.dtype)(x)
            if factor == 2:
                near = logits(x)
        far = logits(x)
        flat = leaky_relu(x).astype(jnp.float32).mean((1, 2))
        said = jnp.concatenate([near, jnp.repeat(far, near.shape[1] // far.shape[1], 1)], 1)
        return said, Dense(self.condition_size)(flat), Dense(self.code_size)(flat)
