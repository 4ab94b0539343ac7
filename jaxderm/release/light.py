"""The light of a studio on a settled frame: what portraits show of light and shade, and from a side of its own.

Renders have light from the front, and a refiner keeps it: noses, chins and cheeks of frames hardly stand out. The fields
of `models/light.py` say what most portraits have there, by sex and age, and how light falls on one and on the next.
Drawn from the frame, the places of the face and of what is kept, sex, age and the seed: no pixel of a photograph is read.
"""

import functools
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy import ndimage

from jaxderm.attributes import Attributes
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates, face_skin_region, like_skin
from jaxderm.models.light import Light, in_frame, nose_of, of_person
from jaxderm.release.outlines import backdrop_of
from jaxderm.release.settle_features import EYES, MOUTH, beside_features
from jaxderm.release.smoothing import beside_kept, ramp

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "heads" / "light.safetensors"
LEAST = 50  # px of cheeks and nose by which skin is told
# How far what a person's own light is goes: deviations of portraits' at most, and so much of that.
SIDES, OWN = 1.3, 0.8
# How far beside the middle a nose's tip is of a head that is turned away, in distances from the eyes to the mouth: portraits look
# at the camera.
ASIDE = 0.35, 0.2
# px, and of the frame: how far inside of skin light ends, and how softly.
INSIDE, SOFTLY = 3, 0.006


def lit(
    frame: np.ndarray,
    exemplar: Exemplar,
    mask: np.ndarray,
    landmarks: np.ndarray,
    facts: Attributes,
    rng: np.random.Generator,
) -> np.ndarray:
    """Frame [S,S,3] in [-1,1], settled, in the light of a portrait; where the face lies nowhere as it is.

    mask [S,S]: what is kept; near it all stays as it is. landmarks [5,2] in [0,1] of the frame; facts: sex and age; rng:
    the seed's.
    """
    size, points = len(frame), landmarks * len(frame)
    cheeks = face_skin_region(points, frame.shape[:2]) & (mask < 0.5)
    if face_coordinates(points, frame.shape[:2]) is None or cheeks.sum() < LEAST:
        return frame
    light = _light()
    own = OWN * np.clip(rng.standard_normal(len(light.modes)), -SIDES, SIDES)
    own = np.tensordot(own.astype(np.float32), light.modes, 1)
    nose = nose_of(None if exemplar.nose is None else exemplar.nose * size, points)
    fields = np.concatenate([of_person(light, facts.sex, facts.age), own[..., None]], -1)
    fields = in_frame(fields, points, size, nose)
    skin = ndimage.grey_erosion(like_skin(frame, cheeks)[0], INSIDE)
    skin = ndimage.gaussian_filter(skin, SOFTLY * size)
    skin *= beside_features(points, size, EYES + MOUTH)
    by = fields[..., :3] * (ramp(abs(nose[0]), *ASIDE) * skin)[..., None]
    by += (fields[..., 3] * (1 - backdrop_of(frame)))[..., None]
    return np.minimum((frame + 1) * np.exp(beside_kept(mask)[..., None] * by) - 1, 1)


@functools.cache
def _light() -> Light:
    return Light(**{name: v.astype(np.float32) for name, v in load_file(WEIGHTS).items()})
