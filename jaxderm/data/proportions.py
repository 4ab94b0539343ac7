"""A stranger's own proportions: brows, eyes, nose, jaw and chin moved by the seed, a face as long as the ordinary.

A bank has few people of a sex, an age and a tone, and a refiner draws all in one look, so that a recogniser takes two
strangers for one. People differ by where their brows stand and how long their nose is more than by anything else that it
sees (docs/training_log.md). Eyes stay where a case has them, and what lies at the
kept with them.
"""

import dataclasses

import numpy as np

from jaxderm.attributes import ADULT_AGE, Attributes, BodySite, Sex, Source
from jaxderm.face import face_coordinates


@dataclasses.dataclass(frozen=True)
class Proportion:
    """How far a feature goes to either side: most, of the distance from the eyes to the mouth or of its own size.

    at: where it is, on the image's right, in those distances across and down from between the eyes. men: share of it that
    men have, whom a reader takes for women with large eyes and high brows. of_men, of_women: where the middle of photographed
    men and women lies, of most; men's for the same reason, women's lips since those of renders are too high.
    """

    most: float
    at: tuple[float, float]
    men: float = 1.0
    of_men: float = 0.0
    of_women: float = 0.0


PROPORTIONS = {
    "lip_height": Proportion(0.1, (0.15, 1.0), of_women=-1.9),
    "jaw_width": Proportion(0.16, (0.9, 1.35), of_men=-0.5),
    "brow_height": Proportion(0.13, (0.48, -0.36), men=0.7, of_men=-0.3),
    "brow_tilt": Proportion(0.12, (0.48, -0.33), men=0.7),
    "nose_width": Proportion(0.3, (0.1, 0.6)),
    "nose_length": Proportion(0.13, (0.0, 0.55)),
    "eye_size": Proportion(0.14, (0.48, 0.0), men=0.8, of_men=-0.15, of_women=0.1),
    "eye_opening": Proportion(0.2, (0.48, 0.0), men=0.7, of_men=-0.4),
    "eye_tilt": Proportion(0.12, (0.48, 0.0), men=0.7),
    "chin_length": Proportion(0.12, (0.0, 1.85), of_women=0.2),
}
NUMBERS = len(PROPORTIONS)
MOUTH, MET = "mouth", "nose_met"
# Of the distance from the eyes to the mouth: how far off the kept a feature begins to be free, and is, and lips, beside which
# little else moves; how far from the middle an eye is of a face seen from the front.
NEAR, NEAR_LIPS, FRONTAL = (0.2, 0.5), (0.1, 0.3), 0.48
LEAST = 1e-3  # of the frame: what is nearer together is no face
# Lengths of faces and widths of mouths by years, in distances of the eyes: of rendered people (medians of those who look at
# the camera), of adults' mouths measured ones (Farkas 1994; pupils: Dodgson 2004); how much more of both men have, and women
# less; logarithms that are not told apart, while the nose stands less than so far from the middle.
YEARS, LENGTHS = (2.0, 10.0, 18.0, 25.0, 60.0), (0.85, 0.985, 1.04, 1.047, 1.085)
WIDTHS, MORE_OF_MEN = (0.625, 0.645, 0.71, 0.805, 0.805), np.array([0.035, 0.015])
# Where the tip of a grown nose is, of the way from the eyes to the mouth, of portraits in the median of either sex, and how
# far from it that of eight in ten. Some rendered women's is at 0.4.
NOSE, NOSE_SPARE = 0.6, 0.08
UNTOLD, TURNED = np.array([0.12, 0.15]), (0.1, 0.2)
# Of a nose that is to end elsewhere: how far it comes from above or below (nothing folds), and where it begins
# to, does, does no longer, and not at all, in distances from the eyes to the mouth.
NOSE_MET, NOSE_ALONG = (-0.18, 0.22), ((0.0, 0.3), (0.88, 0.5))


def proportions(numbers: np.ndarray, facts: Attributes) -> dict[str, float] | None:
    """A person's proportions by numbers [NUMBERS] in (0,1); None where the facts name no face."""
    if facts.site is not BodySite.FACE:
        return None
    shifted = photographed(facts)
    found = {}
    for (name, p), number in zip(PROPORTIONS.items(), numbers, strict=True):
        spread = p.men if facts.sex is Sex.MALE else 1.0
        middle = {Sex.MALE: p.of_men, Sex.FEMALE: p.of_women}.get(facts.sex, 0.0)
        found[name] = p.most * (shifted * middle + spread * (2 * float(number) - 1))
    return found


def photographed(facts: Attributes) -> bool:
    """Whether a grown person's photograph is asked for."""
    return facts.source is Source.PHOTO and (facts.age is None or facts.age >= ADULT_AGE)


def away_from(kept: np.ndarray, by: dict[str, float], landmarks: np.ndarray) -> dict[str, float]:
    """Proportions of which those of a feature at what is kept, [M,M], stay: half of it may show there as the patient has it.

    landmarks [5,2] in [0,1] of the frame.
    """
    place = face_coordinates(landmarks * len(kept) - 0.5, kept.shape)
    shown = kept > 0.5
    if place is None or not shown.any():
        return by
    across, down = (coordinate[shown] for coordinate in place)
    at = {MOUTH: (0.35, 1.0)} | {name: p.at for name, p in PROPORTIONS.items()}
    apart = {n: np.hypot(np.abs(across) - at[n][0], down - at[n][1]).min() for n in by}
    near = {name: NEAR_LIPS if name in (MOUTH, "lip_height") else NEAR for name in by}
    return {name: v * float(np.interp(apart[name], near[name], (0, 1))) for name, v in by.items()}


def nose_of(faces: np.ndarray) -> np.ndarray:
    """How far down the noses of faces [N,5,2] end, [N]: 0 at the eyes, 1 at the mouth; NaN unknown, or of no face."""
    eyes = faces[:, :2].mean(1)
    axis = faces[:, 3:].mean(1) - eyes
    long = np.square(axis).sum(-1)
    down = ((faces[:, 2] - eyes) * axis).sum(-1)
    return np.divide(down, long, out=np.full(len(faces), np.nan), where=long > LEAST**2)


def nose_met(
    by: dict[str, float],
    kept: np.ndarray,
    landmarks: np.ndarray,
    tip: np.ndarray,
    facts: Attributes,
) -> dict[str, float]:
    """Proportions whose nose, with its tip [2] there, ends where the landmarks' does if kept [M,M] shows some of it.

    Else there are two noses, the patient's and the stranger's. Elsewhere that of a grown person's photograph ends where its
    length says among portraits', or nearer to that than it did. Places in [0,1] of the frame.
    """
    eyes = landmarks[:2].mean(0)
    axis = landmarks[3:].mean(0) - eyes
    if not (np.linalg.norm(axis) > LEAST and np.isfinite(tip).all()):
        return by | {MET: 0.0}
    near = 1 - away_from(kept, {"nose_length": 1.0}, landmarks)["nose_length"]
    patient, own = ((place - eyes) @ axis / (axis @ axis) for place in (landmarks[2], tip))
    further = near * (own - patient) if np.isfinite(patient) else 0.0
    if photographed(facts):
        drawn = NOSE + NOSE_SPARE * by["nose_length"] / PROPORTIONS["nose_length"].most
        further += (1 - near) * (own - drawn)
        by = by | {"nose_length": 0.0}
    return by | {MET: float(np.clip(further, *NOSE_MET))}


def nose_shown(by: dict[str, float], tip: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Where the tip [2] of a nose is shown after `moved`, [2]; places in [0,1] of the frame."""
    eyes = landmarks[:2].mean(0)
    axis = landmarks[3:].mean(0) - eyes
    own = (tip - eyes) @ axis / (axis @ axis)
    shown = own = own + by["nose_length"]
    for _ in range(8):  # it is moved by what the place where it is shown says
        shown = own - by[MET] * _along_nose(shown)
    return tip + (by["nose_length"] + shown - own) * axis


def _along_nose(down: np.ndarray) -> np.ndarray:
    """How much of a nose's move what is so far down shares."""
    begun, left = (np.clip((down - a) / (b - a), 0, 1) for a, b in NOSE_ALONG)
    return begun * begun * (3 - 2 * begun) * left * left * (3 - 2 * left)


def ordinary(landmarks: np.ndarray, facts: Attributes, kept: np.ndarray) -> np.ndarray:
    """A face's landmarks [5,2] in [0,1] of the frame, with a mouth as far from the eyes and as wide as its sex and age have it.

    Both tell people apart, and are nothing that a release needs. What is further off than UNTOLD is the head's turn or
    a smile, and stays beyond that; so does the mouth at what is kept [M,M]. A nose ends where portraits' do: who marks
    its tip by hand may mean another point, and a refiner draws an older face around a nose that it has not seen.
    Unknown landmarks: as they are.
    """
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    axis, between = mouth - eyes, np.linalg.norm(landmarks[1] - landmarks[0])
    width = np.linalg.norm(landmarks[4] - landmarks[3])
    if facts.site is not BodySite.FACE or not min(np.linalg.norm(axis), between, width) > LEAST:
        return landmarks  # among them all with a NaN
    beside = np.array([axis[1], -axis[0]]) / (axis @ axis)
    nose = 0.0 if np.isnan(landmarks[2]).any() else abs((landmarks[2] - eyes) @ beside)
    told = UNTOLD * np.interp(nose, TURNED, (1, 0))
    off = np.log(np.array([np.linalg.norm(axis), width]) / between / _length_and_width(facts))
    by = np.sign(off) * np.maximum(np.abs(off) - told, 0.0) - off
    longer, wider = np.expm1(away_from(kept, {MOUTH: 1.0}, landmarks)[MOUTH] * by)
    down = np.maximum((landmarks - eyes) @ axis / (axis @ axis), 0)
    down[:2] = 0
    shown = landmarks + longer * down[:, None] * axis
    shown[3:] += wider * (landmarks[3:] - mouth)
    if facts.age is None or facts.age >= ADULT_AGE:
        shown[2] += (NOSE - down[2]) * (1 + longer) * axis
    return shown.astype(landmarks.dtype)


def _length_and_width(facts: Attributes) -> np.ndarray:
    """From the eyes to the mouth, and a mouth's width, in distances of the eyes; of rendered people who look at the camera."""
    age = ADULT_AGE if facts.age is None else facts.age
    grown = float(np.clip((age - 10) / 8, 0, 1))
    more = grown * MORE_OF_MEN * ((facts.sex is Sex.MALE) - (facts.sex is Sex.FEMALE))
    return np.array([np.interp(age, YEARS, values) for values in (LENGTHS, WIDTHS)]) + more


def moved(by: dict[str, float], landmarks: np.ndarray, size: int) -> np.ndarray:
    """Where the pixels of a face come from, less where they are, [S,S,2] (x, y) in [0,1] of the frame.

    landmarks [5,2] in [0,1]; zero where an eye or a mouth corner is unknown.
    """
    place = face_coordinates(landmarks * size - 0.5, (size, size))
    if place is None:
        return np.zeros((size, size, 2))
    across, down = place
    middle, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    axis = mouth - middle
    beside = np.array([axis[1], -axis[0]])  # to the image's right
    # A turned head is narrower.
    eyes = (landmarks[:2] - middle) @ beside / (axis @ axis)
    narrow = max(np.ptp(eyes) / 2 / FRONTAL, 0.3)
    across = across / narrow

    def bell(width: float, height: float, y: float, x: float = 0.0) -> np.ndarray:
        return np.exp(-0.5 * (np.square((across - x) / width) + np.square((down - y) / height)))

    # What comes from further off is smaller.
    dx = -by["jaw_width"] * across * bell(1.2, 0.45, 1.35) * (1 - bell(0.5, 0.3, 1.0))
    dx -= by["nose_width"] * across * bell(0.22, 0.14, 0.6)
    dy = by["brow_height"] * bell(0.8, 0.14, -0.36)
    dy += by["brow_tilt"] * (np.abs(across) - FRONTAL) * bell(0.8, 0.12, -0.33)
    dy -= by["nose_length"] * bell(0.25, 0.16, 0.55)
    dy += by.get(MET, 0.0) * _along_nose(down) * np.exp(-0.5 * np.square(across / 0.25))
    dy -= by["chin_length"] * bell(0.8, 0.26, 1.85)
    dy -= by["lip_height"] * (down - 1) * bell(0.45, 0.16, 1.0)
    for side in (-1, 1):
        beyond = across - side * FRONTAL
        eye = bell(0.26, 0.16, 0.0, side * FRONTAL)
        dx -= by["eye_size"] * beyond * eye
        dy -= (by["eye_size"] + by["eye_opening"]) * down * eye
        dy += by["eye_tilt"] * side * beyond * eye
    return (dx * narrow)[..., None] * beside + dy[..., None] * axis


__all__ = [
    "MET", "NUMBERS", "PROPORTIONS", "Proportion", "away_from", "moved", "nose_met", "nose_of", "nose_shown", "ordinary",
    "photographed", "proportions",
]  # fmt: skip
