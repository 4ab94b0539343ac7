"""PAD-UFES-20: smartphone close-ups of six kinds of lesion, as downloaded by hand (Pacheco 2020).

Layout (doi 10.17632/zr7vgbcyr2.1): `metadata.csv` and the pictures `PAT_*.png`, in `images/`, `imgs_part_1/` ... or
anywhere below the folder. A mask that a group has drawn lies beside a picture as `<stem>_lesion.png`; only then do
the lesion's two diameters in millimetres say how wide the picture is.

Licence: CC BY 4.0: use and share with attribution to Pacheco et al., Data in Brief 32 (2020), 106221.
"""

import csv
import math
from pathlib import Path

import numpy as np
from PIL import Image

from jaxderm import attributes as attr
from jaxderm.attributes import Attributes, BodySite, Field, Sex, Source
from jaxderm.data.photo_folder import PhotoFolder, Row
from jaxderm.errors import InputError

REGIONS = {
    "ABDOMEN": BodySite.ABDOMEN, "ARM": BodySite.ARM, "BACK": BodySite.BACK, "CHEST": BodySite.CHEST,
    "EAR": BodySite.EAR, "FACE": BodySite.FACE, "FOOT": BodySite.FOOT, "FOREARM": BodySite.ARM,
    "HAND": BodySite.HAND, "LIP": BodySite.FACE, "NECK": BodySite.NECK, "NOSE": BodySite.FACE,
    "SCALP": BodySite.SCALP, "THIGH": BodySite.THIGH,
}  # fmt: skip
SEXES = {"FEMALE": Sex.FEMALE, "MALE": Sex.MALE}


def read(source: str | Path, source_kind: str | None = None) -> list[Row]:
    """Rows of metadata.csv; InputError names the file, row and value that is wrong."""
    folder = Path(source)
    path = folder / "metadata.csv"
    if not path.is_file():
        raise InputError(f"'{path}' does not exist; give the folder that holds metadata.csv.")
    pictures = {file.name: file for file in sorted(folder.rglob("PAT_*.png"))}
    with open(path, newline="", encoding="utf-8") as file:
        raw = list(csv.DictReader(file))
    missing = {"img_id", "patient_id", "region"} - set(raw[0] if raw else ())
    if missing:
        raise InputError(f"metadata.csv has no column '{sorted(missing)[0]}'; download it again.")
    return [_row(f"metadata.csv row {number}", row, pictures) for number, row in enumerate(raw, 2)]


def _row(where: str, row: dict[str, str], pictures: dict[str, Path]) -> Row:
    name = row["img_id"] if row["img_id"].endswith(".png") else f"{row['img_id']}.png"
    if name not in pictures:
        raise InputError(
            f"{where}: picture '{name}' does not exist; unpack all parts of the images."
        )
    region = row["region"].strip().upper()
    if region not in REGIONS:
        raise InputError(
            f"{where}: region '{row['region']}' is unknown; use one of: {', '.join(REGIONS)}."
        )
    file = pictures[name]
    lesion = pictures.get(f"{file.stem}_lesion.png")
    try:
        age = attr.parse_age(row.get("age"))
        skin_type = _number(row.get("fitspatrick"))
        diameters = [_number(row.get(f"diameter_{i}")) for i in (1, 2)]
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    types = list(attr.SKIN_TYPE_ITA.values())
    facts = Attributes(
        sex=SEXES.get((row.get("gender") or "").strip().upper(), Sex.UNSPECIFIED),
        age=age,
        ita=types[int(skin_type) - 1] if skin_type and 1 <= skin_type <= 6 else None,
        site=REGIONS[region],
        field=Field.CLOSE_UP,
        field_cm=_field_cm(lesion, diameters),
        source=Source.PHOTO,
    )
    unknown = np.full((5, 2), np.nan, np.float32)
    return Row(where, file, facts, unknown, None, lesion, row["patient_id"])


def _number(text: str | None) -> float | None:
    """A number, None for an empty cell; ValueError for other text."""
    if text is None or not text.strip() or text.strip().lower() in ("na", "nan"):
        return None
    return float(text)


def _field_cm(lesion: Path | None, diameters: list[float | None]) -> float | None:
    """Centimetres along the picture's longer side: the mask's area is the ellipse of the diameters."""
    if lesion is None or not all(diameters):
        return None
    mask = np.asarray(Image.open(lesion).convert("L")) >= 128
    if not mask.any():
        return None
    mm_per_pixel = math.sqrt(math.pi / 4 * diameters[0] * diameters[1] / mask.sum())
    return max(mask.shape) * mm_per_pixel / 10


class PadUfes20(PhotoFolder):
    """PAD-UFES-20 (Pacheco 2020): 2,298 pictures of 1,373 patients. Licence: CC BY 4.0."""

    read_rows = staticmethod(read)
