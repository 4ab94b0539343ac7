"""Checkpoints (the only Orbax user): state and data position, restored onto any mesh.

Restore order: resume from the stage's own checkpoint, else the networks of the stage before in the
same workdir, else `config.init_from` (both: warm_start.py), else fresh.

A checkpoint is written beside its place and renamed when all processes are done, so that a kill at any
moment leaves the last good one. The random keys of a step are functions of seed and step.
"""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from jaxderm.data.exemplars import Bank
from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.models.spec import ModelSpec
from jaxderm.train import distributed
from jaxderm.train.state import TrainState, release_networks

RELEASED = ("autoencoder", "generator", "latent")  # what a release needs; the rest only trains
FIXED = ("batch", "seed")  # what a run cannot change without losing its place in the data


class Checkpoints:
    """Checkpoints of one stage in `workdir/<stage>/checkpoints`; asynchronous writes."""

    def __init__(self, workdir: Path, stage: str, keep: int = 2, fixed: dict | None = None) -> None:
        self.folder, self.fixed = workdir / stage, dict(fixed or {})
        self.manager = ocp.CheckpointManager(
            (self.folder / "checkpoints").resolve(),
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True),
        )

    def save(self, state: TrainState, data: Any) -> None:
        """Save state and data position (`data.get_state()`) under the state's step; every process calls.

        Returns when the arrays have left the device; `close` waits for the files.
        """
        step = int(state.step)
        if self.manager.latest_step() == step:
            return
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            data=ocp.args.JsonSave({**self.fixed, **data.get_state()}),
        )
        self.manager.save(step, args=arguments)

    def restore(self, abstract: TrainState, data: Any) -> TrainState | None:
        """Latest state placed as `abstract` (ShapeDtypeStructs with shardings); None at a fresh start.

        Sets the data position too. Raises InputError when the batch or the seed has changed.
        """
        step = self.manager.latest_step()
        if step is None:
            return None
        items = {"state": ocp.args.StandardRestore(abstract)}
        # Version 0.1.0 kept Grain's own state there; a step takes one batch, so the step says it too.
        if (self.manager.directory / str(step) / "data" / "metadata").exists():
            items["data"] = ocp.args.JsonRestore()
        try:
            restored = self.manager.restore(step, args=ocp.args.Composite(**items))
        except ValueError as error:
            raise InputError(
                f"the checkpoint of step {step} in '{self.folder}' does not fit the configuration "
                f"({str(error).splitlines()[0]}); resume with the one it was trained with, or take "
                "another workdir."
            ) from None
        position = dict(restored["data"]) if "data" in items else {"batches": step}
        for name, value in self.fixed.items():
            if position.get(name, value) != value:
                raise InputError(
                    f"config.{name} {value} differs from {position[name]} in the checkpoint of step "
                    f"{step} in '{self.folder}'; give --config.{name}={position[name]}, or start in "
                    f"another workdir with --config.init_from={self.folder / 'networks.safetensors'}."
                )
        data.set_state(position)
        return restored["state"]

    def close(self) -> None:
        """Wait for the writes under way."""
        self.manager.wait_until_finished()
        self.manager.close()


def save_networks(
    workdir: Path, stage: str, state: TrainState, spec: ModelSpec, bank: Bank | None = None
) -> None:
    """Write all networks of a stage (EMA) for the next one, and the release's in half precision.

    Every process calls, since parameters may lie over several; the first one writes.
    """
    networks = local(release_networks(state))
    step = int(state.step)
    if not distributed.is_first():
        return
    networks = jax.device_get(networks)
    card = {"stage": stage, "step": step}
    weights.save_weights(
        workdir / stage / "networks.safetensors", networks, spec, "float32", **card
    )
    released = _released(networks, bank)
    weights.save_weights(workdir / stage / "release.safetensors", released, spec, "float16", **card)


def _released(networks: dict[str, Any], bank: Bank | None) -> dict[str, Any]:
    released = {name: networks[name] for name in RELEASED if networks.get(name)}
    return released if bank is None else {**released, "bank": bank.arrays}


def local(tree: Any) -> Any:
    """The same arrays, whole, on one device of this process; every process calls."""

    def whole(leaf: jax.Array) -> jax.Array:
        if not leaf.is_fully_replicated:
            where = jax.sharding.NamedSharding(leaf.sharding.mesh, jax.sharding.PartitionSpec())
            leaf = jax.device_put(leaf, where)
        return leaf.addressable_data(0)

    return jax.tree.map(whole, tree)


def save_snapshot(
    workdir: Path, stage: str, state: TrainState, spec: ModelSpec, bank: Bank | None = None
) -> None:
    """Write the release's networks (EMA) under their step, for a curve by `jaxderm evaluate`.

    Every process calls, the first one writes.
    """
    networks = local(release_networks(state))
    folder, step = workdir / stage / "snapshots", int(state.step)
    if not distributed.is_first():
        return
    networks = _released(jax.device_get(networks), bank)
    folder.mkdir(exist_ok=True)
    path = folder / f"release-{step:09d}.safetensors"
    weights.save_weights(path, networks, spec, "float16", stage=stage, step=step)
