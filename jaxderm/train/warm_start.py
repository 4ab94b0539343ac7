"""Warm start: networks of an earlier file, whole or in part, and a list of what came from where."""

from pathlib import Path

import jax
import numpy as np

from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.train.state import STAGES


def sources_of(workdir: Path, stage: str, init_from: str) -> list[Path]:
    """The stage before in the workdir, else the files of `init_from` (with commas between), else none.

    InputError for no such file.
    """
    before = STAGES[: STAGES.index(stage)] if stage != "refine" else ()  # it has no stage before
    earlier = [workdir / s / "networks.safetensors" for s in before]
    found = [path for path in reversed(earlier) if path.is_file()]
    if found:
        return found[:1]
    files = [Path(name.strip()) for name in init_from.split(",") if name.strip()]
    for file in files:
        if not file.is_file():
            raise InputError(f"config.init_from '{file}' is not a file; give a weight file.")
    return files


def warm_start(
    workdir: Path,
    stage: str,
    init_from: str,
    networks: dict,
    names: dict[str, str] | None = None,
    partial: bool = False,
) -> tuple[dict, list[str]]:
    """Networks with what earlier files hold, and lines that say what was taken from where.

    Of several files of `init_from` the first that has an array gives it.
    names: {prefix here: prefix in the file} for what is called otherwise there. partial: arrays of
    equal rank and other sizes give their common leading block; without it they stay fresh.
    """
    paths = sources_of(workdir, stage, init_from)
    if not paths:
        return networks, []
    stored, origin, stages = {}, {}, set()
    for path in reversed(paths):
        networks_there, _, card = weights.load_weights(path)
        stages.add(card.get("stage") if "generator" in networks_there else "autoencoder")
        there = weights.flatten(networks_there)
        stored |= there
        origin |= dict.fromkeys(there, path)
    shown = " and ".join(map(str, paths))
    if stage == "decoder" and stages == {"autoencoder"}:
        raise InputError(
            f"'{shown}' holds no trained generator, whose latents stage decoder paints; run stage vae or "
            "gan first."
        )
    flat = weights.flatten(jax.device_get(networks))
    merged, listed = {}, {}
    for name, value in flat.items():
        there = _renamed(name, names or {})
        merged[name], listed[name] = _merge(value, stored.get(there), partial)
        if there != name and listed[name]:
            listed[name] += f" of {there}"
    if names and not any(listed[n] for n in flat if _renamed(n, names) != n):
        raise InputError(
            f"config.init_names {dict(names)} matches nothing in '{shown}'; its networks are: "
            f"{', '.join(sorted({n.split('/')[0] for n in stored}))}."
        )
    tree = weights.unflatten({name: np.asarray(value) for name, value in merged.items()})
    lacking = [n for n in flat if n.startswith("autoencoder/") and not listed[n]]
    if lacking and stage != "autoencoder":
        raise InputError(
            f"'{shown}' holds no autoencoder of the sizes in config.model, which stage {stage} needs; "
            "change the sizes, or train one with --config.stage=autoencoder."
        )
    lines = _lines(networks, flat, listed, paths, lambda name: origin[_renamed(name, names or {})])
    return {name: tree.get(name, {}) for name in networks}, lines


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


def _lines(networks: dict, flat: dict, listed: dict[str, str], paths, origin_of) -> list[str]:
    lines = []
    for network in networks:
        names = [name for name in flat if name.split("/")[0] == network]
        taken = [name for name in names if listed[name]]
        origins = [path for path in paths if path in {origin_of(name) for name in taken}]
        where = " and ".join(map(str, origins or paths))
        lines.append(f"{network}: {len(taken)} of {len(names)} arrays from {where}")
        lines += [
            f"  {name}: {listed[name]}" for name in names if listed[name] not in ("", "whole")
        ]
    return lines
