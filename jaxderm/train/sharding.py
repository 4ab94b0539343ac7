"""One mesh (`data`, `fsdp`) and the rules that place state and batch on it."""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxderm.errors import InputError

MIN_SHARDED_SIZE = 2**16  # smaller leaves cost more to gather than to keep


def make_mesh(fsdp: int = 1, devices: list | None = None) -> Mesh:
    """Mesh of all devices with axes (data, fsdp)."""
    devices = jax.devices() if devices is None else devices
    if len(devices) % fsdp:
        raise InputError(f"config.mesh.fsdp {fsdp} does not divide {len(devices)} devices.")
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


def state_shardings(shapes, mesh: Mesh):
    """Shardings for a tree of ShapeDtypeStructs: parameters, moments and EMA alike."""
    fsdp = mesh.shape["fsdp"]
    return jax.tree.map(lambda leaf: NamedSharding(mesh, leaf_spec(leaf.shape, fsdp)), shapes)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Sharding of the batch axis over both mesh axes."""
    return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Global arrays from this process's share of the batch."""
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, value)
        for name, value in batch.items()
    }
