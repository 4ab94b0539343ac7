"""How the eyes of strangers differ: principal components of portraits' (eigenpictures, Sirovich and Kirby 1987).

Of the colour of irises, the depth of sockets, the height of lids and what lies below them, as fine as portraits show it; of what
sex, age, smile and tone explain nothing is left in them. Glasses are no part of an eye: who may wear them is left out.
"""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA
from jaxderm.models.appearance import FINER, STEP, eye_of, nodes, of_one_side
from jaxderm.train.registered import even
from jaxderm.train.regression import components

EYES = 8  # two fifths of what there is
# Share of faces that surely wear no glasses: those with the least that is narrow on the bridge of the nose and below eyes.
WITHOUT_GLASSES = 0.45
BRIDGE, BELOW = ((0.0, 0.15), (-0.1, 0.07)), ((0.15, 0.84), (0.02, 0.36))
# In distances from the eyes to the mouth, sigmas: what is narrow; what is broader is light, which has modes of its own.
NARROW, BROAD = 0.05, 0.125
MOST = 0.5  # logarithms that one differs by at most


def eyes_of(apart: np.ndarray) -> np.ndarray:
    """The first modes [K,3,h,w] of how eyes differ in faces [N,3,H,W] at the finer nodes, of one deviation each, of one side."""
    both = even(apart[without_glasses(np.tensordot(apart, LUMA, (1, 0)))])
    planes = of_one_side((both - _blurred(both, BROAD)) * eye_of())
    planes = np.clip(planes, -MOST, MOST)
    return components(planes - planes.mean(0), EYES)


def without_glasses(apart: np.ndarray) -> np.ndarray:
    """Which of faces [N,H,W] at the finer nodes surely wear none, [N] bool."""
    across, down = nodes(FINER)
    across = abs(across)
    narrow = abs(apart - _blurred(apart, NARROW))
    score = sum(
        narrow[:, (across >= left) & (across <= right) & (down >= top) & (down <= bottom)].mean(1)
        for (left, right), (top, bottom) in (BRIDGE, BELOW)
    )
    found = np.zeros(len(apart), bool)
    found[np.argsort(score, kind="stable")[: max(round(WITHOUT_GLASSES * len(apart)), 1)]] = True
    return found


def _blurred(planes: np.ndarray, sigma: float) -> np.ndarray:
    wide = sigma * FINER / STEP
    return ndimage.gaussian_filter(planes, (*(0,) * (planes.ndim - 2), wide, wide))
