"""Prepare a folder of labelled pictures as a TFDS data set, and open prepared ones."""

import collections
import functools
import json
import re
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core import registered

from jaxderm.data import features
from jaxderm.data.face_folders import FairFace, UtkFace
from jaxderm.data.pad_ufes_20 import PadUfes20
from jaxderm.data.photo_folder import SPLITS, PhotoFolder, is_protected_minor
from jaxderm.data.rendered_people import RenderedPeople
from jaxderm.data.scin import Scin
from jaxderm.errors import InputError

NAME = re.compile(r"[a-z][a-z0-9_]*")
LAYOUTS: dict[str, type[PhotoFolder]] = {
    "labels": PhotoFolder,  # any folder with a labels.csv or labels.jsonl
    "rendered_people": RenderedPeople,
    "scin": Scin,
    "pad_ufes_20": PadUfes20,
    "utkface": UtkFace,
    "fairface": FairFace,
}
KEEP_BYTES = 2 * 2**30  # of decoded pictures a corpus and process


def prepare(
    source: str,
    data_dir: str,
    name: str | None = None,
    source_kind: str | None = None,
    layout: str = "labels",
) -> str:
    """Read `source` into data_dir/name (array_record) and return a summary; idempotent.

    name: default the folder's. source_kind: photo or render where no column says. layout: one of
    LAYOUTS; licence terms stand in their modules. Raises InputError.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout '{layout}' is unknown; use one of: {', '.join(LAYOUTS)}.")
    folder = Path(source)
    if not folder.is_dir():
        raise InputError(f"'{source}' is not a folder; give one with a labels.csv or labels.jsonl.")
    name = name or re.sub(r"[^a-z0-9_]+", "_", folder.resolve().name.lower())
    if not NAME.fullmatch(name):
        raise InputError(f"name '{name}' is not lower-case letters, digits and _; give --name.")
    # Every mistake shows before anything is written.
    labelled = LAYOUTS[layout].read_rows(source, source_kind)
    allowed = [row for row in labelled if not row.withheld]
    rows = [row for row in allowed if not is_protected_minor(row)]
    if not rows:
        raise InputError(f"'{source}' has no picture that may be trained on; give another folder.")
    builder = _builder(data_dir, name, layout, source=source, source_kind=source_kind)
    builder.download_and_prepare()
    written = builder.info.splits
    counts = {split: written[split].num_examples if split in written else 0 for split in SPLITS}
    if sum(counts.values()) != len(rows):
        raise InputError(
            f"'{data_dir}/{name}' already holds {sum(counts.values())} pictures, not the "
            f"{len(rows)} of '{source}'; remove that folder to prepare it again, or give --name."
        )
    sites = collections.Counter(row.attributes.site.value for row in rows)
    sexes = collections.Counter(row.attributes.sex.value for row in rows)
    lines = [
        f"{name}: {sum(counts.values())} pictures of {len({r.person_id for r in rows})} persons in "
        f"{data_dir}/{name}",
        "splits: " + ", ".join(f"{split} {count}" for split, count in counts.items()),
        "sites: " + ", ".join(f"{site} {count}" for site, count in sites.most_common()),
        "sexes: " + ", ".join(f"{sex} {count}" for sex, count in sexes.most_common()),
    ]
    if minors := len(allowed) - len(rows):
        lines.append(f"left out: {minors} of people under 18 at trunk, thigh or no site")
    if withheld := len(labelled) - len(allowed):
        why = sorted({row.withheld for row in labelled if row.withheld})
        lines.append(f"left out: {withheld}, {'; '.join(why)}")
    return "\n".join(lines)


def _builder(data_dir: str, name: str, layout: str = "labels", **options) -> PhotoFolder:
    # A class of its own a corpus: TFDS names the data set after the class.
    with registered.skip_registration():
        parent = LAYOUTS[layout]
        kind = type(name, (parent,), {"name": name, "__module__": parent.__module__})
    return kind(data_dir=data_dir, file_format="array_record", name=name, **options)


def _newest(data_dir: str, name: str) -> Path:
    """Folder of the newest prepared version of a corpus; FileNotFoundError without one."""
    found = list(Path(data_dir, name).glob("[0-9]*.[0-9]*.[0-9]*/dataset_info.json"))
    if not found:
        raise FileNotFoundError("nothing is prepared there")
    return max((path.parent for path in found), key=lambda p: [int(n) for n in p.name.split(".")])


class Records:
    """Random access to the decoded records of one split; keeps what it has decoded, up to a limit."""

    def __init__(self, source, keep_bytes: int = KEEP_BYTES) -> None:
        self.source, self.room = source, keep_bytes
        self.kept: dict[int, features.Record] = {}

    @functools.cached_property
    def _labels(self) -> list[tuple[str, str, float]]:
        """(body site, sex, age) of every record; reads the whole split once."""
        examples = (self.source[index] for index in range(len(self)))
        return [(_text(e, "site"), _text(e, "sex"), float(e["age"])) for e in examples]

    @property
    def sites(self) -> list[str]:
        """Body site of every record."""
        return [site for site, _, _ in self._labels]

    @property
    def sexes(self) -> list[str]:
        """Sex of every record."""
        return [sex for _, sex, _ in self._labels]

    @property
    def ages(self) -> list[float]:
        """Age of every record in years, NaN unknown."""
        return [age for _, _, age in self._labels]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> features.Record:
        record = self.kept.get(index)
        if record is None:
            record = features.decode(self.source[index])
            self.room -= record.image.nbytes
            if self.room > 0:
                self.kept[index] = record
        return record


def _text(example: dict, name: str) -> str:
    value = example[name]
    return value.decode() if isinstance(value, bytes) else value


def load(data_dir: str, name: str, split: str) -> Records:
    """Records of a prepared corpus, perhaps none in a split; InputError says how to prepare it."""
    try:
        # What lies there says its version, whichever layout it was prepared with.
        builder = tfds.builder_from_directory(str(_newest(data_dir, name)))
        if builder.info.splits and split not in builder.info.splits:
            return Records([])  # too few persons for this split
        return Records(builder.as_data_source(split=split))
    except (AssertionError, KeyError, ValueError, FileNotFoundError, json.JSONDecodeError) as error:
        raise InputError(
            f"corpus '{name}' has no prepared split '{split}' in '{data_dir}' "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}); "
            f"run jaxderm prepare --source DIR --data_dir {data_dir} --name {name}."
        ) from None
