"""Light on faces as photographs have it: fields over a face, and where each lies in a picture.

What portraits show of light and shade, and a settled frame does not, is a smooth field over a face for each sex and
some ages, a mean over many people; how the light of one portrait differs from that of the next is a few fields more
(eigenpictures, Sirovich and Kirby 1987; the light on a convex face spans few dimensions, Basri and Jacobs 2003).
`train/light.py` fits them, `release/light.py` applies them.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from jaxderm.attributes import Sex
from jaxderm.face import face_coordinates

# In distances from the eyes to the mouth, as of `face.face_coordinates`: bounds of the nodes, and from one to the next.
ACROSS, DOWN, STEP = (-1.4, 1.4), (-1.4, 2.32), 0.04
SEXES = (Sex.FEMALE, Sex.MALE)
AGES = (28.0, 50.0, 75.0)  # years between which fields are mixed; no portrait shows anybody younger
BLACK = 0.03  # of values in [0,1]: added before a logarithm, so that noise in the dark is none
# Where the tip of a nose is in a field, and how far its surroundings go along with it: beside it, above and below.
TIP, BESIDE, ABOVE, BELOW = 0.6, (0.75, 0.3), (0.05, 0.5), (0.95, 0.7)


class Light(NamedTuple):
    """missing [sexes,ages,H,W,3]: logarithm of what a frame's values lack as factors; modes [K,H,W]: of one deviation each."""

    missing: np.ndarray
    modes: np.ndarray


def nodes() -> tuple[np.ndarray, np.ndarray]:
    """(across, down) [H,W] of the fields' nodes."""
    columns, rows = (round((high - low) / STEP) + 1 for low, high in (ACROSS, DOWN))
    return np.meshgrid(np.linspace(*ACROSS, columns), np.linspace(*DOWN, rows))


def of_person(light: Light, sex: Sex, age: float | None) -> np.ndarray:
    """What a person's frame lacks, [H,W,3]: between the ages; unknown, of the middle one; no sex, the mean of both."""
    of_sex = light.missing[SEXES.index(sex)] if sex in SEXES else light.missing.mean(0)
    place = np.interp(AGES[1] if age is None else age, AGES, np.arange(len(AGES)))
    low = min(int(place), len(AGES) - 2)
    return of_sex[low] + np.float32(place - low) * (of_sex[low + 1] - of_sex[low])


def nose_of(nose: np.ndarray | None, landmarks: np.ndarray) -> tuple[float, float]:
    """(across, down) of a nose [2] px of a face at landmarks [5,2] px; as of a field where it is not known."""
    if nose is None:
        return 0.0, TIP
    eyes = landmarks[:2].mean(0)
    axis = landmarks[3:].mean(0) - eyes
    way = np.array([[axis[1], -axis[0]], axis]) @ (nose - eyes) / (axis @ axis)
    across, down = way.tolist()
    return (across, down) if np.isfinite(way).all() else (0.0, TIP)


def at_nodes(plane: np.ndarray, landmarks: np.ndarray, nose: tuple[float, float]) -> np.ndarray:
    """Plane [S,S] of a picture at the nodes on a face at landmarks [5,2] px, [H,W]; 0 beyond the picture."""
    across, down = nodes()
    along, below = _gone_along(across, down, nose)
    across, down = across + along, down + below
    eyes = landmarks[:2].mean(0)
    dx, dy = landmarks[3:].mean(0) - eyes
    places = eyes[1] + down * dy - across * dx, eyes[0] + down * dx + across * dy
    return ndimage.map_coordinates(plane, places, order=1, cval=0)


def in_frame(
    fields: np.ndarray, landmarks: np.ndarray, size: int, nose: tuple[float, float]
) -> np.ndarray:
    """Fields [H,W,C] on a face at landmarks [5,2] px in a frame of size px, [S,S,C]; beyond their bounds as there."""
    goes = across, down = face_coordinates(landmarks, (size, size))
    # The inverse of how `at_nodes` goes along with a nose.
    for _ in range(2):
        along, below = _gone_along(*goes, nose)
        goes = across - along, down - below
    places = (goes[1] - DOWN[0]) / STEP, (goes[0] - ACROSS[0]) / STEP
    planes = np.moveaxis(fields, -1, 0)
    return np.stack(
        [ndimage.map_coordinates(plane, places, order=1, mode="nearest") for plane in planes], -1
    )


def _gone_along(across, down, nose) -> tuple[np.ndarray, np.ndarray]:
    """How far each place goes along with a nose that is not where a field's is."""
    (far, near), (above, begin), (end, below) = BESIDE, ABOVE, BELOW
    with_it = np.clip((far - np.abs(across)) / (far - near), 0, 1)
    with_it = with_it * np.clip((down - above) / (begin - above), 0, 1)
    with_it = with_it * np.clip((end - down) / (end - below), 0, 1)
    return nose[0] * with_it, (nose[1] - TIP) * with_it
