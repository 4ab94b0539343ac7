"""What is behind the person: plain paper, a studio's paper with its own light, a drape, or a room out of focus."""

import numpy as np

from jaxderm.render.description import Scene
from jaxderm.render.noise import fractal, rng_of, smoothstep, value_noise

STUDIO_LIGHT = 0.36  # develops to the colour that was asked for, whatever the light on the person


def _plane(size: int, aspect: float = 1.0) -> np.ndarray:
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    return np.stack([x.ravel() * aspect, y.ravel(), np.zeros(size * size)], 1)


def backdrop(scene: Scene, size: int) -> np.ndarray:
    """Radiance [size,size,3] of the backdrop, lit."""
    rng = rng_of(scene.seed, "backdrop")
    seed = scene.seed % 1000
    place = _plane(size)
    colour = np.asarray(scene.backdrop_colour)
    tilt = rng.normal(size=2) * 0.35
    glow = 1 + (place[:, :2] - 0.5) @ tilt + 0.12 * fractal(place, 1.5, 2, seed)
    picture = colour * glow[:, None]
    if scene.backdrop == "room":
        for _ in range(int(rng.integers(3, 8))):  # cupboards, doors, windows
            x0, y0, w, h = (
                rng.uniform(-0.1, 1),
                rng.uniform(-0.1, 0.9),
                rng.uniform(0.1, 0.5),
                rng.uniform(0.1, 0.8),
            )
            soft = rng.uniform(0.03, 0.1)
            inside = (
                smoothstep(place[:, 0], x0 - soft, x0 + soft) * smoothstep(place[:, 0], x0 + w + soft, x0 + w - soft)
                * smoothstep(place[:, 1], y0 - soft, y0 + soft) * smoothstep(place[:, 1], y0 + h + soft, y0 + h - soft)
            )  # fmt: skip
            tone = np.clip(
                colour.mean() * rng.uniform(0.3, 2.2) * np.exp(rng.normal(size=3) * 0.15), 0.01, 0.9
            )
            picture = picture * (1 - 0.8 * inside[:, None]) + 0.8 * inside[:, None] * tone
    if scene.backdrop == "drape":
        folds = value_noise(
            place @ np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]]), [2.0, 9.0, 1], seed
        )
        picture = picture * (1 + 0.12 * folds)[:, None]
    level = min(scene.ambient + 0.5 * sum(light.power for light in scene.lights), 1.2)
    if scene.backdrop == "studio":
        level = STUDIO_LIGHT / scene.camera.exposure
    return np.clip(picture * level, 0, 1.2).reshape(size, size, 3)


def drape_albedo(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Albedo [N,3] of the drape that a limb lies on, at points [N,3] in cm."""
    weave = value_noise(points, 3.0, 1) * 0.04 + fractal(points, 0.15, 2, scene.seed % 1000) * 0.08
    return np.asarray(scene.backdrop_colour) * (1 + weave)[:, None]
