"""Losses: autoencoder, conditional VAE, relativistic adversary with zero-centred penalties, heads."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxderm.attributes import CONDITION_GROUPS
from jaxderm.models.layers import downsample, leaky_relu

CHOICES = ("sex", "site", "view", "field", "source")  # one-hot groups of the condition


def gradient_difference(x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean absolute difference of the image gradients at three octaves: scalar."""
    total = 0.0
    for octave in range(3):
        if octave:
            x, y = downsample(x), downsample(y)
        d = x - y
        total += jnp.abs(d[:, 1:] - d[:, :-1]).mean() + jnp.abs(d[:, :, 1:] - d[:, :, :-1]).mean()
    return total


def random_features(x: jax.Array, seed: int = 0) -> list[jax.Array]:
    """Features of a fixed random convolutional network (7x7/4 then 3x3/2) of frames [B,S,S,3]."""
    keys = jax.random.split(jax.random.key(seed), 2)
    features = []
    for key, size, stride, width in zip(keys, (7, 3), (4, 2), (32, 64)):
        kernel = jax.random.normal(key, (size, size, x.shape[-1], width), x.dtype)
        kernel = kernel - kernel.mean((0, 1), keepdims=True)
        kernel = kernel / jnp.sqrt(jnp.square(kernel).sum((0, 1, 2), keepdims=True))
        x = leaky_relu(
            jax.lax.conv_general_dilated(
                x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        )
        features.append(x)
    return features


def reconstruction(x: jax.Array, y: jax.Array, gradient: float, feature: float) -> jax.Array:
    """L1 + gradient + random-feature loss between frames [B,S,S,3]: scalar."""
    loss = jnp.abs(x - y).mean() + gradient * gradient_difference(x, y)
    if feature:
        pairs = zip(random_features(x), random_features(y))
        loss += feature * sum(jnp.abs(a - b).mean() for a, b in pairs)
    return loss


def psnr(x: jax.Array, y: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio in dB, mean over examples, of frames in [-1,1]."""
    mse = jnp.square(jnp.clip(x, -1, 1) - y).mean((1, 2, 3))
    return (10 * jnp.log10(4 / jnp.maximum(mse, 1e-10))).mean()


def kl_to_normal(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """KL(N(mean, exp(log_variance)) || N(0, I)) an example: [B] nats (Kingma 2014, appendix B)."""
    return 0.5 * (jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance).sum(-1)


def relativistic(ahead: jax.Array, behind: jax.Array) -> jax.Array:
    """Mean softplus(-(ahead - behind)) over pairs (Huang 2024, eq. 2): scalar."""
    return jax.nn.softplus(-(ahead - behind)).mean()


def gradient_penalty(logits_of: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """Mean squared norm of d logits / d x by double backward (R1 on real, R2 on fake): scalar."""
    gradient = jax.grad(lambda v: logits_of(v).sum())(x)
    return jnp.square(gradient).sum((1, 2, 3)).mean()


def finite_difference_penalty(
    logits_of: Callable[[jax.Array], jax.Array], x: jax.Array, key: jax.Array, epsilon: float = 0.05
) -> jax.Array:
    """The same in expectation from a central difference along a normal direction: E (g.u)^2 = |g|^2."""
    u = jax.random.normal(key, x.shape, x.dtype)
    slope = (logits_of(x + epsilon * u) - logits_of(x - epsilon * u)) / (2 * epsilon)
    return jnp.square(slope).mean()


def attribute_loss(predicted: jax.Array, condition: jax.Array) -> jax.Array:
    """Error of the attribute head, mean over groups: scalar.

    Cross-entropy where a group is a choice, squared error, summed over its entries, where it is a number:
    as a mean, age weighed a tenth of sex, and ages did not show. A group of zeros is unspecified
    (attributes.py) and does not count.
    """
    total = 0.0
    for name, group in CONDITION_GROUPS.items():
        known = jnp.any(condition[:, group] != 0, -1)
        if name in CHOICES:
            error = optax.softmax_cross_entropy(predicted[:, group], condition[:, group])
        else:
            error = jnp.square(predicted[:, group] - condition[:, group]).sum(-1)
        total += (error * known).sum() / jnp.maximum(known.sum(), 1)
    return total / len(CONDITION_GROUPS)


def evidence_difference(fake: jax.Array, real: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean absolute difference of latents [B,g,g,C] where kept: mask [B,S,S] in [0,1]: scalar.

    Each cell counts by the square of its kept share, so that cells at the rim weigh little.
    """
    cells = mask.shape[1] // fake.shape[1]
    share = mask.reshape(mask.shape[0], fake.shape[1], cells, fake.shape[2], cells).mean((2, 4))
    weight = jnp.square(share)[..., None]
    return (weight * jnp.abs(fake - real)).sum() / jnp.maximum(weight.sum() * fake.shape[-1], 1.0)


def sameness(fake: jax.Array, other: jax.Array, target: float) -> jax.Array:
    """How far two latents [B,g,g,C] of one evidence and two z stay below a mean distance: scalar.

    Mode seeking (Mao 2019, eq. 4) as a hinge, so that it is silent once people differ: the mean absolute
    difference of normalised latents of two strangers is about 1.1 (two unit normals).
    """
    distance = jnp.abs(fake - other).mean((1, 2, 3))
    return jax.nn.relu(1.0 - distance / target).mean()


def overlap(each: jax.Array) -> jax.Array:
    """Mean cosine, by pairs, between where codes act, of what a unit of each changes [B,H,W,K]: scalar, 0 where none share a place.

    Of magnitudes, so stricter than orthogonal Jacobians (Wei 2021), whose changes may lie on each other.
    """
    count = each.shape[-1]
    where = jnp.sqrt(jnp.square(each) + 1e-8).reshape(len(each), -1, count)
    where = where / jnp.linalg.norm(where, axis=1, keepdims=True)
    cosines = jnp.einsum("bnk,bnl->bkl", where, where).sum((1, 2)) - count
    return cosines.mean() / max(count * (count - 1), 1)


def unseen(each: jax.Array, least: float) -> jax.Array:
    """How far codes, of which a unit changes [B,H,W,K], stay below a mean absolute change end to end: scalar, 0 when none does."""
    change = 2 * jnp.abs(each).mean((0, 1, 2))
    return jnp.maximum(least - change, 0).mean()
