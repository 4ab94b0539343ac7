"""Outlines of hair and head, drawn anew from what is on both sides of them: no light or dark lines along.

A refiner moves an outline by a few pixels and leaves traces of where it was: a light line around a head, a dark one between
hair and neck. Across an outline each pixel is a share of what is inside and the rest of what is outside (the compositing
equation, Porter and Duff 1984). What is inside and outside is known a few pixels off, and goes on from there; a colour that
is not between the two is brought to the nearest that is.
"""

import numpy as np
from scipy import ndimage, special

from jaxderm.attributes import LUMA
from jaxderm.data import complexion
from jaxderm.data.exemplars import Exemplar
from jaxderm.release.pyramid import doubled, halved
from jaxderm.release.smoothing import ramp, smooth, squares

# Of the frame: how far outlines of a frame may be from its exemplar's, and how wide what is drawn anew is to either side.
MOVED, BAND = 6 / 256, 3 / 256
# Of the frame: how soft a way an outline takes; how sharp an outline is, to either side of it.
BENDS, SHARP = 1.5 / 256, 1 / 256
BY_WAY = 0.6  # of a pixel's share: told by the way to the outline, the rest by its colour
# Of [-1,1]: how far apart the colours of the two sides must be to tell an outline. How much of them must be near.
APART, ENOUGH = (0.2, 0.35), (0.01, 0.05)
# Of the frame: half as wide as a light line is at most; how much hair there is near by where none is, and surely.
LINE, NEAR_HAIR = 3 / 256, (0.02, 0.1)
# Of the frame: half as wide as a gap between hair and skin is at most, and how softly it is filled; how much skin there is near by
# where none is, and surely, and how much hair; how much of a gap is filled, how dark all is at least, and how many times lighter
# it becomes at most.
GAP, SOFT, NEAR_SKIN, IN_HAIR = 5 / 256, 1 / 256, (0.02, 0.15), (0.1, 0.6)
FILLED, DARKEST, MOST = 0.8, 0.03, 4.0
BACKDROP = 0.04, 0.12  # blue less red of a frame: what is none, and is
# From where below the eyes there are shoulders instead of a head, and hair beside a face that is no hairline, in distances from
# the eyes to the mouth.
SHOULDERS, BESIDE = (1.7, 1.2), (-0.1, 0.2)


def redrawn(
    frame: np.ndarray,
    exemplar: Exemplar,
    hair: np.ndarray,
    share: np.ndarray,
    place: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Frame [S,S,3] in [-1,1] with new outlines of the head before a backdrop, and of its hair [S,S] before skin.

    share [S,S]: how far from the kept, near which all stays. place: (across, down) as of `face.face_coordinates`.
    """
    down, skin = place[1], exemplar.skin.astype(np.float32) / 255
    head = np.maximum(np.maximum(skin, complexion.tufts(exemplar.picture, skin)), hair)
    backdrop = backdrop_of(frame)
    frame = _redrawn(frame, head, 1 - backdrop, backdrop, share * ramp(down, *SHOULDERS))
    bare = skin * (1 - backdrop) * (1 - hair)
    there = share * ramp(down, *BESIDE) * (1 - backdrop)
    frame = _redrawn(frame, hair, hair, bare, there)
    frame = _without_light_lines(frame, hair, there * ramp(down, *SHOULDERS))
    return _without_dark_lines(frame, hair, bare, there)


def backdrop_of(frame: np.ndarray) -> np.ndarray:
    """How much each pixel of a frame [S,S,3] in [-1,1] is a studio's blue backdrop, [S,S]."""
    blue = ndimage.gaussian_filter(frame[..., 2] - frame[..., 0], 1.0, truncate=3)
    return ramp(blue, *BACKDROP)


def _redrawn(frame, inside, of_inside, of_outside, share) -> np.ndarray:
    """The frame whose outline of what is inside [S,S] by its exemplar is drawn anew, as far as share [S,S].

    of_inside, of_outside [S,S]: where a frame's colours are surely those of the two sides.
    """
    size, small = len(frame), halved(frame)
    weights = halved(of_inside), halved(of_outside)
    far = _way(halved(inside), MOVED * size / 2)
    # Where the frame's own outline is.
    one, other, known = _sides(small, far, weights, MOVED * size / 2)
    there = (np.abs(far) < MOVED * size / 2) & (known > 0)
    of_frame = np.where(there, _share_of(small, one, other), far > 0).astype(np.float32)
    far = _way(of_frame, BAND * size / 2)
    one, other, known = _sides(small, far, weights, BAND * size / 2)
    one, other, far = doubled(one), doubled(other), 2 * doubled(far)
    way = far / (SHARP * size)
    mixed = BY_WAY * ramp(way, -1, 1) + (1 - BY_WAY) * _share_of(frame, one, other)
    mixed = np.clip(mixed, ramp(way, 0, 1.5), 1 - ramp(-way, 0, 1.5))
    band = ramp(np.abs(far) / (BAND * size), 1.5, 1)
    band *= share * doubled(known)
    anew = other + mixed[..., None] * (one - other)
    return frame + band[..., None] * (anew - frame)


def _without_light_lines(frame, hair, share) -> np.ndarray:
    """The frame without what is narrow and lighter than both of its sides, beside hair [S,S], as far as share [S,S].

    Between a face and hair that is darker a refiner leaves one, as a photograph does that was sharpened too much.
    """
    light = frame @ LUMA + 1
    dull = ndimage.grey_opening(light, 2 * round(LINE * len(frame)) + 1)
    beside = ramp(ndimage.gaussian_filter(hair, BAND * len(frame), truncate=3), *NEAR_HAIR)
    beside *= share * (1 - hair)
    return frame - (beside * (1 - dull / np.maximum(light, 0.02)))[..., None] * (frame + 1)


def _without_dark_lines(frame, hair, bare, share) -> np.ndarray:
    """The frame less what is narrow and darker than both of its sides, in hair [S,S] beside bare skin, as far as share [S,S].

    Between its hair and a neck or a cheek a render has a gap, as black as a drawn outline.
    """
    light = frame @ LUMA + 1
    filled = ndimage.grey_closing(light, 2 * round(GAP * len(frame)) + 1)
    filled = ndimage.gaussian_filter(filled, SOFT * len(frame))
    beside = ramp(ndimage.gaussian_filter(bare, BAND * len(frame), truncate=3), *NEAR_SKIN)
    beside *= share * ramp(ndimage.gaussian_filter(hair, SOFT * len(frame)), *IN_HAIR)
    more = np.clip(filled / np.maximum(light, DARKEST), 1, MOST) - 1
    return frame + (FILLED * beside * more)[..., None] * (frame + 1)


def _way(inside: np.ndarray, most: float) -> np.ndarray:
    """How far each place is inside [S,S], px, less than 0 outside; told up to about most."""
    sigma = max(most / 2, BENDS * len(inside))
    level = ndimage.gaussian_filter(inside, sigma, truncate=3)
    return sigma * 2**0.5 * special.erfinv(np.clip(2 * level - 1, -0.998, 0.998))


def _sides(frame, far, weights, width):
    """(Colours [S,S,3] inside as they go on, those outside, how surely both are known and differ [S,S])."""
    inside, outside = weights
    one, near = smooth(frame, inside * (far > width), width)
    other, by = smooth(frame, outside * (far < -width), width)
    apart = np.sqrt(squares(one - other))
    return one, other, ramp(np.minimum(near, by), *ENOUGH) * ramp(apart, *APART)


def _share_of(frame, one, other) -> np.ndarray:
    """The share of one colour in a mix of it and another that is nearest to the frame's [S,S,3]."""
    way = one - other
    along = np.einsum("...c,...c", frame - other, way)
    return np.clip(along / np.maximum(squares(way), 1e-3), 0, 1)
