"""Complexion of a rendered person in a frame: skin and lips of a tone, brows that end as softly as hair does."""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import rgb_to_lab
from jaxderm.data import pigment
from jaxderm.face import face_coordinates, face_skin_region

SOFT = 0.7  # px: how softly skin ends
# Half axes of a mouth in widths of it, and by how much of a* less than the skin something there is no lips.
MOUTH, LESS_RED = (0.6, 0.42), 8.0
LIPS = 0.7  # of the change of melanin that lips share
# Of the frame; and where brows are, in distances from the eyes to the mouth: across, down, half axes.
BROW_SOFT, BROWS = 0.004, ((0.52, -0.34), (0.6, 0.22))


def toned(
    frame: np.ndarray, skin: np.ndarray, landmarks: np.ndarray, ita: float | None
) -> np.ndarray:
    """Frame [S,S,3] uint8 with melanin added to or taken from its skin and a face's lips until its ITA is that in degrees.

    skin [S,S] in [0,1]; landmarks [5,2] in [0,1] of the frame, NaN unknown. None, or hardly any skin: as it is.
    """
    shape = frame.shape[:2]
    region = face_skin_region(landmarks * shape[0], shape) & (skin > 0.5)
    if region.sum() < 50:
        region = skin > 0.5
    if ita is None or region.sum() < 50:
        return frame
    lab = rgb_to_lab(frame)
    middle = np.median(lab[region], axis=0)
    gain, added = pigment.gain(middle, ita)
    # A picture's skin ends softly; what says where it is knows whole pixels.
    skin = ndimage.gaussian_filter(np.maximum(skin, LIPS * _lips(lab, middle, landmarks)), SOFT)
    touched = skin > 0.01
    share = skin[touched]
    linear = pigment.LINEAR[frame[touched]] * np.exp(share[:, None] * np.log(gain))
    bright = np.clip((lab[..., 0][touched] - middle[0]) / 100, 0, 0.3)
    linear += (pigment.GLOSS * max(added, 0) * bright * share)[:, None]
    result = frame.copy()
    result[touched] = np.round(255 * pigment.srgb_of_linear(linear))
    return result


def _lips(lab: np.ndarray, skin: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """How much each pixel of a frame (CIELAB) is lips, [S,S]: at the mouth, and as red as the skin [3] or more.

    They have the skin's melanin and more blood (`render.skin`); teeth have neither.
    """
    corners = landmarks[3:] * len(lab)
    if not np.isfinite(corners).all():
        return np.zeros(lab.shape[:2], np.float32)
    width = max(float(np.linalg.norm(corners[1] - corners[0])), 1.0)
    along = (corners[1] - corners[0]) / width
    y, x = np.ogrid[: lab.shape[0], : lab.shape[1]]
    x, y = x - corners[:, 0].mean(), y - corners[:, 1].mean()
    u, v = x * along[0] + y * along[1], y * along[0] - x * along[1]
    mouth = np.hypot(u / MOUTH[0], v / MOUTH[1]) < width
    return mouth * np.clip((lab[..., 1] - skin[1]) / LESS_RED + 1, 0, 1).astype(np.float32)


def soft_brows(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Frame [S,S,3] uint8 with what is around the brows of a face averaged over BROW_SOFT; landmarks [5,2] in [0,1] of it.

    A render's brows are strokes of the width of a pixel: bars with teeth once they are enlarged.
    """
    size = len(frame)
    place = face_coordinates(landmarks * size - 0.5, frame.shape[:2])
    if place is None:
        return frame
    across, down = place
    (x, y), (wide, high) = BROWS
    share = np.clip(3 - 3 * np.hypot((np.abs(across) - x) / wide, (down - y) / high), 0, 1)
    rows, columns = share.any(1).nonzero()[0], share.any(0).nonzero()[0]
    if not len(rows):
        return frame
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    part = frame[box].astype(np.float32)
    sigma = BROW_SOFT * size
    smooth = ndimage.gaussian_filter(part, (sigma, sigma, 0), truncate=3)
    result = frame.copy()
    result[box] = np.round(part + share[box][..., None] * (smooth - part))
    return result
