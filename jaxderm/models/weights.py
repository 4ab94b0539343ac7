"""Weights on disk: safetensors with the model's description in the metadata; known models by name."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jaxderm.errors import InputError
from jaxderm.models.spec import ModelSpec

FOLDER = Path(__file__).resolve().parent.parent / "weights"


def flatten(tree: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """{"a/b/kernel": array} of a nested dictionary."""
    if not isinstance(tree, dict):
        return {prefix: np.asarray(tree)}
    flat = {}
    for name, value in tree.items():
        flat.update(flatten(value, f"{prefix}/{name}" if prefix else str(name)))
    return flat


def unflatten(flat: dict[str, np.ndarray]) -> dict[str, Any]:
    """Nested dictionary of {"a/b/kernel": array}; inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, leaf = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _as(value: np.ndarray, dtype: Any) -> np.ndarray:
    """The array in that precision; one of integers (an exemplar bank's) as it is."""
    value = np.asarray(value)
    return np.ascontiguousarray(value, value.dtype if value.dtype.kind in "iu" else dtype)


def save_weights(
    path: str | os.PathLike, networks: dict, spec: ModelSpec, dtype: str, **card
) -> None:
    """Write networks as safetensors in `dtype` (integers as they are), with spec and card in the metadata, atomically."""
    flat = {name: _as(value, dtype) for name, value in flatten(networks).items()}
    metadata = {"spec": json.dumps(spec.as_dict()), "card": json.dumps(card)}
    temporary = Path(f"{path}.tmp")
    temporary.write_bytes(save(flat, metadata=metadata))
    os.replace(temporary, path)


def load_weights(path: str | os.PathLike) -> tuple[dict, ModelSpec, dict]:
    """(networks as float32, integers as they are; spec; card) of a file; InputError when it is not one of ours."""
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            flat = {name: _as(file.get_tensor(name), np.float32) for name in file.keys()}
        spec = ModelSpec(**json.loads(metadata["spec"]))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise _not_ours(path, error) from None
    return unflatten(flat), spec, json.loads(metadata.get("card", "{}"))


def read_spec(path: str | os.PathLike) -> ModelSpec:
    """Only the model's sizes, from the header of a weight file."""
    try:
        with safe_open(path, "np") as file:
            return ModelSpec(**json.loads((file.metadata() or {})["spec"]))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise _not_ours(path, error) from None


def _not_ours(path: str | os.PathLike, error: Exception) -> InputError:
    return InputError(
        f"model '{path}' is not a jaxderm weight file ({error}); "
        "train one with `jaxderm train` or use a known name."
    )


def known_models() -> list[str]:
    """Names of the models that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def find_model(name: str) -> Path:
    """Path of a known model's name or of a file; InputError lists the known names."""
    shipped = FOLDER / f"{name}.safetensors"
    if os.sep not in name and shipped.is_file():
        return shipped
    if Path(name).exists():
        return Path(name)
    known = ", ".join(known_models()) or "none"
    raise InputError(
        f"model '{name}' is unknown; known models: {known}; or give the path of a weight file or "
        "of an exported artefact."
    )


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
