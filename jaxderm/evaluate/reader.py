"""The attribute reader: a small network that reads sex, age, body site and skin tone off a picture.

It is trained on rendered people only (benchmarks/attribute_reader.py), whose labels are true by construction;
what it says of photographs is as good as the renders are, and reports say so.
"""

import dataclasses
import json
import os
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jaxderm.attributes import BodySite, Sex
from jaxderm.errors import InputError
from jaxderm.evaluate.attributes import Reader
from jaxderm.models.weights import flatten, unflatten
from jaxderm.photo import write_atomic

SITES = tuple(site for site in BodySite if site is not BodySite.UNSPECIFIED)
AGE_SCALE, ITA_SCALE = 25.0, 30.0  # years and degrees of one unit of an output
BATCH = 64


@dataclasses.dataclass(frozen=True)
class ReaderSpec:
    """Input side in pixels and channels of each stage (each halves the side)."""

    size: int = 96
    channels: tuple[int, ...] = (24, 40, 72, 112, 176)


class ReaderNetwork(nn.Module):
    """Pictures [B,S,S,3] in [-1,1] -> outputs [B, 1 + 1 + 1 + sites]: male logit, age, ITA, site logits."""

    spec: ReaderSpec

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Outputs of pictures."""
        for k, width in enumerate(self.spec.channels):
            x = nn.Conv(width, (5, 5) if k == 0 else (3, 3), strides=2, name=f"down{k}")(x)
            x = nn.relu(nn.LayerNorm(name=f"norm{k}")(x))  # by pixel: no mixing of the batch
            if k >= 2:
                y = nn.relu(nn.Conv(width, (3, 3), name=f"keep{k}")(x))
                x = x + y
        mean, most = x.mean((1, 2)), x.max((1, 2))
        x = nn.relu(nn.Dense(192, name="hidden")(jnp.concatenate([mean, most], -1)))
        return nn.Dense(3 + len(SITES), name="outputs")(x)


def as_input(pictures: list[np.ndarray], size: int) -> np.ndarray:
    """Pictures [h,w,3] uint8 -> [N,S,S,3] float32 in [-1,1]."""
    small = [
        np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.BICUBIC))
        for p in pictures
    ]
    return np.stack(small).astype(np.float32) / 127.5 - 1


def answers(outputs: np.ndarray) -> list[dict]:
    """Outputs [N,...] as {"sex", "male" (probability), "age" in years, "ita" in degrees, "site"}."""
    found = []
    for row in np.asarray(outputs, float):
        male = 1 / (1 + np.exp(-row[0]))
        found.append(
            {
                "sex": (Sex.MALE if male > 0.5 else Sex.FEMALE).value,
                "male": float(male),
                "age": float(np.clip(AGE_SCALE * row[1] + 40, 0, 120)),
                "ita": float(ITA_SCALE * row[2]),
                "site": SITES[int(row[3:].argmax())].value,
            }
        )
    return found


def read_pictures(params: dict, spec: ReaderSpec, pictures: list[np.ndarray]) -> list[dict]:
    """What the network reads in pictures [h,w,3] uint8: the mean of each and its mirror image."""

    @jax.jit
    def apply(variables, batch):
        read = ReaderNetwork(spec).apply
        return (read(variables, batch) + read(variables, batch[:, :, ::-1])) / 2

    outputs = []
    for start in range(0, len(pictures), BATCH):
        batch = as_input(pictures[start : start + BATCH], spec.size)
        count = len(batch)
        batch = np.pad(batch, [(0, BATCH - count), (0, 0), (0, 0), (0, 0)])  # one program
        outputs.append(np.asarray(apply({"params": params}, batch))[:count])
    return answers(np.concatenate(outputs)) if outputs else []


def save_reader(path: str | os.PathLike, params: dict, spec: ReaderSpec, **card) -> None:
    """Writes the network as half-precision safetensors with its sizes and card, atomically."""
    flat = {k: np.ascontiguousarray(v, np.float16) for k, v in flatten(params).items()}
    metadata = {"reader": json.dumps(dataclasses.asdict(spec)), "card": json.dumps(card)}
    write_atomic(Path(path), save(flat, metadata=metadata))


def load_network(path: str | os.PathLike) -> tuple[dict, ReaderSpec, dict]:
    """(parameters as float32, spec, card) of a saved reader; InputError when the file is none."""
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            flat = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}
        values = json.loads(metadata["reader"])
        spec = ReaderSpec(int(values["size"]), tuple(int(c) for c in values["channels"]))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise InputError(
            f"reader '{path}' is not an attribute reader of jaxderm ({error}); "
            "make one with benchmarks/attribute_reader.py."
        ) from None
    return unflatten(flat), spec, json.loads(metadata.get("card", "{}"))


def load_reader(path: str | os.PathLike) -> Reader:
    """A saved reader as the evaluation's `Reader`."""
    params, spec, _ = load_network(path)
    return Reader(Path(path).stem, lambda pictures: read_pictures(params, spec, pictures))
