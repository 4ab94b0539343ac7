"""From a sealed case to its figures: each timepoint's photograph released, a series as one person.

One generated person, light and scale across a series: z and codes come from HMAC(series key, case_id),
sex, age, skin tone and view are those of the first timepoint, and the frames show equally many
centimetres.
"""

import dataclasses
import datetime
import re

import numpy as np

from jaxderm.attributes import BodySite
from jaxderm.case.vault import Vault
from jaxderm.errors import InputError
from jaxderm.frame import centred_frame
from jaxderm.models import weights
from jaxderm.photo import Photo, read_mask, read_photo
from jaxderm.release.cells import case_of
from jaxderm.release.facts import Case, Fact
from jaxderm.release.output import Release

SHOWS = ("lesion", "treated_area")
WITHHOLD = ("sex", "age")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\b(19|20)\d{2}\b|\d{8}")


@dataclasses.dataclass(frozen=True)
class Timepoint:
    """One photograph of a case, as it was declared.

    name: "before", "12 weeks" (never a date); photo and mask: documents of the case; cells: texts of
    the facts; shows: what the mask marks, the lesion or the treated area of a healed site.
    """

    name: str
    photo: str
    mask: str
    shows: str
    cells: dict[str, str]
    pixels_per_cm: float | None
    margin: float | None

    def __post_init__(self) -> None:
        if _DATE.search(self.name):
            raise InputError(
                f"timepoint '{self.name}' looks like a date, which is a private fact; write "
                "'before' or '12 weeks'."
            )
        if self.shows not in SHOWS:
            raise InputError(f"mask_shows '{self.shows}' is unknown; use: {', '.join(SHOWS)}.")


@dataclasses.dataclass(frozen=True)
class Figure:
    """A timepoint with its pictures: original [H,W,3], mask [H,W], resolved case, release."""

    timepoint: Timepoint
    original: Photo
    mask: np.ndarray
    case: Case
    release: Release


def timepoints_of(vault: Vault) -> list[Timepoint]:
    """The timepoints of an open case, in order."""
    return [Timepoint(**entry) for entry in vault.json("facts.json")["timepoints"]]


def check_expiry(vault: Vault, today: datetime.date | None = None) -> None:
    """InputError when the case's original should be gone by now."""
    expires = datetime.date.fromisoformat(vault.json("facts.json")["expires"])
    if (today or datetime.date.today()) > expires:
        raise InputError(
            f"case {vault.id} expired on {expires}: delete its folder, or make a new case if the "
            "patient consents to a later date."
        )


def parse_expiry(text: str | None, today: datetime.date | None = None) -> str:
    """A date YYYY-MM-DD from today on; InputError otherwise."""
    try:
        date = datetime.date.fromisoformat(text or "")
    except ValueError:
        raise InputError(
            f"expires '{text or ''}' is not a date; give --expires YYYY-MM-DD, when the original "
            "must be gone."
        ) from None
    if date < (today or datetime.date.today()):
        raise InputError(f"expires '{text}' has passed; give a later date.")
    return date.isoformat()


def load(vault: Vault, timepoint: Timepoint) -> tuple[Photo, np.ndarray]:
    """Photo and mask of a timepoint; a mask that keeps nothing is refused with what to draw."""
    photo = read_photo(timepoint.photo, vault.documents[timepoint.photo])
    mask = read_mask(timepoint.mask, photo.pixels.shape[:2], True, vault.documents[timepoint.mask])
    if not mask.any():
        raise InputError(
            f"the mask of timepoint '{timepoint.name}' keeps nothing; on a healed site mark the "
            "area that was treated and say --mask_shows treated_area."
        )
    return photo, mask


def resolve(vault: Vault) -> tuple[list[tuple[Photo, np.ndarray, Case]], list[str]]:
    """Photo, mask and resolved case of every timepoint, aligned as a series; and warnings."""
    facts = vault.json("facts.json")
    size = weights.read_spec(weights.find_model(facts["model"])).size
    points = timepoints_of(vault)
    loaded = [load(vault, point) for point in points]
    cells = [_shared(point.cells, points[0].cells, facts["withhold"]) for point in points]

    def case(i: int, tone: Fact | None, frame: str | None = None) -> Case:
        texts = {**cells[i], "frame": frame} if frame else cells[i]
        point = points[i]
        return case_of(
            *loaded[i], texts, size, margin=point.margin, pixels_per_cm=point.pixels_per_cm,
            force=facts["force"], tone=tone,
        )  # fmt: skip

    cases = [case(0, None)]
    tone = cases[0].facts["skin_tone"]
    cases += [case(i, tone) for i in range(1, len(points))]
    warnings = []
    if len(points) > 1:
        sides, warning = _sides(cases)
        warnings += [warning] if warning else []
        for i, side in enumerate(sides):
            if side is not None and side != cases[i].frame.side:
                box = centred_frame(cases[i].kept, side, size).box
                cases[i] = case(i, tone, f"{box[0]},{box[1]},{side}")
                cases[i].facts["frame"] = Fact(list(box), "assumed")
    return [(photo, mask, each) for (photo, mask), each in zip(loaded, cases)], warnings


def _shared(cells: dict[str, str], first: dict[str, str], withhold: list[str]) -> dict[str, str]:
    """A timepoint's cells with the person of the first, and without what is withheld."""
    if (cells.get("site") or "") != (first.get("site") or ""):
        raise InputError("the timepoints of a series have different sites; make a case of each.")
    shared = {**cells}
    for name in ("sex", "age", "skin_type", "subsite", "view", "field"):
        shared[name] = first.get(name) or ""
    for name in withhold:
        shared[name] = ""
    return shared


def _sides(cases: list[Case]) -> tuple[list[int | None], str | None]:
    """The frame's side in px for each case of a series (None: as it is), and a warning."""
    if all(
        case.attributes.site is BodySite.FACE and not np.isnan(case.landmarks).any()
        for case in cases
    ):
        return [None] * len(cases), None  # a face's frame follows the face
    scales = [case.facts["pixels_per_cm"].value for case in cases]
    if all(scales):
        widest = max(case.frame.side / scale for case, scale in zip(cases, scales))
        return [round(widest * scale) for scale in scales], None
    if len({case.kept.shape for case in cases}) == 1:
        side = max(case.frame.side for case in cases)
        return [side] * len(cases), (
            "the scale of the series is not known: the figures show equally many pixels, which is "
            "one scale only if the camera stood equally far; give a ruler for every timepoint"
        )
    return [None] * len(cases), (
        "the scale of the series is not known and its photographs differ in size: the figures have "
        "different scales; give a ruler for every timepoint"
    )


def make_figures(vault: Vault, series_key: bytes | None) -> tuple[list[Figure], list[str]]:
    """All figures of a case, and warnings. InputError for a series without its key."""
    facts = vault.json("facts.json")
    if facts["case_id"] and series_key is None:
        raise InputError(
            "this case has a case_id, so its person comes from a key: give --series_key FILE (make "
            "one with `jaxderm case key --new FILE`)."
        )
    resolved, warnings = resolve(vault)
    from jaxderm.release.synthesize import Deidentifier  # brings jax in

    model = Deidentifier.load(facts["model"])
    figures = []
    for point, (photo, mask, case) in zip(timepoints_of(vault), resolved):
        if facts["case_id"]:
            release = model.release(case, facts["seed"], 0, series_key, facts["case_id"])
        else:
            release = model.release(case, facts["seed"])
        figures.append(Figure(point, photo, mask, case, release))
    return figures, warnings + [w for figure in figures for w in figure.release.warnings]
