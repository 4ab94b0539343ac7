"""SCIN, the Skin Condition Image Network, as downloaded by hand from its public bucket.

Layout (dataset_schema.md of google-research-datasets/scin): `scin_cases.csv`, `scin_labels.csv` (optional here)
and `images/`, in a folder `dataset/` or in the folder itself.

Licence: the SCIN Data Use License. It allows research and other use with attribution, forbids any attempt to
identify or contact the people in it, and asks that its terms travel with copies: read it before you train, and
do not ship a model trained on it under other terms without asking a lawyer.
"""

import csv
from pathlib import Path

import numpy as np

from jaxderm import attributes as attr
from jaxderm.attributes import Attributes, BodySite, Field, Sex, Source, View
from jaxderm.data.photo_folder import PhotoFolder, Row
from jaxderm.errors import InputError

AGES = {
    "AGE_18_TO_29": 24.0, "AGE_30_TO_39": 35.0, "AGE_40_TO_49": 45.0, "AGE_50_TO_59": 55.0,
    "AGE_60_TO_69": 65.0, "AGE_70_TO_79": 75.0, "AGE_80_OR_ABOVE": 84.0,
}  # fmt: skip
# Site and view of each body part; a part that spans several sites of ours stays unspecified.
PARTS = {
    "head_or_neck": (BodySite.UNSPECIFIED, View.UNSPECIFIED),
    "arm": (BodySite.ARM, View.UNSPECIFIED),
    "palm": (BodySite.PALM, View.VOLAR),
    "back_of_hand": (BodySite.HAND, View.DORSAL),
    "torso_front": (BodySite.UNSPECIFIED, View.FRONTAL),
    "torso_back": (BodySite.BACK, View.UNSPECIFIED),
    "leg": (BodySite.LOWER_LEG, View.UNSPECIFIED),
    "foot_top_or_side": (BodySite.FOOT, View.DORSAL),
    "foot_sole": (BodySite.SOLE, View.UNSPECIFIED),
    "other": (BodySite.UNSPECIFIED, View.UNSPECIFIED),
}
WITHHELD = ("genitalia_or_groin", "buttocks")  # no nudity (contract 6)
FIELDS = {"CLOSE_UP": Field.CLOSE_UP, "AT_DISTANCE": Field.WHOLE_SITE}
# sRGB of the ten Monk tones (Monk 2019, skintone.google), for their ITA.
MONK = (
    "f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420",
)  # fmt: skip


def monk_ita(tone: float) -> float:
    """ITA in degrees of a Monk tone from 1 to 10, interpolated between the published swatches."""
    swatches = np.array([[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in MONK], np.uint8)
    angles = [attr.ita_of_lab(lab[None]) for lab in attr.rgb_to_lab(swatches)]
    return float(np.interp(tone, np.arange(1, 11), angles))


def read(source: str | Path, source_kind: str | None = None) -> list[Row]:
    """Rows of the cases, one a picture; InputError names the file that is missing or odd."""
    folder = Path(source)
    folder = folder / "dataset" if (folder / "dataset" / "scin_cases.csv").is_file() else folder
    cases = _rows(folder / "scin_cases.csv", required=True)
    labels = {row["case_id"]: row for row in _rows(folder / "scin_labels.csv", required=False)}
    rows = []
    for number, case in enumerate(cases, 2):
        facts, withheld = _facts(case, labels.get(case["case_id"], {}))
        for which in (1, 2, 3):
            name = (case.get(f"image_{which}_path") or "").strip()
            if not name:
                continue
            file = folder / name.removeprefix("dataset/")
            where = f"scin_cases.csv row {number}"
            if not file.is_file():
                raise InputError(f"{where}: picture '{name}' does not exist; download images/.")
            field = FIELDS.get((case.get(f"image_{which}_shot_type") or "").strip())
            shown = Attributes(**{**facts, "field": field or Field.UNSPECIFIED})
            unknown = np.full((5, 2), np.nan, np.float32)
            rows.append(
                Row(where, file, shown, unknown, None, None, f"scin-{case['case_id']}", withheld)
            )
    return rows


def _rows(path: Path, required: bool) -> list[dict[str, str]]:
    if not path.is_file():
        if required:
            raise InputError(f"'{path}' does not exist; give the folder that holds {path.name}.")
        return []
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if rows and "case_id" not in rows[0]:
        raise InputError(f"'{path}' has no column case_id; download it again.")
    return rows


def _facts(case: dict[str, str], label: dict[str, str]) -> tuple[dict, str]:
    def parts(names) -> list[str]:
        yes = ("YES", "TRUE", "1")
        return [n for n in names if (case.get(f"body_parts_{n}") or "").strip().upper() in yes]

    shown, withheld = parts(PARTS), parts(WITHHELD)
    site, view = PARTS[shown[0]] if len(shown) == 1 else (BodySite.UNSPECIFIED, View.UNSPECIFIED)
    sex = (case.get("sex_at_birth") or "").strip()
    facts = {
        "sex": {"FEMALE": Sex.FEMALE, "MALE": Sex.MALE}.get(sex, Sex.UNSPECIFIED),
        "age": AGES.get((case.get("age_group") or "").strip()),
        "ita": _tone(case, label),
        "site": site,
        "view": view,
        "source": Source.PHOTO,
    }
    return facts, "genitalia, groin or buttocks" if withheld else ""


def _tone(case: dict[str, str], label: dict[str, str]) -> float | None:
    """ITA: the person's own type, else the dermatologists' median, else the Monk tone."""
    types = [
        (label.get(f"dermatologist_fitzpatrick_skin_type_label_{i}") or "").strip()
        for i in (1, 2, 3)
    ]
    rated = sorted(int(text[3:]) for text in types if text[3:].isdigit())
    own = (case.get("fitzpatrick_skin_type") or "").strip()
    number = int(own[3:]) if own[3:].isdigit() else rated[len(rated) // 2] if rated else 0
    if 1 <= number <= 6:
        return list(attr.SKIN_TYPE_ITA.values())[number - 1]
    tones = []
    for team in ("india", "us"):
        text = (label.get(f"monk_skin_tone_label_{team}") or "").strip()
        if text.replace(".", "", 1).isdigit() and 1 <= float(text) <= 10:
            tones.append(float(text))
    return monk_ita(float(np.mean(tones))) if tones else None


class Scin(PhotoFolder):
    """SCIN (Ward 2024): 10,000 pictures that people took of their own skin. Licence: see the module."""

    read_rows = staticmethod(read)
