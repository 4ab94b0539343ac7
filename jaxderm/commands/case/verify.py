"""jaxderm case verify: does a figure belong to the case; how similar is a changed one.

  jaxderm case verify --case DIR --figure printed.png --commitment commitment.txt
Exit status 0: original, mask and this figure are those of the commitment; 1: they are not, or the
figure was changed (it says how similar it still is, which is no proof); 2: nothing was verified.
"""

import re
from pathlib import Path

import numpy as np
from absl import flags

from jaxderm.case.commitment import commit, similarity
from jaxderm.case.figures import check_expiry, load, timepoints_of
from jaxderm.case.vault import Vault
from jaxderm.commands.case import define_opening, opened, text
from jaxderm.errors import InputError
from jaxderm.frame import grow_mask
from jaxderm.photo import read_photo

FLAGS = flags.FlagValues()
define_opening(FLAGS)
text(FLAGS, "figure", "the figure file to verify")
text(FLAGS, "commitment", "commitment.txt as it was deposited, or its value")


def run(values: flags.FlagValues) -> int:
    """Verify; the exit status."""
    if not values.figure:
        raise InputError("give --figure FILE, the figure to verify.")
    deposited = _deposited(values.commitment)
    pixels = read_photo(values.figure).pixels
    case, _ = opened(values)
    check_expiry(case)
    committed = list(_committed(case))
    if not committed:
        raise InputError(f"case {case.id} was not released yet: there is nothing to verify.")
    if deposited is not None:
        committed = [entry for entry in committed if entry["value"] in deposited]
        if not committed:
            print(f"NOT VERIFIED: the deposited commitment is of no release of the case {case.id}.")
            return 1
    for entry in committed:
        if commit(entry["key"], entry["original"], entry["mask"], pixels) == entry["value"]:
            whose = "as deposited" if deposited is not None else "in the sealed case"
            print(
                f"VERIFIED: original, mask and figure are those of the commitment {whose} "
                f"({case.id}, {entry['figure']})."
            )
            return 0
    print("NOT VERIFIED: the figure's pixels are not those of the commitment.")
    best = None
    for entry in committed:
        found = similarity(pixels, entry["release"], entry["kept"])
        if found and (best is None or found.whole > best[0].whole):
            best = (found, entry["figure"])
    if best is None:
        print("It has other proportions than the release: a crop, or another picture.")
    else:
        print(f"Against {best[1]} of {case.id}: {best[0].words}.")
    return 1


def _deposited(text_or_file: str | None) -> set[str] | None:
    if text_or_file is None:
        return None
    content = text_or_file
    if Path(text_or_file).is_file():
        content = Path(text_or_file).read_text("utf-8", "replace")
    found = set(re.findall(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", content.lower()))
    if not found:
        raise InputError(
            f"commitment '{text_or_file}' is no file with a commitment of 64 hexadecimal digits."
        )
    return found


def _committed(case: Vault):
    """Every released figure of a case: key, value, original, mask, release and what is kept in it."""
    points = {point.name: point for point in timepoints_of(case)}
    names = [n for n in case.documents if n.startswith("release-") and n.endswith(".json")]
    for name in sorted(names):
        for entry in case.json(name)["figures"]:
            photo, mask = load(case, points[entry["timepoint"]])
            file = f"{name.removesuffix('.json')}-{entry['figure']}.png"
            release = read_photo(file, case.documents[file]).pixels
            yield {
                "figure": entry["figure"], "key": bytes.fromhex(entry["key"]),
                "value": entry["commitment"], "original": photo.pixels, "mask": mask,
                "release": release, "kept": _kept(entry["manifest"], mask),
            }  # fmt: skip


def _kept(manifest: dict, mask: np.ndarray) -> np.ndarray:
    """Kept [h,w] bool on the release's rectangle."""
    x, y, width, height = (manifest["frame"][name] for name in ("x", "y", "width", "height"))
    return grow_mask(mask, manifest["facts"]["margin_px"]["value"])[y : y + height, x : x + width]
