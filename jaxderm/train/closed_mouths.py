"""Closed mouths of portraits: who has one, and what it looks like by age.

Most portraits smile, and a mean of all, even one regressed on teeth, is a mouth half open. Those who keep it closed are
told by two means, registered to each other once more, and regressed by themselves.
"""

from collections.abc import Sequence

import numpy as np

from jaxderm.models.appearance import AGES, begun, nodes
from jaxderm.models.registration import Level
from jaxderm.train.registered import Face, congealed, even, laid
from jaxderm.train.regression import regressed

# Where teeth show, and all by which a mouth is told, in distances from the eyes to the mouth: across, down.
BETWEEN, AROUND = ((-0.2, 0.2), (1.0, 1.1)), ((-0.42, 0.42), (0.85, 1.3))
DEEPEST, LIGHTEST = -1.5, 0.7  # logarithms of what counts of that
# Shares of portraits, by how pale what is between their lips is, with whom the two means begin; rounds of them.
LEAST_PALE, PALE, ROUNDS = 0.125, 0.5, 12
SURELY = 0.5  # of those whose mouth is closed, the share that is taken
LEVELS = Level(10.0, 5.0, 2.0), Level(6.0, 3.0, 1.0), Level(4.0, 2.0, 0.6), Level(3.0, 1.5, 0.4)
CONGEALED = 4  # rounds
# Middles and units of age, width of the mouth and tone; ridges in faces; the width of who does not smile.
AGE, WIDE, TONE, RIDGES = (45.0, 20.0), (0.8, 0.1), (25.0, 20.0), (1e-3, 4.0, 4.0, 4.0)
UNSMILING = 0.7
OUTSIDE = 1e-3  # weight of what is beyond a picture


def closed(light: np.ndarray) -> np.ndarray:
    """Which of registered faces, light [N,3,H,W] at the nodes, surely have a closed mouth, [N] bool.

    Two means (Lloyd 1982) of mouths as seen from the front, in their own contrast, begun by those between whose
    lips it is least pale, as lips are, and most, as teeth are.
    """
    both = np.clip(even(light), DEEPEST, LIGHTEST)
    mouths = both[:, :, _box(*AROUND)]
    mouths = mouths - np.median(mouths, 2, keepdims=True)
    deviation = np.maximum(mouths.std((1, 2), keepdims=True), 1e-6)
    mouths = (mouths / deviation).reshape(len(light), -1)
    between = both[:, :, _box(*BETWEEN)].mean(2)
    pale = between[:, 2] - between[:, 0]
    least, most = (round(share * len(pale)) for share in (LEAST_PALE, PALE))
    order = np.argsort(pale, kind="stable")
    nearer = np.zeros(len(pale))
    nearer[order[: max(least, 1)]], nearer[order[most:]] = -1, 1
    for _ in range(ROUNDS):
        lips, teeth = mouths[nearer < 0].mean(0), mouths[nearer > 0].mean(0)
        apart = np.square(mouths - lips).sum(1) - np.square(mouths - teeth).sum(1)
        if apart.min() >= 0 or apart.max() <= 0:
            break  # all are alike
        nearer = apart
    surely = max(round(SURELY * np.sum(nearer < 0)), 1)
    found = np.zeros(len(pale), bool)
    found[np.argsort(nearer, kind="stable")[:surely]] = True
    return found


def closed_mouths(faces: Sequence[Face], marks: np.ndarray) -> np.ndarray:
    """Faces with a closed mouth at each of AGES, [ages,3,h,w], by some who have one, on a template with marks [5,2].

    Begun by landmarks alone: the mean of all, to which they were registered, smiles.
    """

    def mean_of(values, weights=None):
        return np.average(values, 0, weights=None if weights is None else weights + OUTSIDE)

    flows = np.stack([begun(face.marks, marks) for face in faces])
    flows, _ = congealed(faces, flows, mean_of, LEVELS, CONGEALED)
    light, inside, _ = laid(faces, flows)
    terms = [_terms(f.age, f.wide, TONE[0] if f.ita is None else f.ita) for f in faces]
    coefficients, _ = regressed(light, inside + OUTSIDE, np.stack(terms), RIDGES)
    asked = (_terms(age, UNSMILING, TONE[0]) for age in AGES)
    return np.stack([even(np.tensordot(each, coefficients, 1)) for each in asked])


def _box(across: tuple[float, float], down: tuple[float, float]) -> np.ndarray:
    x, y = nodes()
    return (x > across[0]) & (x < across[1]) & (y > down[0]) & (y < down[1])


def _terms(*values: float) -> np.ndarray:
    return np.array([1.0, *((v - m) / unit for v, (m, unit) in zip(values, (AGE, WIDE, TONE)))])
