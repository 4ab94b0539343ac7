"""The mouth of a refined frame: closed lips, with one line between them.

A part of `settle`. Frames [S,S,3] in [-1,1]; share [S,S]: how far from the kept; landmarks [5,2] px.
"""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA
from jaxderm.data import complexion
from jaxderm.release import along
from jaxderm.release.pyramid import halved
from jaxderm.release.smoothing import blurred, ramp, smooth

# How far beside lips all is the exemplar's, in widths of the mouth; of the frame: from how far the light on them comes.
BESIDE_LIPS, LIGHT_AROUND = 0.08, 0.035
# In widths of the mouth: how far the line between lips is averaged along itself, how far its direction is, and how far
# beside it all that is. The power of its depth that makes it thin.
REACH, BENDS, BAND, THIN = 0.16, 0.06, 0.04, 1.3
# Percentiles of the light on lips, and in the line; shares of the way between at which it is none, and one.
LIGHTS, LINE = (70, 3), (0.15, 0.5)
LEAST = 20  # px of lips


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
    closed = with_one_line(before, lips, width)[box]
    frame = frame.copy()
    frame[box] += (share[box] * mouth)[..., None] * (closed + change - frame[box])
    return frame, lips


def with_one_line(picture: np.ndarray, lips: np.ndarray, width: float) -> np.ndarray:
    """Picture [S,S,3] in [-1,1] of a render whose lips [S,S] meet in one thin line, which ends softly.

    Lips of a rendered mouth stand apart by a sawtooth of what is in it. width: of the mouth, px.
    """
    surely, luma = lips > 0.6, picture @ LUMA
    if surely.sum() < LEAST:
        return picture
    there = ndimage.gaussian_filter(ndimage.grey_dilation(lips, 3), 1.0)
    ways = along.directions(blurred(along.tensor(luma) * halved(there)[..., None], BENDS * width))
    ends = along.paths(there, ways, max(round(REACH * width), 1))
    even = along.means(picture, np.ones_like(there), ends)
    light = even @ LUMA + 1
    bright, dark = (np.percentile(light[surely], p) for p in LIGHTS)
    span = max(float(bright - dark), 1e-3)
    deep = np.clip((float(bright) - light) / span, 0, 1)
    thin = light + span * (deep - deep**THIN)
    even = (even + 1) * (thin / np.maximum(light, 0.02))[..., None] - 1
    # Beside the line lips stay as they are.
    was = np.clip((float(bright) - 1 - luma) / span, 0, 1)
    band = ndimage.grey_dilation(np.maximum(was, deep) * (lips > 0.1), 2 * round(BAND * width) + 1)
    band = ndimage.gaussian_filter(ramp(band, *LINE), BAND * width / 2)
    return picture + (there * band)[..., None] * (even - picture)
