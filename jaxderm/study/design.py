"""A study's folder: blinded pictures, each reader's order, and the key that stays with the investigator.

Every case is seen twice by a reader, once as the original and once as the release, in two sittings with a
wash-out between them; which comes first is balanced over cases and readers. File names, sizes and metadata of the pictures tell
nothing: all are scaled to one size and written anew.
"""

import csv
import dataclasses
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from jaxderm.errors import InputError
from jaxderm.photo import encode_png, read_photo
from jaxderm.storage import write_atomic
from jaxderm.study import statistics

COLUMNS = ("case", "original", "release")
NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
LEAST_POWER = 0.8


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a study is: readers by name, diagnoses to choose from, margins and the ethics reference.

    equivalence_margin: of accuracy around 50 %; expected: agreement of a reader with himself; agreement_margin: how
    far below it the agreement of original and release may lie.
    """

    title: str
    ethics: str
    readers: tuple[str, ...]
    diagnoses: tuple[str, ...]
    equivalence_margin: float = 0.15
    expected: float = 0.9
    agreement_margin: float = 0.15
    washout_days: float = 14.0
    size: int = 512
    seed: int = 0


def power(settings: Settings, cases: int) -> dict[str, float]:
    """Chance of showing equivalence of accuracy (truth 50 %) and non-inferior agreement (truth `expected`).

    As if the answers of all readers were independent, which flatters both.
    """
    readers = len(settings.readers)
    return {
        "equivalence": statistics.equivalence_power(
            2 * cases * readers, settings.equivalence_margin
        ),
        "agreement": statistics.noninferiority_power(
            cases * readers, settings.expected, settings.expected - settings.agreement_margin
        ),
    }


def read_cases(path: str) -> list[dict[str, str]]:
    """Rows of a CSV with the columns case, original, release and perhaps diagnosis; InputError names what is wrong."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [
                {k: (v or "").strip() for k, v in row.items() if k} for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise InputError(f"images '{path}' cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"images '{path}' is not CSV text in UTF-8.") from None
    if not rows or any(name not in rows[0] for name in COLUMNS):
        raise InputError(
            f"images '{path}' needs the columns {', '.join(COLUMNS)} and a row a case."
        )
    seen = set()
    for number, row in enumerate(rows, 2):
        if not all(row[name] for name in COLUMNS):
            raise InputError(f"images '{path}', row {number}: a cell is empty.")
        if row["case"] in seen:
            raise InputError(f"images '{path}', row {number}: case '{row['case']}' stands twice.")
        seen.add(row["case"])
    return rows


def orders(settings: Settings, pictures: dict[str, dict[str, str]]) -> dict[str, list[list[str]]]:
    """{reader: [names of the first sitting, names of the second]}; pictures: {case: {kind: name}}.

    Each sitting holds every case once; half of a reader's cases begin with the original, and for every case
    half of the readers do, up to one.
    """
    found, names = {}, sorted(pictures)
    start = np.random.default_rng([settings.seed, 1]).permutation(len(names))
    for number, reader in enumerate(settings.readers):
        rng = np.random.default_rng([settings.seed, 2, number])
        sittings: list[list[str]] = [[], []]
        for place, case in zip(start, names):
            first = (int(place) + number) % 2
            for sitting, kind in ((first, "original"), (1 - first, "release")):
                sittings[sitting].append(pictures[case][kind])
        found[reader] = [[s[i] for i in rng.permutation(len(s))] for s in sittings]
    return found


def make(folder: Path, settings: Settings, images: str, force: bool = False) -> dict[str, float]:
    """Write a study's folder; its power. InputError where something is missing or the power is below 80 %."""
    _check(settings)
    rows = read_cases(images)
    chance = power(settings, len(rows))
    weak = {name: value for name, value in chance.items() if value < LEAST_POWER}
    if weak and not force:
        told = " and ".join(f"{100 * value:.0f} % to show {name}" for name, value in weak.items())
        raise InputError(
            f"{len(rows)} cases and {len(settings.readers)} readers give a power of {told}; add cases or "
            "readers, widen the margin, or give --force."
        )
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"folder '{folder}' is not empty; choose a new one.")
    base = Path(images).parent
    pictures: dict[str, bytes] = {}
    for row in rows:
        for kind in ("original", "release"):
            pictures[f"{row['case']}\0{kind}"] = _blinded(base / row[kind], settings.size)
    rng = np.random.default_rng([settings.seed, 0])
    numbers = rng.permutation(len(pictures))
    names = {which: f"p{number:04d}" for which, number in zip(pictures, numbers)}
    by_case: dict[str, dict[str, str]] = {}
    key = {}
    for which, name in names.items():
        case, kind = which.split("\0")
        by_case.setdefault(case, {})[kind] = name
        truth = next(row for row in rows if row["case"] == case).get("diagnosis", "")
        key[name] = {"case": case, "kind": kind, "diagnosis": truth}
    try:
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        (folder / "answers").mkdir(exist_ok=True)
        for which, data in pictures.items():
            write_atomic(folder / "pictures" / f"{names[which]}.png", data)
        _write(folder / "key.json", key)
        public = {
            **dataclasses.asdict(settings),
            "orders": orders(settings, by_case),
            "power": chance,
        }
        _write(folder / "study.json", public)  # last: a folder with it is whole
    except OSError as error:
        raise InputError(f"folder '{folder}' cannot be written ({error.strerror}).") from None
    return chance


def load(folder: Path) -> tuple[Settings, dict[str, list[list[str]]]]:
    """(settings, orders) of a study's folder; InputError where it is none."""
    try:
        document = json.loads((folder / "study.json").read_text())
        given = {field.name: document[field.name] for field in dataclasses.fields(Settings)}
        settings = Settings(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
        return settings, document["orders"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"'{folder}' is no study; make one with jaxderm study new.") from None


def load_key(folder: Path) -> dict[str, dict[str, str]]:
    """{picture: {"case", "kind", "diagnosis"}}; InputError where the key is not there."""
    try:
        return json.loads((folder / "key.json").read_text())
    except (OSError, ValueError):
        raise InputError(f"'{folder}' has no key.json; analyse where the study was made.") from None


def _check(settings: Settings) -> None:
    if not settings.ethics.strip():
        raise InputError(
            "give --ethics: the reference of the ethics committee's approval or waiver."
        )
    bad = [name for name in settings.readers if not NAME.fullmatch(name)]
    if bad or not settings.readers or len(set(settings.readers)) < len(settings.readers):
        raise InputError(
            "give --readers: different codes of letters, digits, '.', '_' and '-', no names of people."
        )
    if len(settings.diagnoses) < 2:
        raise InputError("give --diagnoses: at least two to choose from, separated by commas.")
    for name in ("equivalence_margin", "agreement_margin"):
        if not 0 < getattr(settings, name) < 0.5:
            raise InputError(f"{name} '{getattr(settings, name)}' is not between 0 and 0.5.")
    if not settings.agreement_margin < settings.expected <= 1:
        raise InputError(f"expected '{settings.expected}' is not a share above the margin.")


def _blinded(path: Path, size: int) -> bytes:
    """PNG of the middle square of a picture, of one size, without metadata."""
    pixels = read_photo(path).pixels
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    return encode_png(np.asarray(square.resize((size, size), Image.Resampling.LANCZOS)))


def _write(path: Path, value: dict) -> None:
    write_atomic(path, (json.dumps(value, indent=1) + "\n").encode())
