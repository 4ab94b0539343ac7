"""The one schema of every corpus, and the decoded record."""

import dataclasses
import io

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jaxderm.attributes import Attributes, BodySite, Field, Sex, Source, View

SKIN, LESION = 1, 2


def features() -> tfds.features.FeaturesDict:
    """TFDS features. Pictures are encoded bytes (PNG, JPEG, WebP); an empty mask means unknown or none."""
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Text(),
            "skin_mask": tfds.features.Text(),
            "lesion_mask": tfds.features.Text(),
            "landmarks": tfds.features.Tensor(shape=(5, 2), dtype=np.float32),
            "sex": tfds.features.Text(),
            "age": np.float32,
            "ita": np.float32,
            "site": tfds.features.Text(),
            "view": tfds.features.Text(),
            "field": tfds.features.Text(),
            "field_cm": np.float32,
            "source": tfds.features.Text(),
            "person_id": tfds.features.Text(),
            "image_id": tfds.features.Text(),
        }
    )


@dataclasses.dataclass(frozen=True)
class Record:
    """A decoded example: image [H,W,3] uint8; skin, lesion [H,W] bool or None; landmarks [5,2] px."""

    image: np.ndarray
    skin: np.ndarray | None
    lesion: np.ndarray | None
    landmarks: np.ndarray
    attributes: Attributes
    person_id: str
    image_id: str


def decode(example: dict) -> Record:
    """Record of a TFDS example."""

    def text(name: str) -> str:
        value = example[name]
        return value.decode() if isinstance(value, bytes) else str(value)

    def number(name: str) -> float | None:
        value = float(example[name])
        return None if np.isnan(value) else value

    def mask(name: str) -> np.ndarray | None:
        data = example[name]
        return np.asarray(Image.open(io.BytesIO(data)).convert("L")) >= 128 if data else None

    attributes = Attributes(
        sex=Sex(text("sex")),
        age=number("age"),
        ita=number("ita"),
        site=BodySite(text("site")),
        view=View(text("view")),
        field=Field(text("field")),
        field_cm=number("field_cm"),
        source=Source(text("source")),
    )
    return Record(
        np.asarray(Image.open(io.BytesIO(example["image"])).convert("RGB")),
        mask("skin_mask"),
        mask("lesion_mask"),
        np.asarray(example["landmarks"], np.float32),
        attributes,
        text("person_id"),
        text("image_id"),
    )
