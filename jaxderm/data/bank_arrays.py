"""Arrays of a bank of exemplars, as a weight file holds them: made of records, joined, compressed anew."""

import io
import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from jaxderm.attributes import ADULT_AGE, BodySite, Field
from jaxderm.data.exemplars import COVER, COVERS, FACTS, PICTURES, SKINS, rows_of


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
        small = skin.resize((target, target), Image.Resampling.BOX)
        skins.append(_webp(small.point(lambda v: 255 * (v >= 128)), 100, lossless=True))
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
    rows = [row for bank in (first, second) for row in rows_of(bank)]
    rest = {name: np.concatenate([first[name], second[name]]) for name in (SKINS, COVERS)}
    return _arrays(rows, [bank[PICTURES].tobytes() for bank in (first, second)]) | rest


def compressed(
    bank: dict[str, np.ndarray], faces: int = 0, sites: int = 0, close_ups: int = 0
) -> dict[str, np.ndarray]:
    """Arrays of a bank whose pictures are compressed anew (WebP, 1 to 100; 0, as they are).

    faces: of grown people, which a refiner draws anew; sites, close_ups: of what is no face, which is shown as it is, and whose
    skin is even. Children's faces, which are shown, too, stay.
    """
    rows, pictures, start = rows_of(bank), [], 0
    for row in rows:
        end = start + row["picture"]
        picture = bank[PICTURES][start:end].tobytes()
        if row["site"] != BodySite.FACE.value:
            quality = close_ups if row["field"] == Field.CLOSE_UP.value else sites
        else:
            quality = faces if row["age"] is None or row["age"] >= ADULT_AGE else 0
        if quality:
            picture = _webp(Image.open(io.BytesIO(picture)), quality)
        pictures.append(picture)
        start, row["picture"] = end, len(picture)
    return bank | _arrays(rows, pictures)


def _webp(picture: Image.Image, quality: int, lossless: bool = False) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=quality, method=6, lossless=lossless)
    return stream.getvalue()


def _arrays(rows: list[dict[str, Any]], pictures: list[bytes]) -> dict[str, np.ndarray]:
    text = zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 9)
    return {
        PICTURES: np.frombuffer(b"".join(pictures), np.uint8),
        FACTS: np.frombuffer(text, np.uint8),
    }
