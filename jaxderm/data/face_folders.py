"""Folders of faces in the layouts of UTKFace and FairFace, as downloaded by hand.

UTKFace: pictures named `AGE_SEX_RACE_DATE.jpg` (or `.jpg.chip.jpg`), 0 male, 1 female, anywhere below the folder;
`landmark_list*.txt` beside them, where there is one, gives 68 points a picture in the wild.
FairFace: `fairface_label_train.csv` and `fairface_label_val.csv` with columns file, age, gender (race and
service_test are not read), pictures in `train/` and `val/`.

Licences: UTKFace is for non-commercial research only, and its pictures belong to their owners. FairFace is CC BY
4.0 (Karkkainen and Joo 2021), its pictures come from YFCC-100M. The people in both did not agree to anything: do
not ship a model that was trained on them.
"""

import csv
import re
from pathlib import Path

import numpy as np

from jaxderm.attributes import MAX_AGE, Attributes, BodySite, Field, Sex, Source
from jaxderm.data.photo_folder import PhotoFolder, Row
from jaxderm.errors import InputError

# Some names lack the race, one lacks a dot.
UTK_NAME = re.compile(r"(\d{1,3})_(\d)_(?:\d_)?\d{8,17}\.?jpg(?:\.chip\.jpg)?", re.I)
FAIR_AGES = {
    "0-2": 1.0, "3-9": 6.0, "10-19": 15.0, "20-29": 25.0, "30-39": 35.0, "40-49": 45.0,
    "50-59": 55.0, "60-69": 65.0, "more than 70": 75.0,
}  # fmt: skip
# Ours of the 68 points (iBUG): eyes are the means of their six; subject's right eye first = image left.
POINTS = (slice(36, 42), slice(42, 48), slice(30, 31), slice(48, 49), slice(54, 55))


def _face(where: str, file: Path, sex: Sex, age: float | None, points: np.ndarray, person: str):
    facts = Attributes(
        sex=sex, age=age, site=BodySite.FACE, field=Field.WHOLE_SITE, source=Source.PHOTO
    )
    return Row(where, file, facts, points, None, None, person)


def _unknown() -> np.ndarray:
    return np.full((5, 2), np.nan, np.float32)


def read_utkface(source: str | Path, source_kind: str | None = None) -> list[Row]:
    """Rows of a UTKFace folder; InputError names a picture whose name says nothing."""
    folder = Path(source)
    points = {}
    for path in sorted(folder.rglob("landmark_list*.txt")):
        points |= _landmarks(path)
    rows = []
    for file in sorted(folder.rglob("*.jpg")):
        match = UTK_NAME.fullmatch(file.name)
        if not match or int(match[1]) > MAX_AGE:
            raise InputError(
                f"'{file.name}' is not named AGE_SEX_RACE_DATE.jpg; rename it or take it out."
            )
        sex = {"0": Sex.MALE, "1": Sex.FEMALE}.get(match[2], Sex.UNSPECIFIED)
        known = points.get(file.name, _unknown())
        rows.append(_face(file.name, file, sex, float(match[1]), known, file.name.split(".")[0]))
    if not rows:
        raise InputError(f"'{source}' has no .jpg below it; give the folder of UTKFace.")
    return rows


def _landmarks(path: Path) -> dict[str, np.ndarray]:
    """{file name: [5,2]} of lines "NAME x0 y0 ... x67 y67"."""
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        name, *values = line.split()[:137] or [""]
        if len(values) != 136:
            if name:
                raise InputError(f"{path.name} line {number} has {len(values)} of 136 numbers.")
            continue
        all_points = np.array(values, np.float32).reshape(68, 2)
        found[name] = np.stack([all_points[part].mean(0) for part in POINTS])
    return found


def read_fairface(source: str | Path, source_kind: str | None = None) -> list[Row]:
    """Rows of a FairFace folder; InputError names the file, row and value that is wrong."""
    folder, rows = Path(source), []
    for path in sorted(folder.glob("fairface_label_*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                rows.append(_fair_row(folder, f"{path.name} row {number}", row))
    if not rows:
        raise InputError(
            f"'{source}' has no fairface_label_train.csv or fairface_label_val.csv with rows; give "
            "the folder that holds them."
        )
    return rows


def _fair_row(folder: Path, where: str, row: dict[str, str]) -> Row:
    missing = [name for name in ("file", "age", "gender") if row.get(name) is None]
    if missing:
        raise InputError(f"{where}: column '{missing[0]}' is missing; download the file again.")
    if not (folder / row["file"]).is_file():
        raise InputError(f"{where}: picture '{row['file']}' does not exist; unpack train and val.")
    if row["age"] not in FAIR_AGES:
        raise InputError(
            f"{where}: age '{row['age']}' is unknown; use one of: {', '.join(FAIR_AGES)}."
        )
    sex = {"Male": Sex.MALE, "Female": Sex.FEMALE}.get(row["gender"], Sex.UNSPECIFIED)
    person = f"fairface-{Path(row['file']).with_suffix('').as_posix()}"
    return _face(where, folder / row["file"], sex, FAIR_AGES[row["age"]], _unknown(), person)


class UtkFace(PhotoFolder):
    """UTKFace (Zhang 2017): faces from 0 to 116 years. Licence: non-commercial research only."""

    read_rows = staticmethod(read_utkface)


class FairFace(PhotoFolder):
    """FairFace (Karkkainen and Joo 2021): 108,501 balanced faces. Licence: CC BY 4.0."""

    read_rows = staticmethod(read_fairface)
