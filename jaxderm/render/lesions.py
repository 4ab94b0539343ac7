"""Lesions in body space: the shared looks (data/lesion_looks.py) on the curved skin around a point."""

import numpy as np

from jaxderm.data import lesion_looks
from jaxderm.data.lesion_looks import KINDS, Changes
from jaxderm.render.description import Lesion
from jaxderm.render.noise import fractal, rng_of, smoothstep


def paint(
    lesion: Lesion, points: np.ndarray, normals: np.ndarray, melanin: float, pixel_cm: float = 0.0
) -> Changes:
    """Changes by a lesion at points [N,3] in its own frame (x, y along the skin, z out, cm, centre at 0).

    normals [N,3] in the same frame; melanin: of the skin around; texture finer than two pixels of
    `pixel_cm` fades out, everything else is the same at every resolution.
    """
    rng = rng_of(lesion.seed, "lesion")
    radius, salt0 = lesion.radius_cm, lesion.seed % 9973

    def noise(frequency: float, octaves: int, salt: int) -> np.ndarray:
        total, strength = np.zeros(len(points)), 1.0
        for octave in range(octaves):
            now = frequency * 2.03**octave / radius
            fade = float(smoothstep(np.asarray(now * pixel_cm), 1.0, 0.4))
            if fade > 0:
                total += strength * fade * fractal(points, now, 1, salt0 + 31 * salt + octave)
            strength *= 0.55
        return total

    place = points[:, :2] / radius
    away = lesion_looks.outline(lesion.kind, rng, place, noise)
    soft = KINDS[lesion.kind].soft
    # Skin that folds behind the lesion's plane, or faces away from it, is another place.
    near = (np.abs(points[:, 2]) < 1.2 * radius + 0.3) & (normals[:, 2] > 0.1)
    coverage = smoothstep(away, 1 + soft, 1 - soft) * near
    return lesion_looks.look(lesion.kind, rng, place, away, coverage, melanin, radius, noise)
