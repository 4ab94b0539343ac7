"""Last correction of the generated skin's tone towards the conditioned one."""

import numpy as np

from jaxderm.attributes import Attributes, BodySite, lab_to_rgb, rgb_to_lab
from jaxderm.frame import face_skin_region
from jaxderm.release.skin import skin_like

STEPS = 3
MAX_CHANGE = 15.0  # L*, so that a model that is far off shows and is not painted over
SKIN_WIDTHS = np.array([30.0, 12.0, 14.0], np.float32)  # lightness varies over skin, hue hardly


def generated_skin(lab: np.ndarray, attributes: Attributes, landmarks: np.ndarray) -> np.ndarray:
    """Where a generated frame [S,S,3] (CIELAB) shows skin: cheeks of a face, else skin colours."""
    if attributes.site is BodySite.FACE and not np.isnan(landmarks).any():
        region = face_skin_region(landmarks * lab.shape[0], lab.shape[:2])
        if region.any():
            return region
    return skin_like(lab)


def calibrate(generated: np.ndarray, attributes: Attributes, landmarks: np.ndarray) -> np.ndarray:
    """Generated frame [S,S,3] in [-1,1] with the L* of its skin moved until its ITA is the tone's.

    landmarks [5,2] in [0,1] of the frame. A function of the frame and of named facts only; by
    ITA = atan2(L* - 50, b*), L* = 50 + b* tan(ITA). Without a tone the frame is returned as it is.
    """
    if attributes.ita is None:
        return generated
    picture = np.clip((generated + 1) / 2, 0, 1)
    total = 0.0
    # The weight lets go of what is not skin, so one move falls short: a few settle it.
    for _ in range(STEPS):
        lab = rgb_to_lab(picture)
        skin = generated_skin(lab, attributes, landmarks)
        if skin.sum() < 20:
            break
        middle = np.median(lab[skin], axis=0)
        wanted = 50 + max(middle[2], 8.0) * np.tan(np.radians(attributes.ita))
        change = np.clip(wanted - middle[0], -MAX_CHANGE - total, MAX_CHANGE - total)
        weight = np.exp(-0.5 * np.square((lab - middle) / SKIN_WIDTHS).sum(-1))
        lab[..., 0] += weight * change
        total += change
        picture = lab_to_rgb(lab)
    return 2 * picture - 1
