"""The skin of a photograph on a settled frame: noses, lids, folds, chins and light as portraits have them.

Renders have light from the front and hardly any relief, and a refiner keeps both. The frame is registered to the mean of
all portraits, and its skin brought to what people of that sex and age look like at the same place of the face, one of
them lit and shaped as the seed draws (`models/appearance.py`). Drawn from the frame, the places of the face and of what
is kept, sex, age and the seed: no pixel of a photograph is read.
"""

import functools
from pathlib import Path

import jax
import numpy as np
from safetensors.numpy import load_file
from scipy import ndimage

from jaxderm.attributes import LUMA, Attributes
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates, face_skin_region, like_skin
from jaxderm.models import registration
from jaxderm.models.appearance import (
    ACROSS,
    BLACK,
    STEP,
    Appearance,
    at_nodes,
    begun,
    in_frame,
    middles,
    nodes,
    of_person,
    rows_and_columns,
)
from jaxderm.models.registration import Level
from jaxderm.release.settle_features import EYES, MOUTH, beside_features, brows_of
from jaxderm.release.smoothing import beside_kept, ramp

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "heads" / "appearance.safetensors"
LEAST = 50  # px of cheeks and nose by which skin is told
# A frame is soft and its person a render: what is finer than these would follow noise.
LEVELS = (Level(12.0, 7.0, 3.0), Level(9.0, 5.5, 2.0), Level(7.0, 4.5, 1.2))
# Bounds within which frames and portraits are alike, in distances from the eyes to the mouth: beside, above, below.
BESIDE, ABOVE, BELOW = (1.2, 1.0), (-1.2, -1.0), (1.95, 1.65)
MOUTHS = (
    0.25,
    0.4,
)  # in those, around a mouth: none of it is registered, and all, for portraits smile
# How much of what portraits have is taken; deviations of theirs at most of what one differs by, and so much of that: of the
# light, which the first modes are, of the old and of the young, since most of what portraits differ by are years.
TAKEN, DIFFERS, OWN = 0.8, 1.8, 0.8
SIDES, GROWN, YOUNG = 3, (25.0, 55.0), 0.5
DARKER, LIGHTER = -0.6, 0.5  # logarithms, at most
LIDS = 0.15  # in distances of the eyes, around each: what is within stays
FINE = 1.5 / 256  # of the frame, sigma: what is finer stays
# How far beside the middle a nose's tip is of a head that is turned away, in distances from the eyes to the mouth: portraits look
# at the camera.
ASIDE = 0.35, 0.2
# px, and of the frame: how far inside of skin it is taken, and how softly.
INSIDE, SOFTLY = 3, 0.006


def portrayed(
    frame: np.ndarray,
    exemplar: Exemplar,
    mask: np.ndarray,
    landmarks: np.ndarray,
    facts: Attributes,
    rng: np.random.Generator,
) -> np.ndarray:
    """Frame [S,S,3] in [-1,1], settled, with the skin of a portrait; where the face lies nowhere as it is.

    mask [S,S]: what is kept; near it all stays as it is. landmarks [5,2] in [0,1] of the frame; facts: sex and age; rng:
    the seed's.
    """
    size, points = len(frame), landmarks * len(frame)
    place = face_coordinates(points, frame.shape[:2])
    cheeks = face_skin_region(points, frame.shape[:2]) & (mask < 0.5)
    if place is None or cheeks.sum() < LEAST:
        return frame
    appearance, share = _appearance(), beside_kept(mask)
    differs = OWN * np.clip(rng.standard_normal(len(appearance.modes)), -DIFFERS, DIFFERS)
    if facts.age is not None:
        differs[SIDES:] *= np.interp(facts.age, GROWN, (YOUNG, 1))
    looks = of_person(appearance, facts.sex, facts.age)
    looks = looks + np.tensordot(differs.astype(np.float32), appearance.modes, 1)
    light = np.log((frame + 1) / 2 + BLACK)
    light -= np.median(light[cheeks], axis=0)
    nose = points[2] if exemplar.nose is None else exemplar.nose * size
    brows = middles(brows_of(exemplar, points, place), place[0])
    own = rows_and_columns(np.concatenate([points[:2], [nose], points[3:], brows]), points)
    flow = _flow(appearance, light @ LUMA, share, points, own)
    there = in_frame(np.concatenate([looks, appearance.skin[None]]), flow, points, size)
    skin = ndimage.grey_erosion(like_skin(frame, cheeks)[0], INSIDE)
    skin = ndimage.gaussian_filter(skin, SOFTLY * size) * there[..., 3]
    skin *= beside_features(points, size, MOUTH) * beside_features(points, size, EYES, LIDS)
    skin *= ramp(abs(own[2, 1] * STEP + ACROSS[0]), *ASIDE) * share
    sigma = FINE * size
    lacks = there[..., :3] - ndimage.gaussian_filter(light, (sigma, sigma, 0))
    by = TAKEN * skin[..., None] * np.clip(lacks, DARKER, LIGHTER)
    return np.clip((frame + 1) * np.exp(by) - 1, -1, 1)


def _flow(appearance, luma, share, points, own) -> np.ndarray:
    """Flow from the template to a frame of luma [S,S], of which share [S,S] counts, with its own marks [7,2]."""
    planes, inside = at_nodes(np.stack([luma, share], -1), points)
    weight = planes[1] * inside
    across, down = nodes()
    counts = weight * ramp(np.abs(across), *BESIDE) * ramp(down, *ABOVE) * ramp(down, *BELOW)
    counts *= ramp(np.hypot(across, down - 1), *MOUTHS)
    begin = begun(own, appearance.marks)
    counts = counts.astype(np.float32)
    return np.asarray(_register(appearance.template, planes[0], weight, counts, begin))


@jax.jit
def _register(template, luma, weight, counts, flow):
    plane = registration.of_one_contrast(luma, weight)
    return registration.flow_to(template, plane, counts, flow, LEVELS)


@functools.cache
def _appearance() -> Appearance:
    return Appearance(**{name: v.astype(np.float32) for name, v in load_file(WEIGHTS).items()})
