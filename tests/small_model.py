"""Models of random weights, and a face-like case: what the release tests share."""

import dataclasses
import functools
import tempfile
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from jaxderm.attributes import Attributes, BodySite, Field, Sex, Source, View
from jaxderm.models import weights
from jaxderm.models.spec import ModelSpec
from jaxderm.release.synthesize import Deidentifier

SIZES = {
    size: ModelSpec(size=size, encoder_width=8, decoder_width=32, base=32, z_size=16)
    for size in (64, 128, 256)
}
LANDMARKS = np.array([[40, 50], [70, 50], [55, 65], [45, 80], [66, 80]], np.float32)
FACTS = Attributes(sex=Sex.FEMALE, age=40.0, ita=30.0, site=BodySite.ARM)


REFINER = ModelSpec(size=64, reduction=1, channels=3, z_size=16, exemplars=True, refiner_width=8)


@dataclasses.dataclass(frozen=True)
class Picture:
    """What a bank is packed of (a `features.Record` without TFDS)."""

    image: np.ndarray
    skin: np.ndarray
    landmarks: np.ndarray
    attributes: Attributes
    person_id: str


def picture(rng: np.random.Generator, facts: Attributes, person: str, size: int = 96) -> Picture:
    """A smooth picture of random skin, with a face's landmarks where the facts are of a whole face."""
    image = rng.normal([190, 145, 120], 30, (6, 6, 3)).clip(0, 255).astype(np.uint8)
    image = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
    points = np.full((5, 2), np.nan)
    if facts.site is BodySite.FACE and facts.field is Field.WHOLE_SITE:
        points = np.array([[38, 40], [58, 40], [48, 52], [41, 62], [55, 62]]) * size / 96
        points += rng.normal(0, 0.8, (5, 2))
    skin = np.zeros((size, size), bool)
    skin[size // 8 : -size // 8, size // 8 : -size // 8] = True
    return Picture(image, skin, points, facts, person)


@functools.cache
def bank_arrays() -> dict[str, np.ndarray]:
    """A bank of 24 faces of both sexes, ages and tones, and two fields of every other site."""
    from jaxderm.data.bank_arrays import pack

    rng, pictures = np.random.default_rng(3), []
    for k in range(24):
        facts = Attributes(
            list(Sex)[k % 2], 4.0 + 3.5 * k, 60.0 - 5 * (k * 7 % 24), BodySite.FACE, View.FRONTAL,
            Field.WHOLE_SITE, 30.0, Source.RENDER,
        )  # fmt: skip
        pictures.append(picture(rng, facts, f"p{k}"))
    for site in BodySite:
        for field, width in ((Field.WHOLE_SITE, 30.0), (Field.CLOSE_UP, 10.0)):
            if site not in (BodySite.UNSPECIFIED, BodySite.FACE):
                facts = Attributes(Sex.MALE, 40.0, 20.0, site, field=field, field_cm=width)
                pictures.append(picture(rng, facts, f"{site.value} {field.value}"))
    return pack(pictures, 96)


@functools.cache
def weight_file(size: int = 64, exemplars: bool = False) -> Path:
    """Weight file of a generator with random weights (they move the picture, unlike zeros)."""
    from jaxderm.train.state import init_networks

    spec, rng = REFINER if exemplars else SIZES[size], np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: init_networks(spec, 0))

    def fill(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 400
        return rng.standard_normal(leaf.shape, np.float32) / np.sqrt(fan_in)

    released = jax.tree.map(fill, {n: shapes[n] for n in ("autoencoder", "generator")})
    released["latent"] = {"mean": np.zeros(spec.channels), "std": np.ones(spec.channels)}
    if exemplars:
        released["bank"] = bank_arrays()
    path = Path(tempfile.mkdtemp()) / "small.safetensors"
    weights.save_weights(path, released, spec, "float16")
    return path


@functools.cache
def deidentifier(size: int = 64, exemplars: bool = False) -> Deidentifier:
    """The model of a size, or a refiner of exemplars, loaded once a process."""
    return Deidentifier.load(str(weight_file(size, exemplars)))


def photo_and_mask(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Skin-coloured noise [H,W,3] with a dark disc, and the disc's mask."""
    rng = np.random.default_rng(seed)
    base = np.array([200, 150, 125]) + rng.normal(0, 6, (height, width, 3))
    y, x = np.ogrid[:height, :width]
    mask = (y - height // 2) ** 2 + (x - width // 3) ** 2 <= (min(height, width) // 8) ** 2
    base[mask] *= 0.5
    return np.clip(base, 0, 255).astype(np.uint8), mask
