"""A model as one file: StableHLO for several platforms, weights and a card, loadable without our networks.

`model.jaxderm` is a zip (or its unpacked folder) of
    card.json             what it is, from what, with which versions; SHA-256 of the other two and of itself
    program.jax_export    `jax.export`: StableHLO with a symbolic batch, weights as arguments
    weights.safetensors   arrays by name, in the precision of the source; the program takes float32
Version window: JAX promises to load an export for six months after the release that wrote it, in the same
or a later version; the card's `calling_convention` is checked against what the installed JAX reads.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load, save

import jaxderm
from jaxderm import attributes as attr
from jaxderm.attributes import Attributes
from jaxderm.compilation import use_compilation_cache
from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.models.spec import ModelSpec
from jaxderm.release import engine as engines
from jaxderm.release.engine import Engine

VERSION = 2
PLATFORMS = ("cpu", "cuda", "tpu")
CARD, PROGRAM, WEIGHTS = "card.json", "program.jax_export", "weights.safetensors"
BANK = "bank/"  # exemplars: arrays that the program does not take
EPOCH = (1980, 1, 1, 0, 0, 0)  # equal models give equal files


def condition_layout() -> str:
    """Fingerprint of what each number of the condition vector means to this version."""
    groups = (
        ("sex", attr.Sex),
        ("site", attr.BodySite),
        ("view", attr.View),
        ("field", attr.Field),
    )
    facts = [{name: member} for name, kind in groups for member in kind]
    facts += [{"source": member} for member in attr.Source]
    facts += [{"age": 25.0}, {"age": 61.0}, {"ita": -20.0}, {"ita": 45.0}, {"field_cm": 12.0}]
    rows = np.stack([attr.encode(Attributes(**fact)) for fact in facts])
    return hashlib.sha256(np.round(rows * 1000).astype("<i4").tobytes()).hexdigest()[:16]


def export(name: str, dtype: str | None = None, platforms: tuple[str, ...] = PLATFORMS) -> bytes:
    """The artefact of a known model's name or a weight file, as the bytes of a zip; the same each time."""
    path = weights.find_model(name)
    if is_artefact(path):
        raise InputError(
            f"model '{name}' is an artefact already; export the model it was made from."
        )
    networks, spec, card = weights.load_weights(path)
    engines.check_finite(networks, name)
    spec = spec if dtype is None else dataclasses.replace(spec, dtype=dtype)
    flat = weights.flatten(engines.needed(networks))

    def program(arrays: dict, inputs: dict) -> jax.Array:
        return engines.frames(spec, weights.unflatten(arrays), inputs)

    (count,) = jax.export.symbolic_shape("b")
    inputs = engines.input_shapes(spec, count)
    arrays = {n: jax.ShapeDtypeStruct(value.shape, value.dtype) for n, value in flat.items()}
    with _no_locations():
        exported = jax.export.export(jax.jit(program), platforms=platforms)(arrays, inputs)
    with safe_open(path, "np") as file:
        wanted = [n for n in file.keys() if n in flat or n.startswith(BANK)]
        stored = {n: file.get_tensor(n) for n in sorted(wanted)}
    # One entry: safetensors writes several in any order, and equal models give equal files.
    metadata = {"spec": json.dumps(spec.as_dict())}
    files = {PROGRAM: bytes(exported.serialize()), WEIGHTS: save(stored, metadata=metadata)}
    document = {
        "artefact": VERSION,
        "name": path.stem,
        "source_sha256": weights.sha256(path),
        "jaxderm": jaxderm.__version__,
        "jax": jax.__version__,
        "calling_convention": exported.calling_convention_version,
        "platforms": list(exported.platforms),
        "microbatch": {p: engines.MICROBATCH.get(p, engines.DEFAULT_MICROBATCH) for p in platforms},
        "spec": spec.as_dict(),
        "condition_layout": condition_layout(),
        "inputs": {n: ["b", *like.shape[1:]] for n, like in inputs.items()},
        "output": ["b", spec.size, spec.size, 3],
        "model": card,
        "sha256": {n: hashlib.sha256(data).hexdigest() for n, data in files.items()},
    }
    document["card_sha256"] = _card_sha256(document)
    files = {CARD: (json.dumps(document, indent=1) + "\n").encode(), **files}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for n, data in files.items():
            archive.writestr(zipfile.ZipInfo(n, EPOCH), data)
    return packed.getvalue()


@contextlib.contextmanager
def _no_locations():
    """No source locations in the program: it holds no paths, and an export is the same from anywhere."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)


def _card_sha256(document: dict[str, Any]) -> str:
    rest = {name: value for name, value in document.items() if name != "card_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def is_artefact(path: str | os.PathLike) -> bool:
    """Whether a path is a zip or a folder with a card, and not a weight file."""
    return Path(path).is_dir() or zipfile.is_zipfile(path)


def _read(path: Path, name: str) -> bytes:
    try:
        if path.is_dir():
            return (path / name).read_bytes()
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError):
        raise InputError(
            f"model '{path}' is not a whole jaxderm artefact: its {name} cannot be read; export it again."
        ) from None


def read_card(path: str | os.PathLike) -> tuple[dict[str, Any], ModelSpec]:
    """(card, sizes) of an artefact, checked as far as that goes without the rest; InputError otherwise."""
    path = Path(path)
    try:
        card = json.loads(_read(path, CARD))
        version = card["artefact"]
        if version != VERSION:
            raise InputError(
                f"model '{path}' is an artefact of version {version}, made by jaxderm {card.get('jaxderm')}; "
                f"this jaxderm {jaxderm.__version__} reads version {VERSION}: export it again with this one."
            )
        if card["card_sha256"] != _card_sha256(card):
            raise _changed(path, CARD)
        spec = ModelSpec(**card["spec"])
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            f"model '{path}' has a card that is not one of a jaxderm artefact; export it again."
        ) from None
    if card["condition_layout"] != condition_layout() or spec.condition_size != attr.CONDITION_SIZE:
        raise InputError(
            f"model '{path}' was made by jaxderm {card['jaxderm']}, whose facts are laid out otherwise than "
            f"those of this jaxderm {jaxderm.__version__}; export it again with this one."
        )
    return card, spec


def identity(path: str | os.PathLike) -> dict[str, str]:
    """{"name", "sha256"}: the SHA-256 of the card, which has those of program and weights."""
    card, _ = read_card(path)
    return {"name": card["name"], "sha256": hashlib.sha256(_read(Path(path), CARD)).hexdigest()}


def _changed(path: Path, name: str) -> InputError:
    return InputError(
        f"model '{path}' was changed after its export: {name} does not match its SHA-256; get it again."
    )


def load_engine(path: str | os.PathLike, dtype: str | None = None) -> tuple[Engine, dict]:
    """(engine, `identity`) of an artefact, all of it checked; InputError says what is wrong."""
    path = Path(path)
    card, spec = read_card(path)
    if dtype not in (None, spec.dtype):
        raise InputError(
            f"model '{path}' was exported in {spec.dtype}; --dtype {dtype} needs another export."
        )
    data = {name: _read(path, name) for name in (PROGRAM, WEIGHTS)}
    for name, content in data.items():
        if hashlib.sha256(content).hexdigest() != card["sha256"].get(name):
            raise _changed(path, name)
    exported = _deserialize(path, card, data[PROGRAM])
    stored = load(data[WEIGHTS])
    flat = {n: v.astype(np.float32) for n, v in stored.items() if not n.startswith(BANK)}
    engines.check_finite(flat, str(path))
    exemplars = {n.removeprefix(BANK): v for n, v in stored.items() if n.startswith(BANK)}
    bank = engines.bank_of({"bank": exemplars}, spec, str(path))
    use_compilation_cache()
    return Engine(flat, spec, exported.call, bank=bank), identity(path)


def _release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with, (0, 12, 0) of 0.12.0.1."""
    return tuple(int(word) for word in version.split(".")[:3] if word.isdigit())


def _deserialize(path: Path, card: dict[str, Any], program: bytes) -> Any:
    """The program, or a sentence that says what is too old or too new."""
    made = f"model '{path}' was exported with jax {card['jax']}"
    if _release(card["jax"]) > _release(jax.__version__):
        raise InputError(
            f"{made}, which is newer than the jax {jax.__version__} here: update jax, or export it again with "
            "this version."
        )
    oldest = jax.export.minimum_supported_calling_convention_version
    newest = jax.export.maximum_supported_calling_convention_version
    if not oldest <= card["calling_convention"] <= newest:
        raise InputError(
            f"{made} (calling convention {card['calling_convention']}), which jax {jax.__version__} no longer "
            f"or not yet reads ({oldest} to {newest}): export it again with this version."
        )
    platform = {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
    if platform not in card["platforms"]:
        raise InputError(
            f"model '{path}' was exported for {', '.join(card['platforms'])}, not for {platform}; export it "
            "again with --platforms."
        )
    try:
        exported = jax.export.deserialize(bytearray(program))
        exported.mlir_module()  # decodes the StableHLO, which would otherwise wait for the compilation
        return exported
    except ImportError:
        raise InputError(
            f"model '{path}' needs flatbuffers: pip install 'jaxderm[export]'."
        ) from None
    except Exception as error:  # whatever the reader of another version stumbles over
        raise InputError(
            f"{made}, which jax {jax.__version__} cannot read ({type(error).__name__}): export it again with "
            "this version."
        ) from None
