"""TFDS builder for any folder with a `labels.csv` or `labels.jsonl`.

Columns (all but `file` optional; empty = unspecified): file, sex, age (or years), skin_type or ita,
site, subsite, view, field, field_cm, source, landmarks ("x,y x,y x,y x,y x,y": image-left eye,
image-right eye, nose tip, image-left and image-right mouth corner), skin_mask, lesion_mask (files),
person_id. Masks also lie beside the picture as `<stem>_skin.png` and `<stem>_lesion.png`.
Splits go by person, never by image: train 90 %, validation 5 %, test 5 %.
"""

import csv
import dataclasses
import hashlib
import io
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jaxderm import attributes as attr
from jaxderm.attributes import Attributes, Field, Sex, Source, View, parse_enum
from jaxderm.data import features
from jaxderm.errors import InputError
from jaxderm.face import face_skin_region
from jaxderm.frame import parse_landmarks
from jaxderm.photo import read_mask, read_photo

KNOWN = {
    "file", "sex", "age", "years", "skin_type", "ita", "site", "subsite", "view", "field", "field_cm",
    "source", "landmarks", "skin_mask", "lesion_mask", "person_id",
}  # fmt: skip
# Carried by known corpora, of no use here.
IGNORED = {
    "sex_source", "birth_year", "age_source", "lesion", "hair_frac", "albedo_ita", "ethnicity",
    "diagnosis", "id",
}  # fmt: skip
MAX_SIDE = 512
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of labels, parsed: where it stands, its picture, facts, landmarks and masks.

    withheld: why the picture is not to be trained on, "" = it may be.
    """

    where: str
    file: Path
    attributes: Attributes
    landmarks: np.ndarray
    skin_mask: Path | None
    lesion_mask: Path | None
    person_id: str
    withheld: str = ""


def split_of(person_id: str) -> str:
    """Split of a person, by hash: the same in every corpus and version."""
    number = int.from_bytes(hashlib.sha256(person_id.encode()).digest()[:4]) % 100
    return "train" if number < 90 else "validation" if number < 95 else "test"


def read_labels(source: str | Path, source_kind: str | None = None) -> list[Row]:
    """Parsed rows of a folder's labels; InputError names file, row and remedy."""
    folder = Path(source)
    path = next(
        (folder / n for n in ("labels.csv", "labels.jsonl") if (folder / n).is_file()), None
    )
    if path is None:
        raise InputError(
            f"'{source}' has no labels.csv or labels.jsonl; write one with a file column."
        )
    raw = _raw_rows(path)
    columns = set().union(*(row.keys() for row in raw.values()))
    if unknown := {str(c) for c in columns} - KNOWN - IGNORED:
        raise InputError(
            f"{path.name} has an unknown column '{sorted(unknown)[0]}'; known columns: "
            f"{', '.join(sorted(KNOWN))}."
        )
    if "file" not in columns:
        raise InputError(f"{path.name} has no column 'file' or no rows; name the pictures in it.")
    rendered = "albedo_ita" in columns
    rows, seen = [], set()
    for number, row in raw.items():
        try:
            rows.append(_parse(folder, path.name, number, row, source_kind, rendered))
            if rows[-1].file in seen:
                raise InputError(f"picture '{row['file']}' is named twice; leave one row.")
        except InputError as error:
            raise InputError(f"{path.name} row {number}: {error}") from None
        seen.add(rows[-1].file)
    return rows


def _raw_rows(path: Path) -> dict[int, dict]:
    """{line of the file: its cells by column}."""
    number = 1
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # spreadsheets write a BOM
            if path.suffix == ".csv":
                reader = csv.DictReader(file)
                rows = {}
                for row in reader:
                    number = reader.line_num
                    if None in row:
                        raise ValueError(f"more cells than columns: '{row[None][0]}'")
                    rows[number] = row
                return rows
            rows = {}
            for number, line in enumerate(file, 1):
                if line.strip():
                    rows[number] = json.loads(line)
                    if not isinstance(rows[number], dict):
                        raise ValueError(f"'{line.strip()[:40]}' is not an object")
            return rows
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path.name} row {number} cannot be read: {error}.") from None


def is_protected_minor(row: Row) -> bool:
    """Whether the row shows a person under 18 at a site where none is trained on (contract 6)."""
    age = row.attributes.age
    return age is not None and age < attr.ADULT_AGE and row.attributes.site in attr.PROTECTED_SITES


def _parse(
    folder: Path, name: str, number: int, row: dict, kind: str | None, rendered: bool
) -> Row:
    def cell(column: str) -> str:
        value = row.get(column)
        return "" if value is None else str(value)

    def quantity(column: str) -> float | None:
        try:
            value = float(cell(column) or "nan")
        except ValueError:
            value = math.inf
        if math.isinf(value):
            raise InputError(
                f"{column} '{cell(column)}' is not a number; leave it empty if unknown."
            )
        return None if math.isnan(value) else value

    file = folder / cell("file")
    if not file.is_file():
        raise InputError(f"picture '{cell('file')}' does not exist.")
    age = attr.parse_age(cell("age") or cell("years"))
    tone = quantity("ita")
    if tone is None:
        tone = attr.parse_skin_type(cell("skin_type"))
    field_cm = quantity("field_cm")
    if field_cm is not None and field_cm <= 0:
        raise InputError(f"field_cm '{cell('field_cm')}' is not a width in centimetres.")
    view = cell("view")
    facts = Attributes(
        sex=parse_enum(Sex, cell("sex"), "sex"),
        age=age,
        ita=None if tone == "measured" else tone,
        site=attr.parse_site(cell("site"), age, cell("subsite")),
        # The render prototype's only view word; it does not say to which side.
        view=View.UNSPECIFIED if view == "three_quarter" else parse_enum(View, view, "view"),
        field=parse_enum(Field, cell("field"), "field"),
        field_cm=field_cm,
        source=parse_enum(
            Source, cell("source") or kind or ("render" if rendered else "photo"), "source"
        ),
    )

    def mask(column: str, suffix: str) -> Path | None:
        if cell(column):
            given = folder / cell(column)
            if not given.is_file():
                raise InputError(f"{column} '{cell(column)}' does not exist.")
            return given
        beside = file.with_name(f"{file.stem}_{suffix}.png")
        return beside if beside.is_file() else None

    person = cell("person_id") or file.stem
    where = f"{name} row {number}"
    return Row(
        where, file, facts, _landmarks(row.get("landmarks")),
        mask("skin_mask", "skin"), mask("lesion_mask", "lesion"), person,
    )  # fmt: skip


def _landmarks(value) -> np.ndarray:
    if isinstance(value, dict):  # the patient's left is the image's right
        order = ("eye_r", "eye_l", "nose", "mouth_r", "mouth_l")
        points = [value.get(name) for name in order]
        try:
            known = [
                p[:2] if p is not None and (len(p) < 3 or p[2]) else (math.nan,) * 2 for p in points
            ]
            return np.array(known, np.float32).reshape(5, 2)
        except (TypeError, ValueError):
            raise InputError(f"landmarks '{value}' are not {{name: [x, y, visible]}}.") from None
    return parse_landmarks(str(value or "none"))


class PhotoFolder(tfds.core.GeneratorBasedBuilder):
    """A folder of labelled pictures (columns: see the module). Licence: the folder's own.

    Corpora in layouts of their own override `read_rows` (prepare.LAYOUTS).
    """

    read_rows = staticmethod(read_labels)
    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self, *, source: str = "", name: str = "", source_kind: str | None = None, **kwargs
    ):
        self.source, self.source_kind = source, source_kind
        # Each corpus is a data set of its own name, so that two folders do not overwrite each other.
        self.name = name or type(self).name
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(builder=self, features=features.features())

    def _split_generators(self, dl_manager) -> dict:
        rows = type(self).read_rows(self.source, self.source_kind)
        rows = [row for row in rows if not row.withheld and not is_protected_minor(row)]
        parts = {split: [r for r in rows if split_of(r.person_id) == split] for split in SPLITS}
        # TFDS cannot write an empty split.
        return {split: self._generate_examples(part) for split, part in parts.items() if part}

    def _generate_examples(self, rows: list[Row]) -> Iterator[tuple[str, dict]]:
        for row in rows:
            try:
                # By place, not by name: train/1.jpg and val/1.jpg are two pictures.
                yield Path(os.path.relpath(row.file, self.source)).as_posix(), example_of(row)
            except InputError as error:
                raise InputError(f"{row.where}: {error}") from None


def example_of(row: Row) -> dict:
    """TFDS example of a row; ITA is measured on the picture's skin where it is not labelled."""
    image = read_photo(row.file).pixels
    shape = image.shape[:2]

    def mask(path: Path | None) -> np.ndarray | None:
        return None if path is None else read_mask(path, shape, allow_empty=True)

    skin, lesion = mask(row.skin_mask), mask(row.lesion_mask)
    tone = row.attributes.ita
    if tone is None:
        region = skin if skin is not None else face_skin_region(row.landmarks, shape)
        if lesion is not None:
            region = region & ~lesion
        tone = attr.ita(image, region)
    scale = min(1.0, MAX_SIDE / max(shape))
    a = row.attributes
    return {
        "image": _encode(image, scale, row.file if scale == 1.0 else None),
        "skin_mask": b"" if skin is None else _encode(skin, scale),
        "lesion_mask": b"" if lesion is None else _encode(lesion, scale),
        "landmarks": (row.landmarks * scale).astype(np.float32),
        "sex": a.sex.value,
        "age": math.nan if a.age is None else a.age,
        "ita": math.nan if tone is None else tone,
        "site": a.site.value,
        "view": a.view.value,
        "field": a.field.value,
        "field_cm": math.nan if a.field_cm is None else a.field_cm,
        "source": a.source.value,
        "person_id": row.person_id,
        "image_id": row.file.stem,
    }


def _encode(pixels: np.ndarray, scale: float, original: Path | None = None) -> bytes:
    """Encoded bytes: the file's own when it is small WebP, JPEG or PNG, else PNG or lossless WebP."""
    if original is not None and original.suffix.lower() in (".webp", ".jpg", ".jpeg", ".png"):
        data = original.read_bytes()
        # Only files that say nothing of orientation or colour: their bytes mean what read_photo saw.
        picture = Image.open(io.BytesIO(data))
        if picture.mode == "RGB" and not picture.getexif() and "icc_profile" not in picture.info:
            return data
    picture = Image.fromarray(pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels)
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    if pixels.dtype == bool:
        picture.save(stream, "PNG")
    else:
        picture.save(stream, "WEBP", lossless=True)
    return stream.getvalue()
