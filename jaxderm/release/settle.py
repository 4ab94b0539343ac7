"""What a refiner leaves on a person that no photograph has: ghosts, patches, strokes, years, hues, light, eyes, teeth, rims.

A refined frame is its exemplar and a change. Where the change lays hair, shade or pallor over half of a forehead that
the exemplar shows bare, the two mix to a patch; where it makes skin or studio of the exemplar's hair, the hair's strokes
shine through; in the inner face it is mixed with the exemplar's flat light; where an outline moved, its two edges leave
a rim of another hue; a forehead drawn over hair has the backdrop's blue; and its skin has the years of the photographs
that it learnt from, none of which shows a young person. Beyond a short-haired head it draws more hair, through which the
backdrop shows, and along the frame's border a line. What a photograph has and a render lacks is added: pupils, brown
eyes of dark skin, brown brows from end to end (skin and light: `release/appearance.py`). All are told by size and depth, from the
frame, the exemplar, its age, the declared sex and the places of the face and of what is kept: no pixel of a photograph
is read.
"""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA, Sex
from jaxderm.data import complexion
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates, face_skin_region
from jaxderm.release.pyramid import doubled, halved
from jaxderm.release.settle_features import (
    SOME_BROW,
    brows_of,
    with_brows,
    with_its_mouth,
    with_pupils,
)
from jaxderm.release.settle_hair import with_backdrop, with_its_hair, without_strokes
from jaxderm.release.settle_skin import (
    with_even_hue,
    with_light,
    without_patches,
    without_relief,
)
from jaxderm.release.smoothing import beside_kept, ramp

# Of a face, in distances from the eyes to the mouth: a collar may lie on what the exemplar shows as skin from there on, and a
# tie or a dark suit.
CHIN, BELOW_CHIN = (1.7, 1.45), (1.9, 1.6)
# Below a chin what is lighter than skin is a collar, unless it is warm: red less blue of none, and of a neck that glows beside a
# collar that the refiner began. From where on a neck has no lines, in those distances.
GLOW, NECK = (0.08, 0.2), (1.5, 1.7)
# A circle below the eyes whose strokes are brows, lashes and lips.
INNER, RADIUS = 0.35, 1.1
# How much of the relief of young skin is taken out for the years, and ages from which none is, and up to which all of that.
YEARS, AGES = 0.9, (38.0, 22.0)
# Of the light around: relief that stays all the same. Of a man it is the beard's, and adds ten years.
PORES = {Sex.FEMALE: 0.005}
# The exemplar's hairline leaves lines on a forehead that goes on beyond it: how much of the relief is taken out beside the
# features, and where that begins and is whole, in distances from the eyes to the mouth; none where the old have wrinkles.
LINES, ABOVE, WRINKLED = 0.8, (0.15, -0.1), (65.0, 50.0)
# How much of what is deep in a fold goes too, and ages from which none of it does, and up to which all of that.
FOLDS, FOLDED = 0.8, (60.0, 46.0)
FRINGE = 0.006  # of the frame: how far beside brows the relief stays theirs
# px: as far from the frame's border as a network's padding shows; along it, over how many that is averaged.
PADDED, ALONG = 7, 5.0
RIM = 3  # window of the median, in samples of hue, which are two pixels wide as in most JPEG files


def settled(
    frame: np.ndarray,
    exemplar: Exemplar,
    mask: np.ndarray,
    landmarks: np.ndarray,
    age: float | None = None,
    aged: bool = False,
    sex: Sex = Sex.UNSPECIFIED,
) -> np.ndarray:
    """Frame [S,S,3] in [-1,1] of a refined exemplar without patches, strokes, years and rims; its light a photograph's.

    mask [S,S]: what is kept; near it all is as refined, since it goes on from the kept skin. landmarks [5,2] in [0,1]
    of the frame; where the face lies nowhere, strokes, years and light stay. age: of the person whom the exemplar shall
    show, None unknown; aged: whether the refiner was asked for an older one than declared; sex: as declared.
    """
    before = exemplar.picture.astype(np.float32) / 127.5 - 1
    frame = _without_border(frame)
    share = beside_kept(mask)
    place = face_coordinates(landmarks * len(frame), frame.shape[:2])
    skin = exemplar.skin.astype(np.float32) / 255
    if place is None:
        return _without_rims(without_patches(frame, before, skin, share, share))
    across, down = place
    cheeks = face_skin_region(landmarks * len(frame), frame.shape[:2]) & (mask < 0.5)
    if cheeks.sum() >= 50:
        frame = with_its_hair(frame, exemplar, cheeks, share, landmarks * len(frame), across)
    tufts = complexion.tufts(exemplar.picture, skin)
    frame = with_backdrop(frame, skin, tufts, share, down)
    warm = ramp(ndimage.gaussian_filter(frame[..., 0] - frame[..., 2], 1.5), *GLOW)
    lighter = share * np.maximum(ramp(down, *CHIN), warm)
    frame = without_patches(frame, before, skin, lighter, share * ramp(down, *BELOW_CHIN))
    beside = np.hypot(across, down - INNER) / RADIUS
    tufts *= ramp(down, *CHIN)
    frame = without_strokes(frame, before, share * ramp(beside, 0.95, 1.1), tufts, skin)
    frame, lips = with_its_mouth(frame, exemplar, share, landmarks * len(frame))
    if cheeks.sum() >= 50:
        lines = LINES * ramp(beside, 0.95, 1.1) * ramp(down, *ABOVE)
        if age is not None:
            lines *= ramp(age, *WRINKLED)
        if aged:
            lines = np.maximum(lines, YEARS * ramp(age, *AGES))
        lines = np.maximum(lines, LINES * ramp(down, *NECK))
        brows = brows_of(exemplar, landmarks * len(frame), place)
        lines *= 1 - np.minimum(ndimage.gaussian_filter(brows, FRINGE * len(frame)) / SOME_BROW, 1)
        deep = FOLDS * ramp(age, *FOLDED) * share if aged else np.zeros_like(share)
        frame = without_relief(
            frame,
            cheeks,
            share * lines,
            deep,
            place,
            landmarks * len(frame),
            lips,
            PORES.get(sex, 0.0),
        )
        frame = with_even_hue(
            frame, skin * share * ramp(down, *CHIN), cheeks, landmarks * len(frame)
        )
        frame = with_light(frame, cheeks, share * (1 - lips))
        frame = with_brows(frame, brows, cheeks, share, landmarks * len(frame))
        frame = with_pupils(frame, cheeks, share, landmarks * len(frame))
    return _without_rims(frame)


def _without_border(frame: np.ndarray) -> np.ndarray:
    """The frame whose border is as it is PADDED px inside, but for what is narrow along it.

    Convolutions are padded with zeros, so that a refiner draws a line along every border.
    """
    frame = frame.copy()
    if len(frame) <= 2 * PADDED:
        return frame
    for turns in range(4):
        side = np.rot90(frame, turns)  # a view
        line = side[:PADDED] - side[PADDED]
        side[:PADDED] -= ndimage.gaussian_filter1d(line, ALONG, axis=1, mode="nearest")
    return frame


def _without_rims(frame: np.ndarray) -> np.ndarray:
    """The frame with the median of its hue over a few pixels; lightness stays."""
    luma = frame @ LUMA
    hues = halved(frame - luma[..., None])
    red, blue = (doubled(ndimage.median_filter(hues[..., c], RIM)) for c in (0, 2))
    green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
    return np.clip(luma[..., None] + np.stack([red, green, blue], -1), -1, 1)
