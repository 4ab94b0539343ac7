"""Training state: parameters by network, their EMA, the players' optimizers, progress."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from jaxderm.models.refiner import EVIDENCE
from jaxderm.models.spec import ModelSpec
from jaxderm.train import schedules

# Which networks each player of a stage owns; the others are frozen and hold EMA weights.
PLAYERS = {
    "autoencoder": {"autoencoder": ("autoencoder",)},
    "vae": {"generator": ("generator", "posterior")},
    "gan": {"generator": ("generator", "posterior"), "discriminator": ("discriminator",)},
    "decoder": {"decoder": ("autoencoder",), "critic": ("critic",)},
    "refine": {"generator": ("generator",), "discriminator": ("discriminator",)},
}
STAGES = tuple(PLAYERS)
ADVERSARIAL = ("gan", "decoder", "refine")


@flax.struct.dataclass
class TrainState:
    """Everything a step changes; the random key of a step is fold_in(seed, step)."""

    step: jax.Array  # int32
    params: dict[str, Any]  # trained networks
    ema_params: dict[str, Any]
    opt_state: dict[str, Any]  # by player
    frozen: dict[str, Any]  # networks this stage reads only, and the latent's statistics
    augment_p: jax.Array  # float32


def optimizer(config, batch: int) -> optax.GradientTransformation:
    """Adam (b1 = 0 where two players start from nothing), rate by images seen, global norm clipped."""

    def rate(step: jax.Array) -> jax.Array:
        return schedules.learning_rate(
            step * 1.0 * batch,
            config.optimizer.learning_rate,
            1000 * config.optimizer.warmup_kimg,
            1000 * config.total_kimg,
            1000 * config.cooldown_kimg,
        )

    b1 = config.optimizer.b1 if config.stage in ("gan", "refine") else 0.9
    return optax.chain(
        optax.clip_by_global_norm(config.optimizer.clip_norm),
        optax.adam(rate, b1=b1, b2=config.optimizer.b2),
    )


def init_networks(spec: ModelSpec, seed: int, stage: str = "gan") -> dict[str, Any]:
    """Fresh parameters of all networks (the critic only in its stage) and neutral latent statistics."""
    keys = jax.random.split(jax.random.key(seed), 4)
    image = jnp.zeros((1, spec.size, spec.size, 3))
    evidence = jnp.zeros((1, spec.size, spec.size, spec.evidence_channels))
    folded = jnp.zeros((1, spec.grid, spec.grid, EVIDENCE * spec.reduction**2))
    latent = jnp.zeros((1, spec.grid, spec.grid, spec.channels))
    z, codes = jnp.zeros((1, spec.z_size)), jnp.zeros((1, spec.code_size))
    condition = jnp.zeros((1, spec.condition_size))

    def params(module, key, *args) -> dict[str, Any]:
        return module.init(key, *args).get("params", {})

    networks = {
        "autoencoder": params(spec.autoencoder(), keys[0], image),
        "generator": params(spec.generator(), keys[1], evidence, z, codes, condition),
        "discriminator": params(spec.discriminator(), keys[3], latent, folded, condition),
        "latent": {"mean": jnp.zeros(spec.channels), "std": jnp.ones(spec.channels)},
    }
    if not spec.exemplars:
        networks["posterior"] = params(spec.posterior(), keys[2], latent, condition)
    if stage == "decoder":
        networks["critic"] = params(spec.critic(), jax.random.fold_in(keys[3], 1), image)
    return networks


def create(config, spec: ModelSpec, networks: dict[str, Any]) -> TrainState:
    """State at step 0 of a stage from given networks."""
    players = PLAYERS[config.stage]
    trained = [name for names in players.values() for name in names]
    params = {name: networks[name] for name in trained}
    opt = optimizer(config, config.batch)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        ema_params=jax.tree.map(jnp.copy, params),
        opt_state={
            player: opt.init({name: params[name] for name in names})
            for player, names in players.items()
        },
        frozen={name: value for name, value in networks.items() if name not in trained},
        augment_p=jnp.float32(config.augment.p_start),
    )


def release_networks(state: TrainState) -> dict[str, Any]:
    """EMA of what was trained with what was frozen: all networks by name."""
    return {**state.frozen, **state.ema_params}
