"""The compiled program of a model: evidence in, frames out, in one canonical microbatch.

One program a model and platform with a fixed microbatch, padded, on each local device: neither
batching nor order nor the number of devices shows in the bytes of a release (DESIGN, contract 1).
"""

import collections
import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxderm.data.exemplars import Bank
from jaxderm.errors import InputError
from jaxderm.models import refiner, weights
from jaxderm.models.layers import landmark_heatmaps
from jaxderm.models.spec import ModelSpec

MICROBATCH = {"cpu": 1}  # every other platform: 64
DEFAULT_MICROBATCH = 64
IN_FLIGHT = 2  # microbatches a device: one runs while the next one's inputs travel
DTYPES = ("float32", "bfloat16")
NETWORKS = ("autoencoder", "generator", "latent")


class DeviceMemoryError(InputError):
    """The device's memory does not hold the program for even one frame."""


@dataclasses.dataclass(frozen=True)
class Generated:
    """A frame [S,S,3] float32 in [-1,1] and the microbatch that it was computed in."""

    frame: np.ndarray
    microbatch: int


def input_shapes(spec: ModelSpec, count: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of the program's inputs for `count` frames (a number, or a symbolic dimension)."""
    size = spec.size
    shapes = {
        "pixels": (count, size, size, 3),
        "mask": (count, size, size),
        "landmarks": (count, 5, 2),
        "z": (count, 2, spec.z_size),  # of coarse and fine styles
        "codes": (count, spec.code_size),
        "condition": (count, spec.condition_size),
    }
    if spec.exemplars:
        shapes["exemplar"] = (count, size, size, 3)
    return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}


def needed(networks: dict) -> dict:
    """The part of a model's networks that a release needs: no encoder of the autoencoder."""
    kept: dict = {name: networks.get(name, {}) for name in NETWORKS}
    kept["autoencoder"] = {n: part for n, part in kept["autoencoder"].items() if n != "encoder"}
    return kept


def frames(spec: ModelSpec, networks: dict, inputs: dict) -> jax.Array:
    """Frames [N,S,S,3] of inputs (`input_shapes`): generator, latent statistics, decoder."""
    mask = inputs["mask"][..., None]
    heatmaps = landmark_heatmaps(inputs["landmarks"], spec.size)
    seen = jnp.concatenate([inputs["pixels"], mask, heatmaps], -1)
    if spec.exemplars:
        place = inputs["landmarks"], inputs["condition"]
        seen = refiner.seen(seen, inputs["exemplar"], *place, spec.face_strength)
    latent = spec.generator().apply(
        {"params": networks["generator"]}, seen, inputs["z"], inputs["codes"], inputs["condition"]
    )
    latent = latent * networks["latent"]["std"] + networks["latent"]["mean"]
    decoder = {"params": networks.get("autoencoder", {})}
    return spec.autoencoder().apply(decoder, latent, method="decode")


class Engine:
    """A model, resident on every local device and compiled ahead of time; safe to use from threads.

    program: (networks, inputs) -> frames instead of the networks that spec names (an exported
    artefact's); devices: all local ones by default; bank: the exemplars that came with the networks.
    """

    def __init__(
        self,
        networks: dict,
        spec: ModelSpec,
        program: Callable[[dict, dict], jax.Array] | None = None,
        devices: list[jax.Device] | None = None,
        bank: Bank | None = None,
    ) -> None:
        self.spec, self.bank = spec, bank
        self.devices = devices or jax.local_devices()
        self.microbatch = MICROBATCH.get(self.devices[0].platform, DEFAULT_MICROBATCH)
        self.shapes = input_shapes(spec, self.microbatch)
        self._function = program
        self._fits = self.microbatch  # smaller once the device's memory was too small
        self._turn = itertools.count()
        self._compiling = threading.Lock()
        self._programs: dict[tuple[int, int], Any] = {}
        self.hold(networks)
        for place in range(len(self.devices)):
            self._compiled(place, self.microbatch)

    def hold(self, networks: dict) -> None:
        """Put other networks of the same sizes on the devices; the compiled programs stay."""
        kept = networks if self._function else needed(networks)
        self._held = [jax.device_put(kept, device) for device in self.devices]

    @property
    def networks(self) -> dict:
        """The networks as the first device holds them."""
        return self._held[0]

    @property
    def program(self) -> Any:
        """The canonical compiled program of the first device."""
        return self._compiled(0, self.microbatch)

    def _compiled(self, place: int, count: int) -> Any:
        with self._compiling:
            if (place, count) not in self._programs:

                def run(networks: dict, pixels: jax.Array, rest: dict) -> jax.Array:
                    inputs = {"pixels": pixels, **rest}
                    if self._function is not None:
                        return self._function(networks, inputs)
                    return frames(self.spec, networks, inputs)

                on = jax.sharding.SingleDeviceSharding(self.devices[place])
                shapes = input_shapes(self.spec, count)
                # The frames take the place of the pixels, which have the same shape.
                jitted = jax.jit(run, donate_argnums=1, in_shardings=on, out_shardings=on)
                lowered = jitted.lower(self._held[place], shapes.pop("pixels"), shapes)
                self._programs[place, count] = lowered.compile()
            return self._programs[place, count]

    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Frames [N,S,S,3] in [-1,1] of N stacked inputs (float32, keys as in `shapes`)."""
        return np.stack([generated.frame for generated in self.generate(inputs)])

    def generate(self, inputs: dict[str, np.ndarray]) -> list[Generated]:
        """Frames of N stacked inputs, spread over the devices in microbatches.

        Where a device's memory is too small, its microbatch is tried again alone, then in halves, each
        padded, down to one frame; DeviceMemoryError when that does not fit either.
        """
        made: list[Generated] = []
        waiting: collections.deque = collections.deque()
        for part in self._parts(inputs, self._fits):
            if len(waiting) == IN_FLIGHT * len(self.devices):
                made += self._collect(*waiting.popleft())
            waiting.append((part, self._fits, self._dispatch(part, self._fits)))
        while waiting:
            made += self._collect(*waiting.popleft())
        return made

    def _parts(self, inputs: dict[str, np.ndarray], size: int) -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, len(inputs["z"]), size):
            yield {name: inputs[name][start : start + size] for name in self.shapes}

    def _dispatch(self, part: dict[str, np.ndarray], size: int) -> Any:
        """Start a microbatch; the array to come, None when the device's memory is too small."""
        place = next(self._turn) % len(self.devices)
        try:
            padded = {}
            for name, like in self.shapes.items():
                padded[name] = np.zeros((size, *like.shape[1:]), np.float32)
                padded[name][: len(part[name])] = part[name]
            padded = jax.device_put(padded, self.devices[place])
            program = self._compiled(place, size)
            return program(self._held[place], padded.pop("pixels"), padded)
        except jax.errors.JaxRuntimeError as error:
            if not _out_of_memory(error):
                raise
            return None

    def _collect(self, part: dict[str, np.ndarray], size: int, started: Any) -> list[Generated]:
        frames = self._values(started)
        if frames is None:  # the same program again: what ran beside it may be through
            frames = self._values(self._dispatch(part, size))
        if frames is not None:
            return [Generated(frame, size) for frame in frames[: len(part["z"])]]
        if size == 1:
            raise DeviceMemoryError(
                f"the memory of {self.devices[0]} is too small for one frame of {self.spec.size} px; "
                "end what else uses it, or choose a smaller model."
            )
        self._fits = min(self._fits, size // 2)
        smaller = self._parts(part, size // 2)
        return [
            g for p in smaller for g in self._collect(p, size // 2, self._dispatch(p, size // 2))
        ]

    def _values(self, started: Any) -> np.ndarray | None:
        try:
            return None if started is None else np.asarray(started)
        except jax.errors.JaxRuntimeError as error:
            if not _out_of_memory(error):
                raise
            return None


def _out_of_memory(error: Exception) -> bool:
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()


def bank_of(networks: dict, spec: ModelSpec, name: str) -> Bank | None:
    """The exemplars in a model's networks, None where it uses none; InputError where they are missing."""
    if not spec.exemplars:
        return None
    try:
        return Bank(networks["bank"])
    except (KeyError, ValueError):
        raise InputError(
            f"model '{name}' draws from exemplars and holds no bank of them; the file is damaged, get it again."
        ) from None


def check_finite(networks: dict, name: str) -> None:
    """InputError for weights that are not finite, before any photo is read."""
    for weight, values in weights.flatten(networks).items():
        if not np.isfinite(values).all():
            raise InputError(
                f"model '{name}' holds values that are not finite in '{weight}'; the file is damaged, "
                "get it again."
            )
