"""Exemplars: the rendered people that a release's surround begins from, chosen by named facts, fitted to the frame.

A bank holds pictures of people who do not exist (`jaxderm render --calm`), with their facts, landmarks and skin. It
travels in the weight file. `Bank.exemplar` is a function of the facts, the kept mask and numbers in (0,1)
that stand for the seed; on a scalp `Bank.choose` is also told what the rim of kept shows. No other pixel of a photograph
enters (DESIGN, contract 2).
"""

import dataclasses
import functools
import io
import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from jaxderm.attributes import (
    ADULT_AGE,
    PROTECTED_SITES,
    Attributes,
    BodySite,
    Field,
    Sex,
    Source,
    View,
)
from jaxderm.data import scalp
from jaxderm.data.complexion import (
    bare_cheeks,
    dark_hair,
    haircut,
    may_be_grey,
    natural_lips,
    soft_brows,
    soft_strands,
    toned,
)
from jaxderm.data.placement import bearded, face_fits, flipped, site_fits
from jaxderm.data.proportions import (
    NUMBERS,
    away_from,
    moved,
    nose_met,
    nose_of,
    nose_shown,
    photographed,
    proportions,
)
from jaxderm.data.warp import bent_grid, sample

FACE = BodySite.FACE.value
COVER = 32  # side of the coarse skin masks that a choice reads
PICTURES, SKINS, COVERS, FACTS = "pictures", "skins", "covers", "facts"
# What one unit of penalty is: years and degrees beyond which another person would be told apart.
YEARS, DEGREES, SPARE_YEARS = 10.0, 12.0, 3.0
# A child of 3 and one of 8 look less alike than a woman of 40 and one of 50: of the young a unit is that share of their
# years, but not less than so many.
YOUNG, LEAST = 0.35, 1.2
# Of an exemplar that is older than asked: rendered young men look older than they are (docs/rendered_people.md).
YEARS_OLDER = 8.0
WRONG_MINORITY = 20.0  # a child is no adult, whatever else fits
BEARDED = 4.0  # hardly a photograph that a refiner has seen shows a full beard: it leaves the strokes of a render
# From the eyes to the mouth, where a tip begins to hang over the lips (hardly any portrait's does), and one unit.
HANGS, HANGING = 0.75, 0.0125
# Of a photograph: grey before its time; a woman's cropped, with which a refiner makes a man of her.
WRONG_HAIR = 4.0
WRONG_SEX, WRONG_VIEW, WRONG_FIELD, OFF_SKIN = 20.0, 1.5, 2.0, 25.0
# Of the share of the frame beyond the picture: a face's landmarks say where it lies, a part of the body may lie elsewhere,
# and of a narrow rim nobody sees that it is mirrored: of that share's square.
FACE_OUTSIDE, SITE_OUTSIDE = 3.0, 65.0
PLACED = 150  # that are nearest by their facts, and are laid into the frame
BARRED = 15.0
FITTING = 2.5  # penalty of a placement that may be shown
LUCK = 1.6  # of the seed, against the penalties
# Lips of renders end before the corners of their mouths, which landmarks are: how far out.
LIPS = 0.86
DRAWS = 4096  # numbers that a choice may use; persons beyond share them


@dataclasses.dataclass(frozen=True)
class Entry:
    """Facts of a bank's picture; landmarks [5,2] in [0,1] of its side, NaN unknown."""

    attributes: Attributes
    landmarks: np.ndarray
    person: str


@dataclasses.dataclass(frozen=True)
class Choice:
    """A bank's picture in a frame: entry, matrix [2,3] from the frame's [0,1] to the picture's, mirrored; of a face how
    far its features are moved (`proportions`).
    """

    entry: int
    matrix: np.ndarray
    mirrored: bool
    features: dict[str, float] | None = None


@dataclasses.dataclass(frozen=True)
class Exemplar:
    """A bank's person in a frame: picture [S,S,3] uint8, how much of each pixel is skin, [S,S] uint8.

    nose: where the tip of a face's is, [2] in [0,1] of the frame; None of no face.
    """

    picture: np.ndarray
    skin: np.ndarray
    nose: np.ndarray | None = None


def rows_of(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Facts of a bank's pictures, JSON that is deflated; ValueError where it is none."""
    try:
        return json.loads(zlib.decompress(arrays[FACTS].tobytes()))
    except zlib.error as error:
        raise ValueError(f"its facts are not deflated: {error}") from None


class Bank:
    """Pictures of rendered people with facts; decoded when they are asked for."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        """arrays: as `arrays` gives them (the "bank" of a weight file); ValueError for others."""
        self.arrays = {name: np.asarray(arrays[name]) for name in (PICTURES, SKINS, COVERS, FACTS)}
        rows = rows_of(self.arrays)
        self.entries = [_entry(row) for row in rows]
        self._ends = {
            PICTURES: np.cumsum([0] + [row["picture"] for row in rows]),
            SKINS: np.cumsum([0] + [row["skin"] for row in rows]),
        }
        covers = np.unpackbits(self.arrays[COVERS].reshape(len(rows), -1), axis=1)
        self.covers = covers.reshape(-1, COVER, COVER).astype(bool)
        people = {name: k for k, name in enumerate(dict.fromkeys(e.person for e in self.entries))}
        self.people = np.array([people[e.person] for e in self.entries])
        self.landmarks = np.stack([e.landmarks for e in self.entries])
        facts = [e.attributes for e in self.entries]
        self.sites = np.array([f.site.value for f in facts])
        self.whole = np.array([f.field is not Field.CLOSE_UP for f in facts])
        self._table = {
            "sex": np.array([f.sex.value for f in facts]),
            "view": np.array([f.view.value for f in facts]),
            "age": np.array([np.nan if f.age is None else f.age for f in facts]),
            "ita": np.array([np.nan if f.ita is None else f.ita for f in facts]),
            "field_cm": np.array([np.nan if f.field_cm is None else f.field_cm for f in facts]),
            "bearded": bearded(self.landmarks, self.covers),
            "nose": nose_of(self.landmarks),
        }
        # Enough for a training's neighbouring examples; 50 MB.
        self._decoded = functools.lru_cache(maxsize=200)(self._decode)
        self._cells = functools.cache(lambda index: scalp.cells_of(self._decode(index)[0]))
        self._haircut = functools.cache(self._haircut_of)

    def __len__(self) -> int:
        return len(self.entries)

    def _part(self, name: str, index: int) -> io.BytesIO:
        start, end = self._ends[name][index : index + 2]
        return io.BytesIO(self.arrays[name][start:end].tobytes())

    def _decode(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        picture = np.asarray(Image.open(self._part(PICTURES, index)).convert("RGB"))
        return picture, np.asarray(Image.open(self._part(SKINS, index)).convert("L"))

    def _haircut_of(self, person: int) -> tuple[bool, bool]:
        """(Whether a person's hair is cropped, whether it is grey) in every picture of the whole face."""
        cropped = grey = True
        for index in np.flatnonzero((self.people == person) & self.whole & (self.sites == FACE)):
            picture, skin = self._decode(index)
            points = self.landmarks[index] * len(picture)
            looks = haircut(picture, skin / np.float32(255), points)
            cropped, grey = cropped and looks[0], grey and looks[1]
            if not cropped and not grey:
                break
        return cropped, grey

    def exemplar(
        self,
        facts: Attributes,
        landmarks: np.ndarray,
        mask: np.ndarray,
        draws: np.ndarray,
        size: int,
    ) -> np.ndarray:
        """The picture [S,S,3] uint8 of `draw` of what `choose` chooses."""
        choice = self.choose(facts, landmarks, mask, draws)
        return self.draw(choice, facts, landmarks, size).picture

    def draw(self, choice: Choice, facts: Attributes, landmarks: np.ndarray, size: int) -> Exemplar:
        """The chosen picture in a frame of `size`, features at the landmarks [5,2], skin of the facts' tone."""
        picture, skin = self._decoded(choice.entry)
        points = self.landmarks[choice.entry]
        if choice.mirrored:
            picture, skin, points = picture[:, ::-1], skin[:, ::-1], flipped(points)
        if choice.features is not None:
            middle = points[3:].mean(0)
            points = np.concatenate([points[:3], middle + LIPS * (points[3:] - middle)])
        known = np.isfinite(points).all(-1) & np.isfinite(landmarks).all(-1)
        # Noses differ by half of one in length, and would draw eyes and mouth along.
        known[2] = False
        grid = bent_grid(choice.matrix, landmarks[known], points[known], size)
        if choice.features is not None:
            grid = grid + moved(choice.features, landmarks, size) @ choice.matrix[:, :2].T
        frame = sample(picture, grid)
        shown = sample(skin[..., None], grid)[..., 0]
        if choice.features is not None:
            frame = soft_brows(frame, landmarks)
        frame, nose = toned(frame, shown / np.float32(255), landmarks, facts.ita), None
        if choice.features is not None:
            frame = natural_lips(frame, landmarks, facts.sex)
            frame = dark_hair(frame, shown / np.float32(255), landmarks, facts)
            frame, bare = bare_cheeks(frame, shown / np.float32(255), landmarks)
            shown = np.round(255 * bare).astype(np.uint8)
            frame = soft_strands(frame, bare, landmarks)
            tip = self._tip(choice.entry, choice.matrix, choice.mirrored)
            nose = nose_shown(choice.features, tip, landmarks)
        return Exemplar(frame, shown, nose)

    def _tip(self, row: int, matrix: np.ndarray, mirrored: bool) -> np.ndarray:
        """Where the tip of a picture's nose comes to lie, [2] in [0,1] of the frame; NaN unknown."""
        points = self.landmarks[row]
        tip = (flipped(points) if mirrored else points)[2]
        return np.linalg.solve(matrix[:, :2], tip - matrix[:, 2])

    def choose(
        self,
        facts: Attributes,
        landmarks: np.ndarray,
        mask: np.ndarray,
        draws: np.ndarray,
        steady: bool = False,
        barred: Sequence[int] = (),
        rim: scalp.Rim | None = None,
    ) -> Choice:
        """The picture, and where it lies, that fits best, with luck.

        landmarks [5,2] in [0,1] of the frame (NaN unknown), mask [M,M] of what is kept, draws [DRAWS] in (0,1).
        steady: the first person by facts and luck who fits, so that photographs of one patient get one person.
        barred: people (of `people`) who are taken only where there is nobody else of the sex. rim: of kept on a scalp,
        from which the picture shall go on as hair or as bare skin.
        """
        known = np.isfinite(landmarks).all(-1)
        face = facts.site is BodySite.FACE and known.sum() >= 2
        rows, face = self._rows(facts, face)
        cost = self._mismatch(facts, rows, face)
        cost -= LUCK * np.log(draws[self.people[rows] % len(draws)])
        cost += BARRED * np.isin(self.people[rows], barred)
        near = np.sort(np.argsort(cost, kind="stable")[:PLACED])
        rows, cost = rows[near], cost[near]
        if face:
            fits = face_fits(self.landmarks[rows], landmarks, self.covers[rows], mask)
        else:
            widths = self._table["field_cm"][rows]
            fits = site_fits(widths, facts.field_cm, self.covers[rows], mask)
        beyond = FACE_OUTSIDE * fits.outside if face else SITE_OUTSIDE * np.square(fits.outside)
        off_skin = fits.off_skin
        if rim is not None and not face:
            looks = zip(*(self._cells(int(row)) for row in rows))
            covers = self.covers[rows]
            off_skin = scalp.misfit(
                rim, fits.matrices, fits.mirrored, fits.rows, covers, *map(np.stack, looks)
            )
        misplaced = fits.penalty + beyond + OFF_SKIN * off_skin
        total = cost[fits.rows] + misplaced
        person = self.people[rows[fits.rows]]
        haired = facts if face else None
        if steady and (fits_well := misplaced < FITTING).any():
            first = self._least(np.where(fits_well, cost[fits.rows], np.inf), person, haired)
            total, haired = np.where((person == person[first]) & fits_well, misplaced, np.inf), None
        best = self._least(total, person, haired)
        row, matrix = int(rows[fits.rows[best]]), fits.matrices[best]
        mirrored = bool(fits.mirrored[best])
        features = proportions(draws[-NUMBERS:], facts) if face else None
        if features is not None:
            features = away_from(mask, features, landmarks)
            tip = self._tip(row, matrix, mirrored)
            features = nose_met(features, mask, landmarks, tip, facts)
        return Choice(row, matrix, mirrored, features)

    def _least(self, total: np.ndarray, people: np.ndarray, facts: Attributes | None) -> int:
        """Which of the penalties is least with that of the hair of people, for a photograph of a grown face of facts.

        Hair is looked at where it may decide only: a picture must be decoded for it.
        """
        if facts is None or not photographed(facts):
            return int(np.argmin(total))
        young = not may_be_grey(facts)
        best, least = 0, np.inf
        for place in np.argsort(total, kind="stable"):
            if total[place] >= least:
                break
            cropped, grey = self._haircut(int(people[place]))
            wrong = (cropped and facts.sex is Sex.FEMALE) or (grey and young)
            if total[place] + WRONG_HAIR * wrong < least:
                best, least = int(place), total[place] + WRONG_HAIR * wrong
        return best

    def _rows(self, facts: Attributes, face: bool) -> tuple[np.ndarray, bool]:
        """(entries that may be shown at all, whether they are whole faces).

        A close-up is one: it is how a person who may be under 18 is shown at the trunk (DESIGN, contract 6).
        """
        here = self.sites == facts.site.value
        if face and (here & self.whole).any():
            return np.flatnonzero(here & self.whole), True
        close = facts.field is Field.CLOSE_UP or facts.site is BodySite.UNSPECIFIED
        if facts.field_cm is not None and facts.site not in (*PROTECTED_SITES, BodySite.FACE):
            close = False  # a part of that width of a whole site is as good, and not as askew
        clothed = ~np.isin(self.sites, [site.value for site in PROTECTED_SITES])
        # Where the site is missing or none is named, bare skin.
        for fitting in (here & ~self.whole if close else here, ~self.whole, clothed):
            if fitting.any():
                return np.flatnonzero(fitting), False
        raise ValueError(f"no exemplar of {facts.site.value}")

    def _mismatch(self, facts: Attributes, rows: np.ndarray, face: bool) -> np.ndarray:
        table, total = self._table, np.zeros(len(rows))
        less = 1.0 if face else 0.4  # a back says less of sex and age than a face
        if facts.sex is not Sex.UNSPECIFIED:
            total += less * WRONG_SEX * (table["sex"][rows] != facts.sex.value)
        if facts.age is not None:
            unit = np.clip(YOUNG * facts.age, LEAST, YEARS) / YEARS
            older = (table["age"][rows] - facts.age) / unit
            apart = np.where(
                older > 0, older / YEARS_OLDER, np.maximum(-older - SPARE_YEARS, 0) / YEARS
            )
            total += less * np.nan_to_num(apart)
        # Whose age is not named is shown as an adult: a refiner knows no others.
        adult = facts.age is None or facts.age >= ADULT_AGE
        total += less * WRONG_MINORITY * ((table["age"][rows] >= ADULT_AGE) != adult)
        if face and facts.source is Source.PHOTO:
            total += BEARDED * table["bearded"][rows]
            total += np.nan_to_num(np.maximum(table["nose"][rows] - HANGS, 0)) / HANGING
        if facts.ita is not None:
            total += np.nan_to_num(np.abs(table["ita"][rows] - facts.ita) / DEGREES)
        if not face:
            if facts.view is not View.UNSPECIFIED:
                total += WRONG_VIEW * (table["view"][rows] != facts.view.value)
            if facts.field is Field.WHOLE_SITE:
                total += WRONG_FIELD * ~self.whole[rows]
        return total


def _entry(row: dict[str, Any]) -> Entry:
    facts = Attributes(
        sex=Sex(row["sex"]),
        age=row["age"],
        ita=row["ita"],
        site=BodySite(row["site"]),
        view=View(row["view"]),
        field=Field(row["field"]),
        field_cm=row["field_cm"],
    )
    points = [[np.nan if v is None else v for v in point] for point in row["landmarks"]]
    return Entry(facts, np.array(points, np.float64), row["person"])
