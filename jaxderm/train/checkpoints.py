"""Checkpoints (the only Orbax user): state and data iterator, restored onto any mesh; weight files.

Restore order: resume from the stage's own checkpoint, else the networks of the stage before in the
same workdir, else `config.init_from`, else fresh.
"""

from pathlib import Path
from typing import Any

import grain.python as grain
import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.models.spec import ModelSpec
from jaxderm.train.state import STAGES, TrainState, release_networks

RELEASED = ("autoencoder", "generator", "latent")  # what a release needs; the rest only trains


class Checkpoints:
    """Checkpoints of one stage in `workdir/<stage>/checkpoints`; asynchronous writes."""

    def __init__(self, workdir: Path, stage: str, keep: int = 2) -> None:
        self.folder = workdir / stage
        self.manager = ocp.CheckpointManager(
            (self.folder / "checkpoints").resolve(),
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True),
        )

    def save(self, state: TrainState, data: Any) -> None:
        """Save state and data iterator under the state's step."""
        step = int(state.step)
        if self.manager.latest_step() == step:
            return
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(state), data=grain.PyGrainCheckpointSave(data)
        )
        self.manager.save(step, args=arguments)

    def restore(self, abstract: TrainState, data: Any) -> TrainState | None:
        """Latest state placed as `abstract` (ShapeDtypeStructs with shardings); None at a fresh start."""
        step = self.manager.latest_step()
        if step is None:
            return None
        arguments = ocp.args.Composite(
            state=ocp.args.StandardRestore(abstract), data=grain.PyGrainCheckpointRestore(data)
        )
        return self.manager.restore(step, args=arguments)["state"]

    def close(self) -> None:
        """Wait for the writes under way."""
        self.manager.wait_until_finished()
        self.manager.close()


def save_networks(workdir: Path, stage: str, state: TrainState, spec: ModelSpec) -> None:
    """Write all networks of a stage (EMA) for the next one, and the release's in half precision."""
    if jax.process_index():
        return
    networks = jax.device_get(release_networks(state))
    steps = {"stage": stage, "step": int(state.step)}
    weights.save_weights(
        workdir / stage / "networks.safetensors", networks, spec, "float32", **steps
    )
    released = {name: networks[name] for name in RELEASED if networks.get(name)}
    weights.save_weights(
        workdir / stage / "release.safetensors", released, spec, "float16", **steps
    )


def save_snapshot(workdir: Path, stage: str, state: TrainState, spec: ModelSpec) -> None:
    """Write the release's networks (EMA) under their step, for a curve by `jaxderm evaluate`."""
    if jax.process_index():
        return
    networks = jax.device_get(release_networks(state))
    released = {name: networks[name] for name in RELEASED if networks.get(name)}
    folder, step = workdir / stage / "snapshots", int(state.step)
    folder.mkdir(exist_ok=True)
    path = folder / f"release-{step:09d}.safetensors"
    weights.save_weights(path, released, spec, "float16", stage=stage, step=step)


def warm_start(workdir: Path, stage: str, init_from: str, networks: dict) -> tuple[dict, list[str]]:
    """Networks with what an earlier file holds in equal shapes, and lines that say what was taken."""
    earlier = STAGES[: STAGES.index(stage)]
    found = [workdir / name / "networks.safetensors" for name in reversed(earlier)]
    found = [path for path in found if path.is_file()]
    if not found and init_from:
        if not Path(init_from).is_file():
            raise InputError(f"config.init_from '{init_from}' is not a file; give a weight file.")
        found = [Path(init_from)]
    if not found:
        return networks, []
    stored = weights.flatten(weights.load_weights(found[0])[0])
    flat = weights.flatten(jax.device_get(networks))
    taken = {
        name for name, value in flat.items() if name in stored and stored[name].shape == value.shape
    }
    merged = {name: stored[name] if name in taken else value for name, value in flat.items()}
    lines = []
    for network in networks:
        names = [name for name in flat if name.split("/")[0] == network]
        hits = sum(name in taken for name in names)
        lines.append(f"{network}: {hits} of {len(names)} arrays from {found[0]}")
    tree = weights.unflatten({name: np.asarray(value) for name, value in merged.items()})
    return {name: tree.get(name, {}) for name in networks}, lines
