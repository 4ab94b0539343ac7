"""One turn of both players of an adversarial stage, from one forward pass of the discriminator."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxderm.train import losses

# What a discriminator says of a batch: logits (a picture's or a patch's), attributes, codes.
Said = tuple[jax.Array, jax.Array, jax.Array]


def generator_loss(c, real: Said, fake: Said, asked: jax.Array, codes: jax.Array):
    """(loss, metrics) of the generator: its pictures pass for real ones (Huang 2024), and show facts and codes."""
    adversary = losses.relativistic(fake[0], real[0])
    attribute = losses.attribute_loss(fake[1], asked)
    information = jnp.square(fake[2] - codes).mean()
    loss = adversary + c.attribute_weight * attribute + c.code_weight * information
    return loss, {
        "generator/adversary": adversary,
        "generator/attribute": attribute,
        "generator/codes": information,
    }


def discriminator_loss(c, real: Said, fake: Said, condition: jax.Array, codes: jax.Array):
    """(loss, metrics) of the discriminator: tells them apart, reads facts off real and codes off made ones."""
    attribute = losses.attribute_loss(real[1], condition)
    loss = losses.relativistic(real[0], fake[0])
    loss += c.attribute_weight * attribute
    loss += c.code_weight * jnp.square(fake[2] - codes).mean()
    return loss, {
        "loss": loss,
        "discriminator/gap": (real[0] - fake[0]).mean(),
        "discriminator/attribute": attribute,
        "discriminator/real": real[0].mean(),
        "discriminator/fake": fake[0].mean(),
    }


def turn(
    c, generate: Callable, own: Any, discriminate: Callable, judge: Any, real: jax.Array,
    condition: jax.Array, asked: jax.Array, codes: jax.Array,
) -> tuple[jax.Array, Any, Any, dict[str, jax.Array]]:  # fmt: skip
    """(made pictures, gradient of the generator, gradient of the discriminator, metrics); c: config.gan.

    generate(own) -> ((pictures, own loss), metrics); discriminate(judge, pictures, facts) -> Said.
    Both players move at once, so one forward pass of the discriminator serves both: its outputs are
    pulled back once with each player's cotangents.
    """
    (fake, compared), pull_generator, metrics = jax.vjp(generate, own, has_aux=True)
    real_out, pull_real = jax.vjp(lambda p: discriminate(p, real, condition), judge)
    fake_out, pull_fake = jax.vjp(lambda p, x: discriminate(p, x, asked), judge, fake)
    to_generator, more = jax.grad(
        lambda said: generator_loss(c, real_out, said, asked, codes), has_aux=True
    )(fake_out)
    (to_real, to_fake), rest = jax.grad(
        lambda *said: discriminator_loss(c, *said, condition, codes), (0, 1), has_aux=True
    )(real_out, fake_out)
    g_gradient = pull_generator((pull_fake(to_generator)[1], jnp.ones_like(compared)))[0]
    d_gradient = jax.tree.map(jnp.add, pull_real(to_real)[0], pull_fake(to_fake)[0])
    return fake, g_gradient, d_gradient, {**metrics, **more, **rest}
