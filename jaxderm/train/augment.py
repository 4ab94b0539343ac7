"""Augmentation on the device: of what the discriminator sees (translation by whole cells, cut-out; both
differentiable), and of the facts that the generator is asked for.

The same draw acts on real and fake; never colour, since tone is a label (DESIGN). Shifts are
products with 0/1 matrices, not gathers, so that a sharded batch stays where it is.
"""

import jax
import jax.numpy as jnp

from jaxderm.attributes import (
    CONDITION_GROUPS,
    BodySite,
    Field,
    Source,
    encode_age,
    position_of,
)


def draw(key: jax.Array, batch: int, grid: int, p: jax.Array) -> dict[str, jax.Array]:
    """Random shifts and cut-out masks for a batch: {"rows", "columns" [B,g,g], "mask" [B,g,g,1]}."""
    shift_key, use_key, centre_key, cut_key = jax.random.split(key, 4)
    reach = max(grid // 8, 1)
    shift = jax.random.randint(shift_key, (batch, 2), -reach, reach + 1)
    shift = shift * (jax.random.uniform(use_key, (batch, 1)) < p)
    cells = jnp.arange(grid)

    def matrix(offset: jax.Array) -> jax.Array:
        return (cells[None, :, None] - offset[:, None, None] == cells[None, None, :]).astype(
            jnp.float32
        )

    centre = jax.random.randint(centre_key, (batch, 2), 0, grid)
    near = jnp.abs(cells[None, None, :] - centre[:, :, None]) < grid // 4  # [B,2,g]
    hole = near[:, 0, :, None] & near[:, 1, None, :]
    hole = hole & (jax.random.uniform(cut_key, (batch, 1, 1)) < p)
    return {
        "rows": matrix(shift[:, 0]),
        "columns": matrix(shift[:, 1]),
        "mask": 1.0 - hole[..., None].astype(jnp.float32),
    }


def apply(x: jax.Array, change: dict[str, jax.Array]) -> jax.Array:
    """Shift and cut [B,g,g,C] as drawn; cells that come in from outside are zero."""
    x = jnp.einsum("brs,bsxc->brxc", change["rows"].astype(x.dtype), x)
    x = jnp.einsum("bcx,brxd->brcd", change["columns"].astype(x.dtype), x)
    return x * change["mask"].astype(x.dtype)


def asked(
    key: jax.Array, condition: jax.Array, photograph_share: float, age_share: float
) -> jax.Array:
    """Condition [B,A] in which shares of the whole faces are asked for as photographs, and at other ages.

    Else no photograph of a child, of the young, or of a dark woman would ever be asked for in training
    (the portraits have none), age would follow from the landmarks and kept skin of the real picture, and a
    release would ask for what the generator was never judged on. Rendered faces become photographs, without view and
    scale, which no photograph is labelled with; ages are drawn from 3 to 92 years where one is known.
    """
    if not photograph_share and not age_share:
        return condition
    face, whole, render = (
        condition[:, position_of(member)]
        for member in (BodySite.FACE, Field.WHOLE_SITE, Source.RENDER)
    )
    photo_key, chosen_key, age_key = jax.random.split(key, 3)
    rows = condition.shape[:1]
    moved = face * whole * render * (jax.random.uniform(photo_key, rows) < photograph_share)
    condition = condition.at[:, position_of(Source.PHOTO)].add(moved)
    condition = condition.at[:, position_of(Source.RENDER)].add(-moved)
    for name in ("view", "field_cm"):
        condition = condition.at[:, CONDITION_GROUPS[name]].multiply(1 - moved[:, None])
    group = CONDITION_GROUPS["age"]
    ages = encode_age(jax.random.uniform(age_key, rows, minval=3.0, maxval=92.0), jnp)
    other = face * whole * condition[:, group.start]
    other = (other * (jax.random.uniform(chosen_key, rows) < age_share))[:, None]
    return condition.at[:, group].set(other * ages + (1 - other) * condition[:, group])


def adapted(p: jax.Array, overfit: float, target: float, rate: float, p_max: float) -> float:
    """Next p: up when (D_train - D_val) / (D_train - D_fake) exceeds the target, else down."""
    step = rate if overfit > target else -rate
    return float(min(max(float(p) + step, 0.0), p_max))
