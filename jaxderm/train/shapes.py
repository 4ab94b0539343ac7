"""How the shapes of faces differ: principal components of where registration finds each place (Cootes 1995, Blanz 1999).

Of what sex, age, smile and tone explain nothing is left in them, nor of heads that are turned: one side is as the other.
"""

import numpy as np
from scipy import ndimage

from jaxderm.models.appearance import SPARSE, nodes
from jaxderm.train.regression import components

SHAPES = 16  # some seven tenths of what there is
RIDGE = 1e-3
EVEN = 3.0  # nodes, sigma: what is finer in one face's flow is noise
# In distances from the eyes to the mouth: the ellipse in which faces differ, middle and half axes; where it ends, is whole.
FACE, EDGE = (0.5, (0.95, 1.3)), (1.25, 0.9)


def shapes_of(flows: np.ndarray, terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(First modes [K,2,h,w] of flows [N,2,H,W] from a template to faces, of one deviation each; what each term adds, [T,2,h,w]).

    At sparse nodes. terms [N,T]: what is no difference of persons.
    """
    rows = flows.reshape(len(flows), -1).astype(np.float64)
    squares = terms.T @ terms + RIDGE * np.eye(terms.shape[1])
    by = np.linalg.solve(squares, terms.T @ rows)
    left = rows - terms @ by
    left, by = (_of_faces(part.reshape(-1, *flows.shape[1:])) for part in (left, by))
    return components(left, SHAPES), by.astype(np.float32)


def _of_faces(flows: np.ndarray) -> np.ndarray:
    """Flows [N,2,H,W] of both sides alike, smooth, none beyond a face, at sparse nodes."""
    both = (flows + flows[..., ::-1] * np.array([1, -1])[:, None, None]) / 2
    smooth = ndimage.gaussian_filter(both, (0, 0, EVEN, EVEN)) * _face()
    return smooth[..., ::SPARSE, ::SPARSE]


def _face() -> np.ndarray:
    """1 on a face, 0 beyond, [H,W]."""
    across, down = nodes()
    below, half = FACE
    end, whole = EDGE
    away = np.hypot(across / half[0], (down - below) / half[1])
    return np.clip((end - away) / (end - whole), 0, 1)
