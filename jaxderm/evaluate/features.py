"""Feature extractors for realism: a fixed random network (default, no download), Inception-v3, a reader.

An extractor maps pictures [N,S,S,3] uint8 to features [N,D] float32, sharded over all devices.
"""

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from PIL import Image

from jaxderm.errors import InputError
from jaxderm.evaluate import inception
from jaxderm.evaluate.attributes import Reader
from jaxderm.release import randomness

RANDOM_SIZE, RANDOM_FEATURES = 128, 64
RANDOM_WIDTHS = (24, 48, 96, 128)
PER_DEVICE = 8


class Extractor(Protocol):
    """What realism asks of an extractor."""

    name: str
    size: int
    features: int

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Features [N,D] float32 of pictures [N,S,S,3] uint8, S = size."""


class Network:
    """An extractor that is a JAX function of (params, pictures [B,S,S,3] in [-1,1])."""

    def __init__(
        self, name: str, size: int, features: int, params: dict, apply: Callable[..., jax.Array]
    ) -> None:
        self.name, self.size, self.features = name, size, features
        devices = jax.devices()
        mesh = jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,))
        self.batch = PER_DEVICE * len(devices)
        self.rows = NamedSharding(mesh, PartitionSpec("data"))
        whole = NamedSharding(mesh, PartitionSpec())
        self.params = jax.device_put(params, whole)

        def program(params, pictures):
            return apply(params, pictures.astype(jnp.float32) / 127.5 - 1)

        self.program = jax.jit(program, in_shardings=(whole, self.rows), out_shardings=self.rows)

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Features [N,D] float32; the last batch is padded, so that one program serves all."""
        parts = []
        for start in range(0, len(pictures), self.batch):
            part = pictures[start : start + self.batch]
            padded = np.zeros((self.batch, *part.shape[1:]), np.uint8)
            padded[: len(part)] = part
            result = self.program(self.params, jax.device_put(padded, self.rows))
            parts.append(np.asarray(result, np.float32)[: len(part)])
        return np.concatenate(parts) if parts else np.zeros((0, self.features), np.float32)


def random_network() -> Network:
    """Four strided convolutions and a projection to 64 numbers with fixed random weights.

    Random features judge realism of pictures that are unlike ImageNet without its bias (Naeem 2020,
    section 4, "R64"). The weights come from SHAKE-256: the same on every platform and version.
    """
    params, width = {}, 3
    for number, out in enumerate(RANDOM_WIDTHS):
        shape = (3, 3, width, out)
        values = randomness.normal(
            b"jaxderm random features", b"conv%d" % number, int(np.prod(shape))
        )
        params[f"conv{number}"] = values.reshape(shape) * np.sqrt(2 / (9 * width))
        width = out
    side = RANDOM_SIZE // 2 ** len(RANDOM_WIDTHS)
    count = side * side * width
    values = randomness.normal(b"jaxderm random features", b"out", count * RANDOM_FEATURES)
    params["out"] = values.reshape(count, RANDOM_FEATURES) / np.sqrt(count)

    def apply(params: dict, x: jax.Array) -> jax.Array:
        for number in range(len(RANDOM_WIDTHS)):
            x = jax.lax.conv_general_dilated(
                x,
                params[f"conv{number}"],
                (2, 2),
                "SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
            x = jax.nn.leaky_relu(x, 0.2)
        return x.reshape(len(x), -1) @ params["out"]

    return Network("random network", RANDOM_SIZE, RANDOM_FEATURES, params, apply)


def inception_network(path: str) -> Network:
    """Inception-v3 of a weight file; InputError when it is none."""
    params, fid = inception.load(path)

    def apply(params: dict, x: jax.Array) -> jax.Array:
        return inception.features(params, x, fid)

    name = "Inception-v3 (FID's wiring)" if fid else "Inception-v3 (torchvision's wiring)"
    return Network(name, inception.SIZE, inception.FEATURES, params, apply)


class ReaderFeatures:
    """The features of an attribute reader as an extractor."""

    def __init__(self, reader: Reader, size: int = 256) -> None:
        self.reader, self.name, self.size = reader, f"reader {reader.name}", size
        self.features = self(np.zeros((1, size, size, 3), np.uint8)).shape[1]

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Features [N,D] float32."""
        return self.reader.features(list(pictures))


def load_extractor(name: str, reader: Reader | None = None) -> Extractor:
    """An extractor: "random", "reader" (of a reader with features), or an Inception weight file."""
    if name == "random":
        return random_network()
    if name == "reader":
        if reader is None or not reader.has_features:
            raise InputError(
                "extractor 'reader' needs --reader with features (docs/evaluation.md)."
            )
        return ReaderFeatures(reader)
    return inception_network(name)


def fit(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture [h,w,3] uint8 as [size,size,3], by area where it shrinks; the proportions may change."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0))
