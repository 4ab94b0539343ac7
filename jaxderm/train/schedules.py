"""Schedules over images seen: learning rate with cooldown, penalty weight, EMA decay."""

import jax
import jax.numpy as jnp


def learning_rate(
    images: jax.Array, base: float, warmup: float, total: float, cooldown: float
) -> jax.Array:
    """Constant rate with a linear warm-up and a last linear leg to zero; all lengths in images."""
    up = jnp.minimum((images + 1) / max(warmup, 1.0), 1.0)
    down = jnp.clip((total - images) / max(cooldown, 1.0), 0.0, 1.0) if cooldown > 0 else 1.0
    return base * up * down


def cosine(images: jax.Array, start: float, end: float, total: float) -> jax.Array:
    """Half a cosine from start to end over `total` images."""
    progress = jnp.clip(images / max(total, 1.0), 0.0, 1.0)
    return end + (start - end) * 0.5 * (1 + jnp.cos(jnp.pi * progress))


def ema_decay(images: jax.Array, batch: int, half_life: float, fraction: float) -> jax.Array:
    """Decay a step for a half-life of min(half_life, fraction * images seen) (Karras 2020)."""
    life = jnp.minimum(half_life, fraction * images)
    return jnp.where(life > 0, 0.5 ** (batch / jnp.maximum(life, 1e-6)), 0.0)


def pace(config, player: str, images: jax.Array) -> jax.Array | None:
    """What a player's updates are multiplied by; None for 1.

    Who is judged waits while a new judge learns, and the decoder moves slower than its critic, which it
    would else fool by noise (two time scales, Heusel 2017).
    """
    if config.stage in ("gan", "refine") and player == "generator" and config.gan.head_start_kimg:
        return 1.0 * (images >= 1000 * config.gan.head_start_kimg)
    if config.stage == "decoder" and player == "decoder":
        return config.decoder.rate * (images >= 1000 * config.decoder.head_start_kimg)
    return None
