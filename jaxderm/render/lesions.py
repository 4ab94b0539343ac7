"""Lesions in body space (first version)."""

import dataclasses

import numpy as np

from jaxderm.render.noise import fractal, rng_of, smoothstep
from jaxderm.render.sampler import Lesion


@dataclasses.dataclass(frozen=True, eq=False)
class Changes:
    """What a lesion adds [N]: melanin, haemoglobin, height in cm, white scale 0 to 1, and its coverage 0 to 1."""

    melanin: np.ndarray
    haemoglobin: np.ndarray
    height: np.ndarray
    scale: np.ndarray
    coverage: np.ndarray


def paint(lesion: Lesion, points: np.ndarray, normals: np.ndarray, melanin: float) -> Changes:
    """Changes by a lesion at points [N,3] in its own frame (x, y along the skin, z out, cm, centre at 0).

    normals [N,3] in the same frame; melanin: of the skin around.
    """
    rng = rng_of(lesion.seed, "lesion")
    radius = lesion.radius_cm
    angle = np.arctan2(points[:, 1], points[:, 0])
    edge = 1 + sum(
        rng.normal() * 0.16 / k * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(1, 7)
    )
    away = np.linalg.norm(points[:, :2], axis=1) / radius / np.maximum(edge, 0.3)
    near = (np.abs(points[:, 2]) < 1.2 * radius) & (normals[:, 2] > 0.1)
    coverage = smoothstep(away, 1.1, 0.9) * near
    texture = fractal(points, 1.6 / radius, 3, lesion.seed % 50)
    pigmented = lesion.kind in ("naevus", "melanoma", "seborrhoeic_keratosis")
    dark = rng.uniform(0.16, 0.4) * (1 - 0.55 * melanin) if pigmented else 0.03
    blood = 0.25 if pigmented else rng.uniform(0.7, 1.5)
    return Changes(
        melanin=coverage * (dark + 0.1 * pigmented * texture),
        haemoglobin=coverage * blood * (1 + 0.4 * texture),
        height=coverage * 0.05 * radius,
        scale=coverage * smoothstep(texture, 0.2, 0.6) * (lesion.kind == "psoriasis"),
        coverage=coverage,
    )
