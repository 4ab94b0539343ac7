"""Training examples that live on the devices, where they fit: the step draws its batch itself.

The pool is K batches of the loader, stacked: row b of the batch draws from stack b, on the device
that holds the row, so that no picture crosses devices and the draw is the same on any mesh. A pool may be
renewed: every so many steps the loader's next batch takes the place of the oldest, so that a device that
is faster than its input never waits and still sees something new.
"""

import math
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxderm.train import sharding

Pool = dict[str, jax.Array]
STREAM = 1_000_003  # keeps the draw's random numbers apart from the step's


def batches_that_fit(
    example_bytes: int, records: int, passes: float, batch: int, devices: int, budget: float
) -> int:
    """Number of batches that show each record `passes` times; 0 when they exceed `budget` bytes a device."""
    batches = max(math.ceil(passes * records / batch), 1)
    return batches if batches * batch * example_bytes <= budget * devices else 0


def example_bytes(batch: dict[str, np.ndarray]) -> int:
    """Bytes of one example in the pool, of a host batch {name: [B,...]}."""
    return sum(_packed(name, value[:1]).nbytes for name, value in batch.items())


def _packed(name: str, value: np.ndarray) -> np.ndarray:
    return value.astype(np.uint8) if name == "mask" else value  # masks are 0 or 1


class Renewed:
    """Pool at each step of a run: with `every` > 0, one batch of the loader replaces the oldest each so many steps.

    A function of loader and step alone: a run that stops comes back to the same pool.
    """

    def __init__(self, loader, batches: int, every: int, mesh: Mesh, number: int) -> None:
        self.loader, self.batches, self.every, self.mesh = loader, batches, every, mesh
        taken = number // every if every else 0
        loader.set_state({"batches": taken})
        # Batch t lies at place t % K.
        self.pool = fill(loader, batches, mesh, first=taken % batches)
        self._replace = jax.jit(_replaced, donate_argnums=0)

    def at(self, number: int) -> Pool:
        """The pool of step `number`; steps come in order."""
        if self.every and number and number % self.every == 0:
            taken = self.loader.get_state()["batches"]
            if taken < self.batches + number // self.every:
                batch = next(self.loader)
                packed = {name: _packed(name, value) for name, value in batch.items()}
                fresh = sharding.put_batch(packed, self.mesh)
                self.pool = self._replace(self.pool, fresh, taken % self.batches)
        return self.pool


def _replaced(pool: Pool, batch: dict[str, jax.Array], place: jax.Array) -> Pool:
    return {name: stack.at[:, place].set(batch[name]) for name, stack in pool.items()}


def fill(loader: Iterator[dict[str, np.ndarray]], batches: int, mesh: Mesh, first: int = 0) -> Pool:
    """Pool {name: [B,K,...]} of the next K batches of this process's loader, the next at place `first`."""
    parts = [next(loader) for _ in range(batches)]
    parts = parts[batches - first :] + parts[: batches - first]
    stacked = {name: np.stack([_packed(name, p[name]) for p in parts], 1) for name in parts[0]}
    return sharding.put_batch(stacked, mesh)


def drawing(
    step: Callable, seed: int, mesh: Mesh
) -> Callable[[object, Pool, bool], tuple[object, dict[str, jax.Array]]]:
    """The step on a pool instead of a batch: (state, pool, penalize) -> (state, metrics)."""
    rows = sharding.batch_sharding(mesh).spec
    # shard_map, not the partitioner, keeps each row's draw where its stack is.
    take = jax.shard_map(
        lambda stack, index: jax.vmap(lambda s, i: s[i])(stack, index),
        mesh=mesh,
        in_specs=(rows, rows),
        out_specs=rows,
    )

    def on_pool(state, pool: Pool, penalize: bool = False):
        batch, count = pool["image"].shape[:2]
        key = jax.random.fold_in(jax.random.key(seed + STREAM), state.step)
        index = jax.random.randint(key, (batch,), 0, count)
        drawn = {name: take(stack, index) for name, stack in pool.items()}
        return step(state, {**drawn, "mask": drawn["mask"].astype(jnp.float32)}, penalize)

    return on_pool
