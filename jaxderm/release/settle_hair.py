"""Hair of a refined frame: the exemplar's, where it was lost; none beyond its head; no strokes of it on what became skin.

A part of `settle`. Frames [S,S,3] in [-1,1]; share [S,S]: how far from the kept.
"""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA
from jaxderm.data import complexion
from jaxderm.release.pyramid import doubled, halved
from jaxderm.release.smoothing import blurred, ramp, smooth, squares

# Of the frame: how much softer an exemplar's hair is shown, and how much of it must have stayed to tell its colour. On the
# way from the hair's luma to the skin's: where hair is hair, and skin, if they are that far apart; how far colours may be.
HAIR_SOFT, ENOUGH = 0.003, 0.0023
BECAME, LEAST_APART, MOST_OTHER = (0.15, 0.4), 0.12, 0.6
# Blue less red of what is no backdrop yet, and is; and how far aside a face has hair above it, in distances from the eyes to
# the mouth.
STUDIO, HEAD = (0.02, 0.12), (0.9, 0.7)
# Of what differs from the hair's middle so much goes: skin between strands, of which a grey woman's parting is white, and
# shade under a fringe, which is black. Luma by which it is surely lighter.
EVENED, LIGHTER = 0.8, 0.05
# Of the frame: from where beyond a head's outline there is no hair, how far around the backdrop is averaged, and how much of
# it must show; blue less red of it; and up to where below the eyes all this is, in distances from the eyes to the mouth (there
# are shoulders).
BEYOND, AROUND, LEAST_STUDIO = (0.008, 0.03), 0.12, 0.01
BACKDROP, SHOULDERS = (0.05, 0.2), (1.2, 0.9)
# Of [-1,1]: how far from a backdrop's colour nothing of it is, and all; of the frame: how near a head's outline it begins.
ALIKE, OUTSIDE = (0.45, 0.2), (0.002, 0.008)
STROKE = 0.008  # of the frame: how far a stroke reaches
REDONE = 0.15, 0.3  # of [-1,1]: changes that leave strokes in place, and that do not
CONTRAST = 0.03, 0.06  # of [-1,1]: deviations within STROKE that are surely grain, and strokes
WINDOW = 5 / 256  # of the frame: of the median that takes strokes away


def with_its_hair(frame, exemplar, cheeks, share, landmarks, across) -> np.ndarray:
    """The frame with the exemplar's hair where that became skin, or backdrop above the face.

    It is softer than the exemplar's and of the colour of the hair that stayed. Foreheads of the photographs are high: a
    young man with a fringe became a balding one, and what was drawn over the fringe a smear. landmarks [5,2] px; across
    [S,S] as of `face.face_coordinates`.
    """
    size, luma = len(frame), frame @ LUMA
    hair = complexion.hair(exemplar.picture, exemplar.skin / np.float32(255), landmarks)
    soft = HAIR_SOFT * size
    rows = hair.any(1).nonzero()[0]
    if not len(rows):
        return frame
    # As far as anything that is averaged reaches from hair.
    top = np.s_[: rows[-1] + 1 + int(np.ceil(20 * soft))]
    skin, whole = np.median(luma[cheeks]), frame
    above = ramp(np.abs(across), *HEAD)
    frame, luma, hair, share, above = (x[top] for x in (frame, luma, hair, share, above))
    before = exemplar.picture[top].astype(np.float32) / 127.5 - 1
    around = smooth(before, hair, 4 * soft)[0]
    own = around @ LUMA
    apart = skin - own
    towards = ndimage.gaussian_filter(luma, 2 * soft, truncate=3) - own
    towards = towards / np.where(np.abs(apart) < LEAST_APART, np.inf, apart)
    blue = ndimage.gaussian_filter(frame[..., 2] - frame[..., 0], 2 * soft, truncate=3)
    studio = ramp(blue, *STUDIO)
    # Beside the head a backdrop stays: hair that comes back there hovers in the air.
    lost = np.maximum(ramp(towards, *BECAME) * (1 - (1 - above) * studio), above * studio)
    stayed = hair * (1 - lost)
    colour = np.zeros(3, np.float32)
    if stayed.sum() > ENOUGH * size**2:
        colour = (stayed[..., None] * (frame - before)).sum((0, 1)) / stayed.sum()
    lost = ndimage.gaussian_filter(lost * ramp(hair, 0.2, 0.6), 2 * soft, truncate=3)
    softer = blurred(before, soft)
    its = softer + np.clip(colour, -MOST_OTHER, MOST_OTHER)
    if (surely := hair > 0.5).any():
        middle = np.median(before[surely], axis=0)
        its -= EVENED * np.minimum(around - middle, 0)
        off = softer - middle
        its -= EVENED * ramp(off @ LUMA, 0, LIGHTER)[..., None] * off
    whole = whole.copy()
    whole[top] += (share * lost)[..., None] * (its - frame)
    return whole


def with_backdrop(frame, skin, tufts, share, down) -> np.ndarray:
    """The frame with an even backdrop where it has hair beyond the outline of its exemplar's head, and lines along that.

    skin, tufts [S,S]: of the exemplar; down [S,S] as of `face.face_coordinates`.
    """
    size = len(frame)
    away = ndimage.distance_transform_edt(np.maximum(skin, tufts) < 0.5).astype(np.float32) / size
    studio = ramp(frame[..., 2] - frame[..., 0], *BACKDROP)
    studio *= (away > BEYOND[1]) & (down < SHOULDERS[1])
    few = halved(halved(studio)).astype(np.float32)
    if few.mean() < LEAST_STUDIO:
        return frame
    seen = halved(halved(frame * studio[..., None]))
    # Where none is near, that of all the frame.
    sums, weights = (
        blurred(v, AROUND * len(few)) + 0.01 * v.mean((0, 1)) for v in (seen, few[..., None])
    )
    backdrop = doubled(doubled(sums / weights))
    beyond = ramp(away, *BEYOND) * ramp(down, *SHOULDERS)
    alike = ramp(np.sqrt(squares(frame - backdrop)), *ALIKE) * ramp(away, *OUTSIDE)
    return frame + (share * np.maximum(beyond, alike))[..., None] * (backdrop - frame)


def without_strokes(frame, exemplar, share, tufts, skin) -> np.ndarray:
    """Where the exemplar [S,S,3] has strokes and the change redoes what they are of, the median of what is around them.

    And where its tufts [S,S], which are neither its skin [S,S] nor backdrop, end before one: single strokes are specks there.
    """
    sigma = STROKE * len(frame)
    change = blurred(halved(frame - exemplar), 0.75 * sigma)
    redone = doubled(np.sqrt(squares(change)))
    grey = exemplar @ LUMA
    detail = np.square(grey - ndimage.gaussian_filter(grey, sigma, truncate=3))
    contrast = np.sqrt(ndimage.gaussian_filter(detail, sigma, truncate=3))
    weight = ramp(redone, *REDONE) * ramp(contrast, *CONTRAST) * share
    ends = 4 * ndimage.gaussian_filter(tufts, sigma, truncate=3)
    ends *= ndimage.gaussian_filter((1 - skin) * (1 - tufts), sigma, truncate=3)
    weight = np.maximum(weight, share * np.minimum(2 * ends, 1))
    weight = ndimage.gaussian_filter(weight, 0.75 * sigma, truncate=3)
    rows, columns = np.nonzero(weight > 0.02)
    half = max(1, round(WINDOW * len(frame)) // 2)
    padded = np.pad(frame, [(half, half), (half, half), (0, 0)], "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * half + 1,) * 2, (0, 1))
    count = (2 * half + 1) ** 2
    around = windows[rows, columns].reshape(len(rows), 3, count)
    middle = np.partition(around, count // 2, axis=-1)[..., count // 2]
    out = frame.copy()
    out[rows, columns] += weight[rows, columns, None] * (middle - out[rows, columns])
    return out
