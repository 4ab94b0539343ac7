"""Scalps: whether kept ends in hair or on bare skin, and which picture goes on from that.

Elsewhere kept shall lie on a picture's skin. On a scalp it may end in hair, and grey hair that a bald or a dark head
goes on from is seen at once. What the rim of kept shows is published with it: no pixel outside kept is read.
"""

import dataclasses

import numpy as np
from PIL import Image

from jaxderm.attributes import rgb_to_lab

CELLS, FINE = 32, 3  # of a picture's side; pixels of a cell's side
# Standard deviation of L* in a cell, below which what is no skin is backdrop, not hair.
SMOOTH = 1.0
OTHER_HAIR = 30.0  # Delta-E


@dataclasses.dataclass(frozen=True)
class Rim:
    """Places at the rim of kept: points [K,2] in [0,1] of the frame, colours [K,3] CIELAB, hair [K] in [0,1]."""

    points: np.ndarray
    colours: np.ndarray
    hair: np.ndarray


def cells_of(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours [CELLS,CELLS,3] CIELAB of a picture [S,S,3] uint8, and where it is as smooth as a backdrop."""
    side = CELLS * FINE
    small = Image.fromarray(picture).resize((side, side), Image.Resampling.BOX)
    lab = rgb_to_lab(np.asarray(small)).reshape(CELLS, FINE, CELLS, FINE, 3)
    return lab.mean((1, 3)), lab[..., 0].std((1, 3)) < SMOOTH


def misfit(
    rim: Rim,
    matrices: np.ndarray,
    mirrored: np.ndarray,
    rows: np.ndarray,
    bare: np.ndarray,
    colours: np.ndarray,
    smooth: np.ndarray,
) -> np.ndarray:
    """How badly placements [P] of pictures go on from a rim, [P] in [0,1]: bare skin for hair, or hair of another colour.

    matrices [P,2,3] from the frame to the picture, rows [P] of bare, smooth [N,CELLS,CELLS] and colours [N,CELLS,CELLS,3].
    """
    where = rim.points @ matrices[:, :, :2].swapaxes(1, 2) + matrices[:, None, :, 2]
    cells = np.clip(np.floor(where * CELLS).astype(int), 0, CELLS - 1)
    x = np.where(mirrored[:, None], CELLS - 1 - cells[..., 0], cells[..., 0])
    at = rows[:, None], cells[..., 1], x
    other = np.linalg.norm(colours[at] - rim.colours, axis=-1) / OTHER_HAIR
    wrong = 1 - rim.hair + rim.hair * np.minimum(other, 1)
    wrong = np.where(bare[at], rim.hair, np.where(smooth[at], 1.0, wrong))
    wrong[((where < 0) | (where > 1)).any(-1)] = 1.0
    return wrong.mean(-1)
