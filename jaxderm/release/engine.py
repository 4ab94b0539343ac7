"""The compiled program of a model: evidence in, frames out, in one canonical microbatch.

One program a model and platform with a fixed microbatch, padded: neither batching nor order shows
in the bytes of a release (DESIGN, contract 1).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderm.compilation import use_compilation_cache
from jaxderm.models import weights
from jaxderm.models.layers import landmark_heatmaps
from jaxderm.models.spec import ModelSpec

MICROBATCH = {"cpu": 1}  # every other platform: 64
DEFAULT_MICROBATCH = 64


class Engine:
    """A model, resident and compiled ahead of time for the default device."""

    def __init__(self, networks: dict, spec: ModelSpec) -> None:
        self.spec = spec
        self.microbatch = MICROBATCH.get(jax.default_backend(), DEFAULT_MICROBATCH)
        self.hold(networks)
        n, s = self.microbatch, spec.size
        shapes = {
            "pixels": (n, s, s, 3),
            "mask": (n, s, s),
            "landmarks": (n, 5, 2),
            "z": (n, spec.z_size),
            "codes": (n, spec.code_size),
            "condition": (n, spec.condition_size),
        }
        self.shapes = {
            name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()
        }
        self.program = jax.jit(self._frames).lower(self.networks, self.shapes).compile()

    def hold(self, networks: dict) -> None:
        """Put other networks of the same sizes on the device; the compiled program stays."""
        needed = {name: networks.get(name, {}) for name in ("autoencoder", "generator", "latent")}
        needed["autoencoder"] = {
            name: part for name, part in needed["autoencoder"].items() if name != "encoder"
        }
        self.networks = jax.device_put(needed)

    def _frames(self, networks: dict, inputs: dict) -> jax.Array:
        mask = inputs["mask"][..., None]
        heatmaps = landmark_heatmaps(inputs["landmarks"], self.spec.size)
        seen = jnp.concatenate([inputs["pixels"], mask, heatmaps], -1)
        latent = self.spec.generator().apply(
            {"params": networks["generator"]},
            seen,
            inputs["z"],
            inputs["codes"],
            inputs["condition"],
        )
        latent = latent * networks["latent"]["std"] + networks["latent"]["mean"]
        return self.spec.autoencoder().apply(
            {"params": networks["autoencoder"]}, latent, method="decode"
        )

    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Frames [N,S,S,3] in [-1,1] of N stacked inputs (float32, keys as in `shapes`)."""
        count, frames = len(inputs["z"]), []
        for start in range(0, count, self.microbatch):
            part = {}
            for name, like in self.shapes.items():
                padded = np.zeros(like.shape, np.float32)
                rows = inputs[name][start : start + self.microbatch]
                padded[: len(rows)] = rows
                part[name] = padded
            frames.append(np.asarray(self.program(self.networks, part)))
        return np.concatenate(frames)[:count]


def load_engine(name: str) -> tuple[Engine, dict]:
    """(engine, {"name", "sha256"}) of a known model's name or a weight file's path."""
    path = weights.find_model(name)
    networks, spec, _ = weights.load_weights(path)
    use_compilation_cache()
    return Engine(networks, spec), {"name": path.stem, "sha256": weights.sha256(path)}
