"""Models of random weights, and a face-like case: what the release tests share."""

import functools
import tempfile
from pathlib import Path

import jax
import numpy as np

from jaxderm.attributes import Attributes, BodySite, Sex
from jaxderm.models import weights
from jaxderm.models.spec import ModelSpec
from jaxderm.release.synthesize import Deidentifier

SIZES = {
    size: ModelSpec(size=size, encoder_width=8, decoder_width=32, base=32, z_size=16)
    for size in (64, 128, 256)
}
LANDMARKS = np.array([[40, 50], [70, 50], [55, 65], [45, 80], [66, 80]], np.float32)
FACTS = Attributes(sex=Sex.FEMALE, age=40.0, ita=30.0, site=BodySite.ARM)


@functools.cache
def weight_file(size: int = 64) -> Path:
    """Weight file of a generator with random weights (they move the picture, unlike zeros)."""
    from jaxderm.train.state import init_networks

    spec, rng = SIZES[size], np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: init_networks(spec, 0))

    def fill(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 400
        return rng.standard_normal(leaf.shape, np.float32) / np.sqrt(fan_in)

    released = jax.tree.map(fill, {n: shapes[n] for n in ("autoencoder", "generator")})
    released["latent"] = {"mean": np.zeros(spec.channels), "std": np.ones(spec.channels)}
    path = Path(tempfile.mkdtemp()) / "small.safetensors"
    weights.save_weights(path, released, spec, "float16")
    return path


@functools.cache
def deidentifier(size: int = 64) -> Deidentifier:
    """The model of a size, loaded once a process."""
    return Deidentifier.load(str(weight_file(size)))


def photo_and_mask(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Skin-coloured noise [H,W,3] with a dark disc, and the disc's mask."""
    rng = np.random.default_rng(seed)
    base = np.array([200, 150, 125]) + rng.normal(0, 6, (height, width, 3))
    y, x = np.ogrid[:height, :width]
    mask = (y - height // 2) ** 2 + (x - width // 3) ** 2 <= (min(height, width) // 8) ** 2
    base[mask] *= 0.5
    return np.clip(base, 0, 255).astype(np.uint8), mask
