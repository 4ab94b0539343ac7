"""jaxderm case new: seal photograph, mask and facts in a case folder (mode 0700).

  jaxderm case new --case DIR --photo P --mask M --site face --landmarks "x,y ..." --sex female
      --age 42 --diagnosis melanoma --laterality left --expires 2027-06-30 --passphrase_file FILE
  jaxderm case new --case DIR --cases series.csv ...      a before/after series: columns as for
      deidentify and case_id, timepoint, mask_shows, ruler, ruler_mm; one row a timepoint
The folder then holds one sealed file and a random id, nothing else.
"""

import secrets
import sys
from pathlib import Path

from absl import flags

from jaxderm.attributes import BodySite, View
from jaxderm.case import kept_check, leaks, vault
from jaxderm.case.figures import SHOWS, WITHHOLD, Timepoint, parse_expiry, resolve
from jaxderm.case.scale import ruler_scale
from jaxderm.commands.case import text
from jaxderm.decode import MAX_PIXELS
from jaxderm.errors import InputError
from jaxderm.photo import encode_png, read_mask, read_photo
from jaxderm.release import batch

FLAGS = flags.FlagValues()
CELLS = ("site", "sex", "age", "skin_type", "subsite", "view", "field", "landmarks", "frame")
SERIES_COLUMNS = ("mask_shows", "ruler", "ruler_mm")
MAX_BYTES = 8 * MAX_PIXELS

text(FLAGS, "case", "the case folder to make")
text(FLAGS, "photo", "the clinical photograph")
text(FLAGS, "mask", "mask of the lesion, same size")
text(FLAGS, "mask_shows", "what the mask marks: lesion, or treated_area of a healed site", "lesion")
text(FLAGS, "cases", "CSV file of a series instead of --photo and --mask")
text(FLAGS, "diagnosis", "diagnosis, as it is to be printed")
text(FLAGS, "laterality", "the patient's side: " + ", ".join(kept_check.LATERALITIES))
text(FLAGS, "expires", "YYYY-MM-DD: when the original must be gone")
text(FLAGS, "site", "body site: " + ", ".join(site.value for site in BodySite))
text(FLAGS, "subsite", "place on the site, as it is to be printed: 'cheek'")
text(FLAGS, "sex", "female, male or unspecified")
text(FLAGS, "age", "years, or unspecified; printed as an age group")
text(FLAGS, "skin_type", "Fitzpatrick I..VI, measured, or unspecified", "measured")
text(FLAGS, "view", "side seen: " + ", ".join(view.value for view in View))
text(FLAGS, "field", "whole_site or close_up")
text(FLAGS, "landmarks", "five points of a face as for deidentify, or none")
text(FLAGS, "frame", '"x,y,side" in photo pixels instead of the default frame')
text(FLAGS, "ruler", 'two clicks on a ruler in the photo, "x,y x,y" in photo pixels')
text(FLAGS, "case_id", "your own id of the patient's series; sealed, never printed")
text(FLAGS, "timepoint", "'before', '12 weeks'; never a date", "1")
text(FLAGS, "passphrase_file", "file with the passphrase; without it the terminal is asked")
text(FLAGS, "model", "name or weight file of the model", "default")
flags.DEFINE_float("ruler_mm", None, "millimetres between the clicks", flag_values=FLAGS)
flags.DEFINE_float("pixels_per_cm", None, "scale, when it is known", flag_values=FLAGS)
flags.DEFINE_float("margin", None, "pixels kept around the mask", flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "another seed, another stranger", flag_values=FLAGS)
flags.DEFINE_list(
    "recipients", [], "age public keys (age1...) of those who may open it", flag_values=FLAGS
)
flags.DEFINE_list("withhold", [], "sex, age: neither drawn nor printed", flag_values=FLAGS)
flags.DEFINE_bool("force", False, "although the kept area is large", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Make the case; the exit status."""
    if not values.case:
        raise InputError("give --case FOLDER for the new case.")
    if Path(values.case).exists():
        raise InputError(f"case '{values.case}' exists; choose another folder.")
    if not (values.diagnosis or "").strip():
        raise InputError("give --diagnosis, as it is to be printed under the figure.")
    laterality = kept_check.parse_laterality(values.laterality)
    expires = parse_expiry(values.expires)
    for name in values.withhold:
        if name not in WITHHOLD:
            raise InputError(f"withhold '{name}' is unknown; use: {', '.join(WITHHOLD)}.")
    case = vault.Vault(vault.new_id(), {})
    case.documents["id"] = case.id.encode()
    case.documents["figure.key"] = secrets.token_bytes(32)
    rows, case_id = _rows(values)
    timepoints, private = [], []
    for number, row in enumerate(rows, 1):
        point, words = _add(case, number, row)
        timepoints.append(vars(point))
        private += words
    case.put_json(
        "facts.json",
        {
            "version": 1, "expires": expires, "diagnosis": values.diagnosis.strip(),
            "laterality": laterality, "withhold": values.withhold, "model": values.model,
            "seed": values.seed, "case_id": case_id, "force": values.force,
            "recipients": values.recipients, "private": sorted(set(private)),
            "timepoints": timepoints,
        },
    )  # fmt: skip
    resolved, warnings = resolve(
        case
    )  # every mistake in the facts is told before anything is sealed
    for _, _, each in resolved:
        warnings += [*each.warnings, kept_check.laterality_warning(each, laterality) or ""]
    lock = vault.lock_to_seal(values.passphrase_file, values.recipients)
    vault.create(values.case, case, lock)
    for warning in filter(None, warnings):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"case {case.id} is sealed in {values.case}; the original must be gone after {expires}.")
    print(f"next: jaxderm case preview --case {values.case} --output FILE.png, for the patient")
    return 0


def _rows(values: flags.FlagValues) -> tuple[list[dict], str | None]:
    """One dictionary of texts a timepoint, and the case_id."""
    if values.cases and (values.photo or values.mask):
        raise InputError("--cases and --photo exclude each other.")
    if not values.cases:
        if not (values.photo and values.mask):
            raise InputError("give --photo and --mask, or --cases of a series.")
        row = {name: getattr(values, name) or "" for name in CELLS}
        for name in ("photo", "mask", "mask_shows", "timepoint", "ruler"):
            row[name] = getattr(values, name)
        for name in ("ruler_mm", "pixels_per_cm", "margin"):
            row[name] = getattr(values, name)
        return [row], values.case_id
    rows = []
    for row in batch.read_cases(values.cases, SERIES_COLUMNS):
        cells = {"skin_type": "measured", "mask_shows": "lesion", **row.cells}
        cells |= {name: row.path(name) for name in ("photo", "mask")}
        for name in ("ruler_mm", "pixels_per_cm", "margin"):
            cells[name] = _number(cells.get(name), name)
        rows.append(cells)
    ids = {row.get("case_id") or "" for row in rows}
    if len(ids) != 1 or "" in ids:
        raise InputError(
            f"cases '{values.cases}' needs the column case_id with one value in all rows: a case "
            "folder holds one series."
        )
    names = [row.get("timepoint") or "" for row in rows]
    if "" in names or len(set(names)) != len(names):
        raise InputError(
            f"cases '{values.cases}' needs the column timepoint with another value in each row."
        )
    return rows, ids.pop()


def _number(value: str | None, name: str) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        raise InputError(f"{name} '{value}' is not a number.") from None


def _add(case: vault.Vault, number: int, row: dict) -> tuple[Timepoint, list[str]]:
    """Put a timepoint's files into the case; the timepoint and the private words of its photo."""
    data = _read(row["photo"])
    leaks.refuse_generated(row["photo"], data)
    photo = read_photo(row["photo"], data)
    size = photo.pixels.shape[:2]
    mask = read_mask(row["mask"], size, True)
    scale = row["pixels_per_cm"]
    if row.get("ruler"):
        if scale is not None or row["ruler_mm"] is None:
            raise InputError("give --ruler with --ruler_mm, and no --pixels_per_cm.")
        scale = ruler_scale(row["ruler"], row["ruler_mm"], size)
    case.documents[f"original-{number}"] = data
    case.documents[f"mask-{number}.png"] = encode_png(mask)
    shows = (row.get("mask_shows") or SHOWS[0]).strip().lower().replace(" ", "_")
    cells = {name: row.get(name) or "" for name in CELLS}
    point = Timepoint(
        row["timepoint"], f"original-{number}", f"mask-{number}.png", shows, cells, scale,
        row["margin"],
    )  # fmt: skip
    return point, leaks.private_words(row["photo"], data) + [row.get("patient") or ""]


def _read(path: str) -> bytes:
    """A photograph's bytes; InputError in the words of `read_photo` when it cannot be opened."""
    try:
        if 0 < Path(path).stat().st_size <= MAX_BYTES and Path(path).is_file():
            return Path(path).read_bytes()
    except OSError:
        pass
    read_photo(path)  # tells what is wrong
    raise InputError(f"'{path}' is too large a file; crop or reduce it first.")
