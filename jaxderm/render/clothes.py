"""Garments as fields on the body: positive inside the cloth, in about centimetres from its edge.

No picture is drawn without them; `uncovered_intimate` is what the tests hold to zero.
"""

import dataclasses

import numpy as np

from jaxderm.attributes import BodySite, Sex
from jaxderm.render import body as bodies
from jaxderm.render.body import Body
from jaxderm.render.description import Scene
from jaxderm.render.noise import fractal, smoothstep

THICKNESS_CM = 0.35


@dataclasses.dataclass(frozen=True, eq=False)
class Garments:
    """Signed fields [N] over the subdivided vertices: positive where the cloth lies."""

    top: np.ndarray
    bottom: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """Field [N] of any cloth."""
        return np.maximum(self.top, self.bottom)


def _arms() -> np.ndarray:
    r = bodies.template().regions
    return sum(r[f"{limb}.{side}"] for limb in ("hand", "forearm", "upperarm") for side in "LR")


def dress(scene: Scene, body: Body) -> Garments:
    """The garments of a scene on a body at rest."""
    return Garments(_top(scene, body), _bottom(scene, body))


def _bottom(scene: Scene, body: Body) -> np.ndarray:
    t, scale, y = bodies.template(), body.stature, body.rest[:, 1]
    hip, ankle = body.joint("upperleg01.L")[1], body.joint("foot.L")[1]
    waist = body.joint("root")[1] + (3.0 if scene.site is BodySite.ABDOMEN else 6.0) * scale
    reach = {BodySite.THIGH: 0.22}.get(scene.site, 0.42)
    if scene.clothes.bottom == "trousers":
        reach = 0.95
    if scene.person.is_minor and scene.clothes.bottom == "shorts":
        reach = 0.5  # down to the knee
    hem = hip - reach * (hip - ankle)
    # Behind, the waistband lies above the buttocks of every build.
    behind = body.rest[:, 2] < body.joint("upperleg01.L")[2]
    waist = np.where(behind, max(waist, hip + 8.0 * scale), waist)
    field = np.minimum(waist - y, y - hem)
    return np.where((_arms() > 0.5) | (t.regions["head"] > 0.5), -5.0, field)


def _top(scene: Scene, body: Body) -> np.ndarray:
    t, scale, rest = bodies.template(), body.stature, body.rest
    kind = scene.clothes.top
    if kind == "none":
        return np.full(len(rest), -50.0)
    x, y, z = rest.T
    breast_tail = body.joint("breast.L", "tail")
    if kind == "band":
        front = z > body.joint("spine01")[2]
        reach = np.where(front, 7.5, 4.5) * scale
        band = reach - np.abs(y - breast_tail[1] + 1.0 * scale)
        bust = (t.regions["breast"] - 0.18) * 12
        strap = np.minimum(1.3 * scale - np.abs(np.abs(x) - 7.0 * scale), y - breast_tail[1])
        strap = np.where(t.regions["neck"] + t.regions["head"] > 0.3, -5.0, strap)
        field = np.maximum(np.maximum(band, np.where(front, bust, -50.0)), strap)
        return np.where(_arms() > 0.45, -5.0, field)
    neck = body.joint("neck01")
    around = rest - (neck + np.array([0.0, 1.5, 2.0]) * body.face.unit_cm)
    deep = 2.5 * smoothstep(around[:, 2], 2, 8) * (1 - scene.clothes.collar)
    hole = (10.5 - 3.2 * scene.clothes.collar) * body.face.unit_cm
    if kind == "vest":
        hole = hole + 1.5 * body.face.unit_cm
    collar = np.linalg.norm(around * [1.0, 0.8, 1.0], axis=1) - hole - deep
    above = np.where((y > neck[1] + 1.0) & (np.abs(x) < 9 * body.face.unit_cm), -5.0, 50.0)
    hem = y - (body.joint("root")[1] - 4 * scale)
    field = np.minimum(np.minimum(collar, above), hem)
    for side in "LR":
        shoulder, wrist = body.joint(f"upperarm01.{side}"), body.joint(f"wrist.{side}")
        along = (wrist - shoulder) / np.linalg.norm(wrist - shoulder)
        arm = (rest - shoulder) @ along
        if kind == "vest":
            reach = -4.5 * scale
        else:
            reach = max(scene.clothes.sleeve, 0.15) * np.linalg.norm(wrist - shoulder)
        on_side = (x > 0) if side == "L" else (x < 0)
        near = on_side & (t.regions["trunk"] < 0.9)
        field = np.where(near, np.minimum(field, reach - arm), field)
    field = np.where(t.regions["head"] > 0.4, -5.0, field)
    if scene.person.sex is Sex.FEMALE or scene.person.is_minor:
        field = np.maximum(field, (t.regions["breast"] - 0.3) * 12)
    return field


def inflate(points: np.ndarray, normals: np.ndarray, garments: Garments) -> np.ndarray:
    """Points [N,3] lifted by the cloth's thickness."""
    lift = THICKNESS_CM * smoothstep(garments.covered, 0.0, 0.7)
    return points + lift[:, None] * normals


def weave(
    points: np.ndarray, field: np.ndarray, colour, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Albedo [N,3] and height [N] of cloth at rest points [N,3]: folds, and a hem along the edge."""
    folds = fractal(points * [1.0, 0.45, 1.0], 0.22, 3, seed + 3)
    hem = smoothstep(field, 1.1, 0.9) * smoothstep(field, 0.75, 0.9)
    shade = 1 + 0.08 * folds - 0.18 * hem
    return np.asarray(colour) * shade[:, None], 0.35 * folds + 0.05 * hem


def uncovered_intimate(scene: Scene, body: Body) -> np.ndarray:
    """Vertices [N] bool of groin and buttocks, and of women's and minors' breasts, that no cloth covers."""
    t, scale = bodies.template(), body.stature
    garments = dress(scene, body)
    hip = body.joint("upperleg01.L")[1]
    behind = body.rest[:, 2] < body.joint("upperleg01.L")[2]
    arms = _arms() > 0.5
    buttocks = behind & (np.abs(body.rest[:, 1] - hip + 2 * scale) < 9 * scale) & ~arms
    intimate = (t.groin > 0.3) | buttocks
    if scene.person.sex is Sex.FEMALE or scene.person.is_minor:
        intimate |= (t.aureolae > 0.3) | (t.regions["breast"] > 0.4)
    return intimate & (garments.covered <= 0)
