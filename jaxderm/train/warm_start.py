"""Warm start: networks of an earlier file, whole or in part, and a list of what came from where."""

from pathlib import Path

import jax
import numpy as np

from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.train.state import STAGES


def source_of(workdir: Path, stage: str, init_from: str) -> Path | None:
    """The stage before in the workdir, else `init_from`, else None; InputError for no such file."""
    earlier = [workdir / s / "networks.safetensors" for s in STAGES[: STAGES.index(stage)]]
    found = [path for path in reversed(earlier) if path.is_file()]
    if found:
        return found[0]
    if init_from and not Path(init_from).is_file():
        raise InputError(f"config.init_from '{init_from}' is not a file; give a weight file.")
    return Path(init_from) if init_from else None


def warm_start(
    workdir: Path,
    stage: str,
    init_from: str,
    networks: dict,
    names: dict[str, str] | None = None,
    partial: bool = False,
) -> tuple[dict, list[str]]:
    """Networks with what an earlier file holds, and lines that say what was taken from where.

    names: {prefix here: prefix in the file} for what is called otherwise there. partial: arrays of
    equal rank and other sizes give their common leading block; without it they stay fresh.
    """
    path = source_of(workdir, stage, init_from)
    if path is None:
        return networks, []
    networks_there, _, card = weights.load_weights(path)
    if stage == "decoder" and (
        card.get("stage") == "autoencoder" or "generator" not in networks_there
    ):
        raise InputError(
            f"'{path}' holds no trained generator, whose latents stage decoder paints; run stage vae or "
            "gan first."
        )
    stored = weights.flatten(networks_there)
    flat = weights.flatten(jax.device_get(networks))
    merged, listed = {}, {}
    for name, value in flat.items():
        there = _renamed(name, names or {})
        merged[name], listed[name] = _merge(value, stored.get(there), partial)
        if there != name and listed[name]:
            listed[name] += f" of {there}"
    if names and not any(listed[n] for n in flat if _renamed(n, names) != n):
        raise InputError(
            f"config.init_names {dict(names)} matches nothing in '{path}'; its networks are: "
            f"{', '.join(sorted({n.split('/')[0] for n in stored}))}."
        )
    tree = weights.unflatten({name: np.asarray(value) for name, value in merged.items()})
    lacking = [n for n in flat if n.startswith("autoencoder/") and not listed[n]]
    if lacking and stage != "autoencoder":
        raise InputError(
            f"'{path}' holds no autoencoder of the sizes in config.model, which stage {stage} needs; "
            "change the sizes, or train one with --config.stage=autoencoder."
        )
    return {name: tree.get(name, {}) for name in networks}, _lines(networks, flat, listed, path)


def _renamed(name: str, names: dict[str, str]) -> str:
    for here, there in names.items():
        if name == here or name.startswith(f"{here}/"):
            return there + name[len(here) :]
    return name


def _merge(value: np.ndarray, stored: np.ndarray | None, partial: bool) -> tuple[np.ndarray, str]:
    """(array, how it was taken: "" for not at all)."""
    if stored is None:
        return value, ""
    if stored.shape == value.shape:
        return stored, "whole"
    if not partial or stored.ndim != value.ndim:
        return value, ""
    block = tuple(slice(0, min(a, b)) for a, b in zip(value.shape, stored.shape))
    mixed = np.array(value)
    mixed[block] = stored[block]
    return mixed, f"block {mixed[block].shape} of {stored.shape} into {value.shape}"


def _lines(networks: dict, flat: dict, listed: dict[str, str], path: Path) -> list[str]:
    lines = []
    for network in networks:
        names = [name for name in flat if name.split("/")[0] == network]
        taken = sum(bool(listed[name]) for name in names)
        lines.append(f"{network}: {taken} of {len(names)} arrays from {path}")
        lines += [
            f"  {name}: {listed[name]}" for name in names if listed[name] not in ("", "whole")
        ]
    return lines
