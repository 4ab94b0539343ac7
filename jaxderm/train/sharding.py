"""One mesh (`data`, `fsdp`) and the rules that place state and batch on it.

The batch lies over both axes, and no layer mixes examples: only gradients, gathered parameters and
scalars cross devices (tests/test_sharding.py reads the compiled program). Parameters, moments and EMA
of large arrays lie over `fsdp`, whose devices are neighbours in one host.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxderm.errors import InputError

MIN_SHARDED_SIZE = 2**16  # smaller leaves cost more to gather than to keep


def make_mesh(fsdp: int = 1, devices: list | None = None) -> Mesh:
    """Mesh of all devices with axes (data, fsdp); InputError when fsdp does not divide them."""
    devices = jax.devices() if devices is None else devices
    if fsdp < 1 or len(devices) % fsdp:
        raise InputError(
            f"config.mesh.fsdp {fsdp} does not divide {len(devices)} devices; give a divisor."
        )
    shape = (len(devices) // fsdp, fsdp)
    # Auto: Explicit axis types reject the reshapes in space_to_depth (FACTS).
    return Mesh(
        np.asarray(devices).reshape(shape), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2
    )


def leaf_spec(shape: tuple[int, ...], fsdp: int) -> PartitionSpec:
    """Shard the last divisible axis of a large leaf over `fsdp`; replicate the rest."""
    if fsdp > 1 and np.prod(shape) >= MIN_SHARDED_SIZE:
        for axis in reversed(range(len(shape))):
            if shape[axis] % fsdp == 0:
                return PartitionSpec(*([None] * axis), "fsdp")
    return PartitionSpec()


def state_shardings(shapes: Any, mesh: Mesh) -> Any:
    """Shardings for a tree of ShapeDtypeStructs: parameters, moments and EMA alike."""
    fsdp = mesh.shape["fsdp"]
    return jax.tree.map(lambda leaf: NamedSharding(mesh, leaf_spec(leaf.shape, fsdp)), shapes)


def abstract(shapes: Any, shardings: Any) -> Any:
    """ShapeDtypeStructs that carry their shardings: what a restore or a compilation ahead needs."""
    return jax.tree.map(
        lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where),
        shapes,
        shardings,
    )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Sharding of the batch axis over both mesh axes."""
    return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device: what evaluators and weight files read, in any process."""
    return NamedSharding(mesh, PartitionSpec())


def gather(tree: Any, mesh: Mesh | None) -> Any:
    """Whole parameters for a computation inside jit: each is gathered, used and dropped.

    Left to itself the partitioner keeps some kernels in parts and moves the activations instead.
    """
    if mesh is None or mesh.shape["fsdp"] == 1:
        return tree
    return jax.lax.with_sharding_constraint(tree, replicated(mesh))


def scatter(tree: Any, mesh: Mesh | None) -> Any:
    """Gradients inside jit, placed as their parameters lie, so that the optimizer works on parts."""
    if mesh is None or mesh.shape["fsdp"] == 1:
        return tree
    # Whole first: asked for parts at once, the partitioner sends activations round to make each part of a gradient.
    whole = jax.lax.with_sharding_constraint(tree, replicated(mesh))
    return jax.lax.with_sharding_constraint(whole, state_shardings(tree, mesh))


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Global arrays [B,...] from this process's share [B/processes,...] of the batch."""
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, value)
        for name, value in batch.items()
    }


def put(tree: Any, shardings: Any) -> Any:
    """Arrays that every process holds whole, placed shard by shard: no device sees the rest."""

    def place(value, where) -> jax.Array:
        value = np.asarray(value)
        return jax.make_array_from_callback(value.shape, where, lambda index: value[index])

    return jax.tree.map(place, tree, shardings)
