"""A model by name or path: a shipped one, a weight file, or an exported artefact."""

import dataclasses

from flax.errors import ScopeParamNotFoundError, ScopeParamShapeError

from jaxderm.compilation import use_compilation_cache
from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.models.spec import ModelSpec
from jaxderm.release import artefact
from jaxderm.release.engine import Engine, bank_of, check_finite


def read_spec(name: str) -> ModelSpec:
    """The model's sizes, without its weights; InputError for what is not a model."""
    path = weights.find_model(name)
    return artefact.read_card(path)[1] if artefact.is_artefact(path) else weights.read_spec(path)


def identity(name: str) -> dict[str, str]:
    """{"name", "sha256"} of a model as its releases' manifests have them."""
    path = weights.find_model(name)
    if artefact.is_artefact(path):
        return artefact.identity(path)
    return {"name": path.stem, "sha256": weights.sha256(path)}


def load_engine(name: str, dtype: str | None = None) -> tuple[Engine, dict]:
    """(engine, {"name", "sha256"}) of a model.

    dtype: float32 or bfloat16 activations instead of the model's own, which the dictionary then names.
    """
    path = weights.find_model(name)
    if artefact.is_artefact(path):
        return artefact.load_engine(path, dtype)
    networks, spec, _ = weights.load_weights(path)
    check_finite(networks, name)
    model = identity(name)
    if dtype not in (None, spec.dtype):
        spec, model["dtype"] = dataclasses.replace(spec, dtype=dtype), dtype
    use_compilation_cache()
    try:
        return Engine(networks, spec, bank=bank_of(networks, spec, name)), model
    except (ScopeParamNotFoundError, ScopeParamShapeError):
        raise InputError(
            f"model '{name}' has other networks than this version of jaxderm draws with; use the version that it was "
            "trained with, or train it again."
        ) from None
