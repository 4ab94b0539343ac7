"""Eyeballs: white, iris and pupil by the angle from the gaze."""

import dataclasses

import numpy as np

from jaxderm.render import body as bodies
from jaxderm.render import mesh
from jaxderm.render.body import Body
from jaxderm.render.description import Scene
from jaxderm.render.noise import fractal, rng_of, smoothstep

IRIS_CM, PUPIL_CM = 0.62, 0.24


@dataclasses.dataclass(frozen=True, eq=False)
class Eye:
    """Posed surface: points [N,3], normals [N,3], triangles [F,3]; centre, radius, unit gaze."""

    points: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    centre: np.ndarray
    radius: float
    gaze: np.ndarray


def make_eyes(scene: Scene, body: Body) -> dict[str, Eye]:
    """Both eyes ('l' and 'r' of the patient), looking about at the camera's side."""
    t, rng, result = bodies.template(), rng_of(scene.seed, "gaze"), {}
    gaze = mesh.unit(np.array([rng.normal() * 0.08, -0.03 + rng.normal() * 0.04, 1.0]))
    for side in "lr":
        ids, smooth, faces = t.eyes[side]
        cage = body.base_posed[ids]
        points = smooth @ cage
        centre = cage.mean(0)
        result[side] = Eye(
            points, mesh.vertex_normals(points, faces), faces, centre, body.face.radius, gaze
        )
    return result


def eye_albedo(eye: Eye, points: np.ndarray, scene: Scene, unit_cm: float) -> np.ndarray:
    """Linear albedo [N,3] at points [N,3] of an eye."""
    person = scene.person
    out = mesh.unit(points - eye.centre)
    angle = np.arccos(np.clip(out @ eye.gaze, -1, 1))
    size = 0.9 + 0.1 * unit_cm  # irises hardly grow after birth
    iris, pupil = IRIS_CM * size / eye.radius, PUPIL_CM * size / eye.radius
    around = np.arctan2(out[:, 1] - eye.gaze[1], out[:, 0] - eye.gaze[0])
    rays = np.stack([np.cos(around), np.sin(around), angle], 1)
    streaks = fractal(rays, [5.0, 5.0, 2.0], 2, person.seed % 89)
    ring = smoothstep(angle, iris * 0.72, iris)
    colour = np.asarray(person.iris) * ((1 + 0.35 * streaks) * (1.15 - 0.75 * ring))[:, None]
    old = float(smoothstep(person.years, 40, 90))
    white = np.array([0.50, 0.455, 0.42]) * (1 - np.array([0.0, 0.06, 0.16]) * old)
    corner = smoothstep(angle, 0.55, 1.05)
    vessel = smoothstep(np.abs(fractal(out, 9.0, 2, person.seed % 83)), 0.09, 0.0) * (0.3 + corner)
    sclera = white - (0.10 * corner + 0.08 * vessel)[:, None] * np.array([0.3, 1.0, 1.0])
    amount = smoothstep(angle, iris + 0.05, iris - 0.03)[:, None]
    albedo = sclera * (1 - amount) + amount * colour
    dark = smoothstep(angle, pupil + 0.04, pupil - 0.03)[:, None]
    return np.clip(albedo * (1 - dark) + 0.004 * dark, 0.003, 0.8)


def lid_shadow(eye: Eye, points: np.ndarray) -> np.ndarray:
    """Light [N] that reaches the eye below the upper lid and its lashes, 0 to 1."""
    height = (points[:, 1] - eye.centre[1]) / eye.radius
    return 1 - 0.55 * smoothstep(height, 0.02, 0.32) - 0.12 * smoothstep(height, -0.3, -0.5)
