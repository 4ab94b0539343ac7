"""What is audited: a case (photo, kept, frame, facts) and its release, read back from files."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxderm import attributes as attr
from jaxderm.attributes import Attributes, Field, Sex, View, parse_enum
from jaxderm.errors import InputError
from jaxderm.frame import Frame, grow_mask, parse_landmarks
from jaxderm.photo import read_mask, read_photo
from jaxderm.release import batch, facts
from jaxderm.release.batch import Row

MODEL_SIZE = 128  # only the scale of a frame depends on it, which nothing here uses
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


@dataclasses.dataclass(frozen=True)
class Person:
    """What makes a matched impostor: sex, ethnicity and age in years, as declared; None = unknown."""

    id: str
    sex: str | None
    ethnicity: str | None
    age: float | None

    def matches(self, other: "Person") -> bool:
        """Same sex, same ethnicity, ages at most 10 years apart, all known."""
        known = None not in (
            self.sex,
            self.ethnicity,
            self.age,
            other.sex,
            other.ethnicity,
            other.age,
        )
        return bool(
            known
            and (self.sex, self.ethnicity) == (other.sex, other.ethnicity)
            and abs(self.age - other.age) <= 10
        )


@dataclasses.dataclass(frozen=True)
class Subject:
    """A case as the audit sees it. photo [H,W,3] uint8; lesion (the mask as drawn), kept [H,W] bool.

    landmarks [5,2] as declared in photo pixels, NaN unknown.
    """

    id: str
    photo: np.ndarray
    lesion: np.ndarray
    kept: np.ndarray
    frame: Frame
    landmarks: np.ndarray
    site: str

    @property
    def is_face(self) -> bool:
        """Whether the site is the face."""
        return self.site == attr.BodySite.FACE.value


@dataclasses.dataclass(frozen=True)
class Published:
    """A release as it lies in a folder: pixels [h,w,3] uint8 on `rectangle` of the photo.

    document is its manifest; None where it has none.
    """

    pixels: np.ndarray
    rectangle: tuple[int, int, int, int]
    document: dict[str, Any] | None

    @property
    def generated(self) -> bool:
        """Whether a model made it: a method of today shows original pixels outside kept."""
        return self.document is not None and bool(self.document.get("model", {}).get("sha256"))


def read_rows(path: str) -> list[Row]:
    """Rows of a cases file with usable ids; InputError for a bad header, an unusable or double id."""
    rows, seen = batch.read_cases(path), set()
    for row in rows:
        batch.check_id(row, seen)
    return rows


def person_of(row: Row) -> Person:
    """Sex, ethnicity and age of a row, as declared."""

    def text(name: str) -> str | None:
        value = (row.get(name) or "").strip().lower()
        return None if value in ("", "na", "n/a", "none", "unspecified") else value

    try:
        age = attr.parse_age(row.get("age"))
    except InputError:
        age = None
    return Person(row.id, text("sex"), text("ethnicity"), age)


def subject_of(row: Row, document: dict[str, Any] | None = None) -> Subject:
    """Subject of a row; margin and frame are the manifest's where there is one. Raises InputError."""
    photo = read_photo(row.path("photo"))
    size = photo.pixels.shape[:2]
    lesion = read_mask(row.path("mask"), size)
    age = attr.parse_age(row.get("age"))
    site = attr.parse_site(row.get("site"), age, row.get("subsite") or "")
    text = row.get("landmarks")
    landmarks = parse_landmarks(text, size) if text else np.full((5, 2), np.nan, np.float32)
    known = {} if document is None else document["facts"]
    if known:
        margin, box = known["margin_px"]["value"], known["frame"]["value"]
        kept, frame = grow_mask(lesion, margin), Frame(tuple(box), MODEL_SIZE / (box[2] - box[0]))
    else:
        case = facts.resolve(
            photo,
            lesion,
            Attributes(
                sex=parse_enum(Sex, row.get("sex"), "sex"),
                age=age,
                site=site,
                view=parse_enum(View, row.get("view"), "view"),
                field=parse_enum(Field, row.get("field"), "field"),
            ),
            MODEL_SIZE,
            landmarks=landmarks,
            measure_tone=False,
            margin=float(row.get("margin")) if row.get("margin") else None,
            frame=row.get("frame") or None,
            force=True,
        )
        kept, frame = case.kept, case.frame
    return Subject(row.id, photo.pixels, lesion, kept, frame, landmarks, site.value)


def published_of(folder: str | Path, row_id: str, shape: tuple[int, int] | None) -> Published:
    """The release `<id>.png` of a folder; shape (height, width) of the photo, if known.

    Without a manifest the picture must have the photo's size. InputError says what is missing.
    """
    path = Path(folder) / f"{row_id}.png"
    if not path.is_file():
        raise InputError(f"no release '{path.name}' in '{folder}'.")
    pixels = read_photo(path).pixels
    sidecar = path.with_suffix(".json")
    document = None
    if sidecar.is_file():
        try:
            document = json.loads(sidecar.read_bytes())
            place = document["frame"]
            rectangle = (place["x"], place["y"])
            rectangle += (place["x"] + place["width"], place["y"] + place["height"])
            for name in ("margin_px", "frame", "skin_tone", "landmarks"):
                document["facts"][name]["value"]  # noqa: B018 (they must be there)
        except (ValueError, KeyError, TypeError):
            raise InputError(f"'{sidecar.name}' is not the manifest of a release.") from None
        if pixels.shape[:2] != (place["height"], place["width"]):
            raise InputError(
                f"'{path.name}' has another size than its manifest says; it was changed afterwards."
            )
    elif shape is not None and pixels.shape[:2] == tuple(shape):
        rectangle = (0, 0, shape[1], shape[0])
    else:
        raise InputError(
            f"'{path.name}' has no manifest and not the photo's size: where it lies is unknown."
        )
    return Published(pixels, rectangle, document)


def pictures_of(folder: str, what: str) -> list[Path]:
    """Picture files of a folder, sorted by name; InputError when there are none."""
    if not Path(folder).is_dir():
        raise InputError(f"{what} '{folder}' is not a folder.")
    paths = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in PICTURES)
    if not paths:
        raise InputError(f"{what} '{folder}' holds no picture ({', '.join(PICTURES)}).")
    return paths


def landmark_table(folder: str) -> dict[str, str]:
    """{file name: landmarks text} of a folder's labels.csv, where it has one with these columns."""
    path = Path(folder) / "labels.csv"
    if not path.is_file():
        return {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return {
        row["file"]: row["landmarks"] for row in rows if row.get("file") and row.get("landmarks")
    }


def skin_box(subject: Subject) -> tuple[int, int, int, int]:
    """The rectangle (x0, y0, x1, y1) of the photo that the frame shows: what a release may show."""
    return subject.frame.inside(*subject.kept.shape)


__all__ = [
    "Person", "Published", "Subject", "landmark_table", "person_of", "pictures_of",
    "published_of", "read_rows", "skin_box", "subject_of",
]  # fmt: skip
