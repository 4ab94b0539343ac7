"""The shape of a stranger's own face on a portrayed frame: jaw, cheeks, nose, brows and lips as portraits differ.

One bank's people refined by one network and lit as the mean of all portraits are siblings to a recogniser. What people
differ by is the shape of their faces first of all: the seed draws how far a face goes along the principal components of
portraits' (`train/shapes.py`), those of dark skin have wider noses and fuller lips, and the frame is bent. Drawn from the
places of the face and of what is kept, tone and the seed: no pixel of a photograph is read.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from jaxderm.attributes import Attributes
from jaxderm.data.exemplars import Exemplar
from jaxderm.models.appearance import STEP, at_every_node, darkness, in_nodes, sampled
from jaxderm.release.appearance import DIFFERS, appearance
from jaxderm.release.pyramid import doubled
from jaxderm.release.smoothing import ramp

# How much of a deviation one differs by: with more of it an outside reader takes more of them for older or younger than they are
# (docs/training_log.md).
OWN = 0.55
# In distances from the eyes to the mouth: how far from what is kept nothing is bent, and all; so wide that nothing folds.
FREE = 0.02, 0.9
SQUARINGS = 4


def reshaped(
    frame: np.ndarray,
    exemplar: Exemplar,
    mask: np.ndarray,
    landmarks: np.ndarray,
    facts: Attributes,
    rng: np.random.Generator,
) -> tuple[np.ndarray, Exemplar]:
    """Frame [S,S,3] in [-1,1] and its exemplar with a face of its own shape; where the face lies nowhere as they are.

    mask [S,S]: what is kept, where nothing is bent. landmarks [5,2] in [0,1] of the frame; facts: tone; rng: the seed's.
    """
    size, points = len(frame), landmarks * len(frame)
    eyes = points[:2].mean(0)
    right, down = points[3:].mean(0) - eyes
    apart = np.hypot(right, down)
    if not apart > 0:  # unknown, too
        return frame, exemplar
    model = appearance()
    differs = OWN * np.clip(rng.standard_normal(len(model.shapes)), -DIFFERS, DIFFERS)
    shape = np.tensordot(differs.astype(np.float32), model.shapes, 1)
    shape = at_every_node(shape + darkness(facts.ita) * model.wider)
    back = sampled(_whence(shape), in_nodes((points - 0.5) / 2, size // 2))
    moves = doubled(np.moveaxis(back, 0, -1))  # the side is even
    if mask.any():
        free = ramp(ndimage.distance_transform_edt(mask < 0.5) / apart, *FREE)
        moves *= (free * free * (3 - 2 * free))[..., None]
    across, below = STEP * np.moveaxis(moves @ np.array([[right, down], [down, -right]]), -1, 0)
    places = np.indices(frame.shape[:2], np.float32) + [below, across]

    def bent(plane, order):
        return ndimage.map_coordinates(plane, places, order=order, mode="nearest")

    frame = np.stack([bent(part, 3) for part in np.moveaxis(frame, -1, 0)], -1)
    picture = np.stack([bent(part, 1) for part in np.moveaxis(exemplar.picture, -1, 0)], -1)
    nose = exemplar.nose
    if nose is not None:
        column, row = np.clip((nose * size).astype(int), 0, size - 1)
        nose = nose - np.array([across[row, column], below[row, column]]) / size
    skin = bent(exemplar.skin, 1)
    return np.clip(frame, -1, 1), dataclasses.replace(
        exemplar, picture=picture, skin=skin, nose=nose
    )


def _whence(shape: np.ndarray) -> np.ndarray:
    """How far off what a shape [2,H,W] brings to each node comes from, [2,H,W]: the exponential of its negative.

    Nothing folds, however steep it is (scaling and squaring, Arsigny 2006).
    """
    back, grid = -shape / np.float32(2**SQUARINGS), np.indices(shape.shape[1:], np.float32)
    for _ in range(SQUARINGS):
        back = back + sampled(back, grid + back)
    return back
