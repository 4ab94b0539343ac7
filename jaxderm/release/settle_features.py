"""Brows, eyes and mouth of a refined frame: brown brows, pupils, its exemplar's lips.

A part of `settle`. Frames [S,S,3] in [-1,1]; share [S,S]: how far from the kept; cheeks [S,S] bool; landmarks [5,2] px.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA
from jaxderm.data import complexion
from jaxderm.release.smoothing import ramp, smooth

# Radii around eyes, nose, mouth in distances of the eyes (a little less up and down).
FEATURES, EDGE = (0.32, 0.32, 0.2, 0.38), 0.12
EYES, NOSE, MOUTH, EYES_NOSE_MOUTH = (0, 1), (2,), (3,), (0, 1, 2, 3)  # places in FEATURES
# In distances of the eyes: how far around a brow its skin is looked for, and how softly that goes. Darker by what share of
# light no brow is, and surely some. By how much of it the darker half of a brow is darker: portraits' are, three in four.
# How far brows go to their exemplar's shape in that, and to the skin's hue with so much more red and blue over luma.
AROUND_BROWS, SOFTLY, NO_BROW, SOME_BROW, DEPTHS = 0.12, 0.05, 0.08, 0.25, (0.4, 0.6)
SHAPED, BROWN, BROWN_HUE = 0.65, 0.8, (0.03, -0.05)
LEAST_BROWS = 20  # px of that half
# Of the distance of the eyes: an iris (11.7 mm of 63). In radii of it: where it ends; a pupil, and where it ends; how wide a
# light on it is at most. What a pupil takes of the light there, by how much darker than the cheeks (luma) that is: no lid.
IRIS, ENDS, PUPIL, WIDEST_LIGHT = 0.09, (1.1, 0.8), (0.6, 0.3), 0.7
DARKENED, NO_LID = 0.75, (0.05, 0.25)
LEAST_IRIS = 3.0  # px: a smaller one shows nothing
# Luma of skin with which irises are not surely brown, and are; how much less warm than it, in shares, irises and whites
# are; light that is left of one.
DARK_SKIN, GREYER, IRIS_LIGHT = (-0.15, -0.4), (0.8, 0.45), 0.4
# Of the one light that every eye has, on the image's left: where and how wide, in those radii, and how bright.
LIGHT_AT, LIGHT_WIDTH, LIGHT = (-0.2, -0.3), 0.13, 0.8

# How far beside lips all is the exemplar's, in widths of the mouth; of the frame: from how far the light on them comes.
BESIDE_LIPS, LIGHT_AROUND = 0.08, 0.035


def beside_features(
    landmarks: np.ndarray,
    size: int,
    features: Sequence[int] = EYES_NOSE_MOUTH,
    radius: float | None = None,
) -> np.ndarray:
    """0 on the features, of which EYES_NOSE_MOUTH are all, 1 beyond: [S,S] float32, by landmarks [5,2] px.

    radius: theirs, in distances of the eyes, if not each its own.
    """
    apart = np.linalg.norm(landmarks[1] - landmarks[0])
    y, x = (axis.astype(np.float32) for axis in np.ogrid[:size, :size])
    beside = np.ones((size, size), np.float32)
    places = (*landmarks[:3], landmarks[3:].mean(axis=0))
    for k in features:
        px, py = (float(v) for v in places[k])
        away = np.hypot(x - px, 1.2 * (y - py)) / float(apart)
        r = FEATURES[k] if radius is None else radius
        beside *= ramp(away, r, r + EDGE)
    return beside


def brows_of(exemplar, landmarks, place) -> np.ndarray:
    """By how much of the light on the skin around them an exemplar's brows are darker, [S,S] in [0,1]; 0 elsewhere.

    place: (across, down) as of `face.face_coordinates`.
    """
    across, down = place
    (x, y), (wide, high) = complexion.BROWS
    within = ramp(np.hypot((np.abs(across) - x) / wide, (down - y) / high), 1.0, 0.7)
    brows = np.zeros(across.shape, np.float32)
    rows, columns = within.any(1).nonzero()[0], within.any(0).nonzero()[0]
    if not len(rows):
        return brows
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    luma = (exemplar.picture[box] @ LUMA).astype(np.float32)
    around = _skin_around(luma, landmarks)
    brows[box] = within[box] * np.maximum(1 - luma / np.maximum(around, 1) - NO_BROW, 0)
    return brows


def with_brows(frame, brows, cheeks, share, landmarks) -> np.ndarray:
    """The frame whose brows [S,S] are as dark as portraits' from end to end, and brown.

    The change to light skin takes their outer halves, and leaves what is left green.
    """
    surely = brows > brows.max() / 2
    if surely.sum() < LEAST_BROWS or brows.max() < SOME_BROW:
        return frame
    luma, skin = frame @ LUMA + 1, np.median(frame[cheeks], axis=0) + 1
    around = ndimage.gaussian_filter(
        _skin_around(luma, landmarks), SOFTLY * np.linalg.norm(landmarks[1] - landmarks[0])
    )
    around = np.maximum(around, 0.04)
    depth = np.clip(np.median((1 - luma / around)[surely]), *DEPTHS) / np.median(brows[surely])
    depth = np.minimum(depth * brows, 1)
    weight = share * np.minimum(depth / SOME_BROW, 1)
    lit = luma + SHAPED * weight * ((1 - depth) * around - luma)
    hue = skin / max(float(skin @ LUMA), 0.04)
    red, blue = hue[0] + BROWN_HUE[0], hue[2] + BROWN_HUE[1]
    brown = np.array([red, (1 - LUMA[0] * red - LUMA[2] * blue) / LUMA[1], blue], np.float32)
    hues = (frame + 1) / np.maximum(luma, 0.04)[..., None]
    hues += (BROWN * weight)[..., None] * (brown - hues)
    return np.where(weight[..., None] > 0, lit[..., None] * hues - 1, frame)


def _skin_around(luma: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Luma [h,w] of what is light around each place."""
    apart = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    return ndimage.grey_closing(luma, 2 * round(AROUND_BROWS * apart) + 1)


def with_pupils(frame, cheeks, share, landmarks) -> np.ndarray:
    """The frame with a pupil and one small light in each eye, and a brown iris in those of dark skin.

    Some of a render's lights are as wide as the pupil once they are enlarged, and hide it.
    """
    radius = IRIS * float(np.linalg.norm(landmarks[1] - landmarks[0]))
    if radius < LEAST_IRIS:
        return frame
    frame, colour = frame.copy(), np.median(frame[cheeks], axis=0)
    skin = float(colour @ LUMA)
    hue = (colour + 1) / max(skin + 1, 0.05)
    brown, reach = ramp(skin, *DARK_SKIN), 2 * radius
    for x, y in landmarks[:2]:
        box = tuple(np.s_[max(int(v - reach), 0) : max(int(np.ceil(v + reach)), 0)] for v in (y, x))
        part = frame[box]
        if not part.size:
            continue
        down, across = np.ogrid[: part.shape[0], : part.shape[1]]
        down = (down + box[0].start + 0.5 - y) / radius
        across = (across + box[1].start + 0.5 - x) / radius
        away = np.hypot(across, down)
        within, luma = share[box] * ramp(away, *ENDS), part @ LUMA
        dull = ndimage.grey_opening(luma, (1, 2 * round(WIDEST_LIGHT * radius) + 1))
        pupil = ramp(away, *PUPIL) * ramp(skin - dull, *NO_LID)
        factor = 1 - within * (1 - (dull + 1.02) / (luma + 1.02))
        factor *= 1 - DARKENED * within * pupil
        light = np.hypot(across - LIGHT_AT[0], down - LIGHT_AT[1]) / LIGHT_WIDTH
        light = LIGHT * within * np.exp(-0.5 * np.square(light))
        # What is greyer than dark skin there is an iris.
        red = (part[..., 0] + 1) / np.maximum(luma + 1, 0.04)
        iris = brown * within * ramp((red - 1) / max(hue[0] - 1, 0.05), *GREYER)
        part = part + 1 + iris[..., None] * ((IRIS_LIGHT * (luma + 1))[..., None] * hue - part - 1)
        part = part * factor[..., None] - 1
        frame[box] = part + light[..., None] * (1 - part)
    return frame


def with_its_mouth(frame, exemplar, share, landmarks) -> tuple[np.ndarray, np.ndarray]:
    """(The frame with the closed lips of its exemplar, in the light of the skin around them; how much is lips [S,S]).

    Photographs smile, and a part of their teeth over closed lips is no mouth.
    """
    lips = np.zeros(frame.shape[:2], np.float32)
    found = complexion.lips(exemplar.picture, landmarks)
    if found is None:
        return frame, lips
    width = float(np.linalg.norm(landmarks[4] - landmarks[3]))
    beside, light = BESIDE_LIPS * width, LIGHT_AROUND * len(frame)
    # As far as anything that is averaged reaches from lips.
    pad = int(np.ceil(4 * beside + 3 * light)) + 2
    box = tuple(np.s_[max(part.start - pad, 0) : part.stop + pad] for part in found[0])
    lips[found[0]] = found[1]
    mouth = ndimage.grey_dilation(lips[box], size=2 * round(beside) + 1)
    mouth = ndimage.gaussian_filter(mouth, beside / 2)
    before = exemplar.picture.astype(np.float32) / 127.5 - 1
    change = smooth(frame[box] - before[box], 1 - mouth, light)[0]
    frame = frame.copy()
    frame[box] += (share[box] * mouth)[..., None] * (before[box] + change - frame[box])
    return frame, lips
