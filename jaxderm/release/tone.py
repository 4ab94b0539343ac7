"""Last correction of the generated skin's tone towards the conditioned one."""

import numpy as np

from jaxderm.attributes import Attributes, BodySite, lab_to_rgb, rgb_to_lab
from jaxderm.face import face_skin_region
from jaxderm.release.pyramid import doubled, halved
from jaxderm.release.skin import skin_like

STEPS = 3
MAX_CHANGE = 15.0  # Delta-E, so that a model that is far off shows and is not painted over
SPREAD = np.array([8.0, 5.0])  # of L* and b* over people: the change is shared out by these
SKIN_WIDTHS = np.array([30.0, 12.0, 14.0], np.float32)  # lightness varies over skin, hue hardly


def generated_skin(
    lab: np.ndarray, attributes: Attributes, landmarks: np.ndarray, shown: np.ndarray | None = None
) -> np.ndarray:
    """Where a frame [S,S,3] (CIELAB) shows skin: cheeks of a face, else what is `shown` [S,S], else skin colours."""
    if attributes.site is BodySite.FACE and not np.isnan(landmarks).any():
        region = face_skin_region(landmarks * lab.shape[0], lab.shape[:2])
        if region.any():
            return region
    # Brown hair and wood have a skin's colour.
    return skin_like(lab) if shown is None else shown


def calibrate(
    generated: np.ndarray,
    attributes: Attributes,
    landmarks: np.ndarray,
    shown: np.ndarray | None = None,
) -> np.ndarray:
    """Generated frame [S,S,3] in [-1,1] with L* and b* of its skin moved until its ITA is the tone's.

    landmarks [5,2] in [0,1] of the frame; shown [S,S] in [0,1]: how much of each pixel is skin, where that is known of a
    picture that stays as rendered. A function of the frame, of that and of named facts only. The tones of
    one ITA lie on a line, L* = 50 + b* tan(ITA): the nearest of them is taken, in units of SPREAD, since
    very light skin is less yellow and not white. Without a tone the frame is returned as it is.
    """
    if attributes.ita is None:
        return generated
    coarse = halved(np.clip((generated + 1) / 2, 0, 1))
    lab = rgb_to_lab(coarse)
    known = None if shown is None else halved(shown) > 0.9
    slope = np.tan(np.radians(attributes.ita))
    normal = np.array([1.0, -slope]) * SPREAD**2
    total = np.zeros(2)
    # The weight lets go of what is not skin, so one move falls short: a few settle it.
    for _ in range(STEPS):
        skin = generated_skin(lab, attributes, landmarks, known)
        if skin.sum() < 5:
            break
        middle = np.median(lab[skin], axis=0)
        short = 50 + slope * middle[2] - middle[0]
        change = short * normal / (normal @ [1.0, -slope])
        wanted = total + change
        wanted *= min(1.0, MAX_CHANGE / max(float(np.linalg.norm(wanted)), 1e-6))
        weight = np.exp(-0.5 * np.square((lab - middle) / SKIN_WIDTHS).sum(-1))[..., None]
        lab[..., [0, 2]] += weight * (wanted - total)
        total = wanted
    return np.clip(generated + 2 * doubled(lab_to_rgb(lab) - coarse), -1, 1)
