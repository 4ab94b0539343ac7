"""Arrays of a bank of exemplars, as a weight file holds them: made of records, joined, compressed anew."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from jaxderm.attributes import ADULT_AGE, BodySite, Field
from jaxderm.data.exemplars import COVER, COVERS, FACTS, PICTURES, SKINS


def pack(records: Sequence, size: int, quality: int = 88) -> dict[str, np.ndarray]:
    """Arrays of a bank of records (`features.Record`), faces at `size` px and other sites at three quarters of it."""
    rows, pictures, skins, covers = [], [], [], []
    for record in records:
        facts, side = record.attributes, max(record.image.shape[:2])
        whole_face = facts.site is BodySite.FACE and facts.field is not Field.CLOSE_UP
        target = min(size if whole_face else size * 3 // 4, side)
        picture = Image.fromarray(record.image).resize((target, target), Image.Resampling.LANCZOS)
        pictures.append(_webp(picture, quality))
        skin = Image.fromarray(record.skin.astype(np.uint8) * 255)
        stream = io.BytesIO()
        small = skin.resize((target, target), Image.Resampling.BOX)
        small.point(lambda v: 255 * (v >= 128)).convert("1").save(stream, "PNG", optimize=True)
        skins.append(stream.getvalue())
        coarse = np.asarray(skin.resize((COVER, COVER), Image.Resampling.BOX)) >= 128
        covers.append(np.packbits(coarse))
        points = np.round(record.landmarks.astype(float) / side, 4)
        rows.append({
            "sex": facts.sex.value, "age": facts.age, "ita": facts.ita, "site": facts.site.value,
            "view": facts.view.value, "field": facts.field.value, "field_cm": facts.field_cm,
            "landmarks": [[None if np.isnan(v) else v for v in point] for point in points.tolist()],
            "person": record.person_id, "picture": len(pictures[-1]), "skin": len(skins[-1]),
        })  # fmt: skip
    rest = {SKINS: np.frombuffer(b"".join(skins), np.uint8), COVERS: np.stack(covers)}
    return _arrays(rows, pictures) | rest


def joined(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of a bank of the pictures of two."""
    rows = [row for bank in (first, second) for row in json.loads(bank[FACTS].tobytes().decode())]
    rest = {name: np.concatenate([first[name], second[name]]) for name in (SKINS, COVERS)}
    return _arrays(rows, [bank[PICTURES].tobytes() for bank in (first, second)]) | rest


def compressed(bank: dict[str, np.ndarray], quality: int) -> dict[str, np.ndarray]:
    """Arrays of a bank whose grown people's faces are compressed anew (WebP, 1 to 100).

    A refiner draws those anew; children and other sites are shown as they are, and stay.
    """
    rows, pictures, start = json.loads(bank[FACTS].tobytes().decode()), [], 0
    for row in rows:
        end = start + row["picture"]
        picture = bank[PICTURES][start:end].tobytes()
        age = ADULT_AGE if row["age"] is None else row["age"]
        if row["site"] == BodySite.FACE.value and age >= ADULT_AGE:
            picture = _webp(Image.open(io.BytesIO(picture)), quality)
        pictures.append(picture)
        start, row["picture"] = end, len(picture)
    return bank | _arrays(rows, pictures)


def _webp(picture: Image.Image, quality: int) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=quality, method=6)
    return stream.getvalue()


def _arrays(rows: list[dict[str, Any]], pictures: list[bytes]) -> dict[str, np.ndarray]:
    text = json.dumps(rows, separators=(",", ":")).encode()
    return {
        PICTURES: np.frombuffer(b"".join(pictures), np.uint8),
        FACTS: np.frombuffer(text, np.uint8),
    }
