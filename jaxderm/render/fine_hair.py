"""Brows, lashes, stubble and body hair as strokes."""

import numpy as np

from jaxderm.attributes import BodySite, Sex
from jaxderm.render import body as bodies
from jaxderm.render import face, hair, mesh
from jaxderm.render.body import Body
from jaxderm.render.description import Scene
from jaxderm.render.noise import rng_of, smoothstep, value_noise
from jaxderm.render.strokes import Strokes

_HEAD_SITES = (BodySite.FACE, BodySite.EAR, BodySite.SCALP, BodySite.NECK)


def fine_hair(scene: Scene, body: Body) -> list[Strokes]:
    """All strokes of a scene, in the order in which they are laid over the picture."""
    if scene.site in _HEAD_SITES:
        return [
            s for s in (*_brows(scene, body), _stubble(scene, body), *_lashes(scene, body)) if s
        ]
    found = _body_hair(scene, body)
    return [found] if found else []


def _bent(root, heading, normal, length, knots: int, bend: float) -> np.ndarray:
    """Lines [M,K,3] that leave the skin along `heading` and bend back to it."""
    t = np.linspace(0, 1, knots)[None, :, None]
    rise = bend * np.sin(np.pi * np.minimum(t, 0.9))
    return root[:, None] + length[:, None, None] * (t * heading[:, None] + rise * normal[:, None])


def _brows(scene: Scene, body: Body) -> list[Strokes]:
    person, f, t = scene.person, body.face, bodies.template()
    rng = rng_of(person.seed, "brows")
    male = person.sex is Sex.MALE
    weight = face.brow(body.rest, f, person.brows * 1.3, male) * (t.regions["head"] > 0.5)
    rest, root, normal = hair.roots(rng, body, weight, 2400)
    if len(root) == 0:
        return []
    kept = rng.random(len(root)) < face.brow(rest, f, person.brows, male)
    rest, root, normal = rest[kept], root[kept], normal[kept]
    u = face.place(rest, f)
    inner = smoothstep(np.abs(u[:, 0]), 2.4, 1.2)
    heading = np.stack([np.sign(u[:, 0]) * (1 - 0.6 * inner), 0.25 + 0.6 * inner - 0.13 * np.abs(u[:, 0]),
                        np.zeros(len(u))], 1)  # fmt: skip
    heading = heading + 0.16 * rng.normal(size=heading.shape)
    heading = mesh.unit(heading - (heading * normal).sum(1, keepdims=True) * normal)
    child = float(smoothstep(person.years, 0.5, 10))
    bushy = 1.0 + 0.5 * float(smoothstep(person.years, 50, 80)) * male
    length = rng.uniform(0.45, 0.85, len(root)) * f.unit_cm * bushy
    # Brows grey a decade after the scalp.
    grey = max(0.0, person.hair.grey - 0.3) / 0.7 * (0.9 if male or not person.makeup else 0.4)
    dense = (0.3 + 0.7 * child) * (1 - 0.35 * grey) * (0.5 + 0.5 * min(person.brows, 1.0))
    dense *= 1.0 if male else 0.85
    opacity = np.clip(rng.uniform(0.6, 1.1, len(root)) * dense * 1.7, 0, 1)
    colour = np.minimum(np.asarray(person.hair.colour), 0.16) * 0.8 * (
        1 - grey
    ) + 0.38 * grey * hair.GREY * [1.0, 0.94, 0.86]
    lines = _bent(root, heading, normal, length, 4, 0.1)
    return [Strokes(lines, (0.042 if male else 0.034) * f.unit_cm, opacity, colour)]


def _lashes(scene: Scene, body: Body) -> list[Strokes]:
    person, f, t = scene.person, body.face, bodies.template()
    rng = rng_of(person.seed, "lashes")
    result = []
    for side in "lr":
        eye = body.base_posed[t.eyes[side][0]].mean(0)
        edges = _lid_edges(body, side)
        for upper, edge in edges:
            if len(edge) < 4:
                continue
            count = 70 if upper else 40
            at = np.linspace(0, len(edge) - 1.001, count)
            i = at.astype(int)
            root = edge[i] + (edge[i + 1] - edge[i]) * (at - i)[:, None]
            root = root + rng.normal(size=root.shape) * 0.012
            out = mesh.unit(root - eye)
            lift = np.array([0, 0.55 if upper else -0.6, 0.55])
            heading = mesh.unit(out + lift + np.array([1, 0, 0]) * (root[:, :1] - eye[0]) * 0.25)
            female = person.sex is Sex.FEMALE
            size = (0.85 if female else 0.7) * (1 if upper else 0.55) * f.unit_cm
            length = size * rng.uniform(0.7, 1.0, count)
            bend = np.tile([[0, 1.0 if upper else -1.0, 0]], (count, 1))
            lines = _bent(root, heading, bend, length, 4, 0.12)
            opacity = (
                rng.uniform(0.5, 0.9, count) * (1.0 if upper else 0.5) * (0.8 + 0.4 * person.makeup)
            )
            dark = np.minimum(np.asarray(person.hair.colour), 0.06) * 0.7
            result.append(Strokes(lines, 0.022 * f.unit_cm, np.clip(opacity, 0, 1), dark))
    return result


def _lid_edges(body: Body, side: str) -> list[tuple[bool, np.ndarray]]:
    """Points along the upper and the lower lid's edge (True = upper), in the pose."""
    t, f = bodies.template(), body.face
    eye_rest = f.eyes[side]
    u = (body.rest - eye_rest) / f.unit_cm
    near = np.flatnonzero((np.abs(u[:, 0]) < 2.2) & (np.abs(u[:, 1]) < 1.3) & (u[:, 2] > 0)
                          & (t.regions["head"] > 0.5))  # fmt: skip
    away = np.abs(np.linalg.norm(body.rest[near] - eye_rest, axis=1) - f.radius)
    result = []
    for upper in (True, False):
        edge = []
        for x in np.linspace(-1.45, 1.45, 9):
            column = near[(np.abs(u[near, 0] - x) < 0.28) & (away < 0.28 * f.unit_cm)]
            # The margin is the vertex nearest to the slit that still lies in front of the eyeball.
            column = column[(u[column, 1] > -0.12) if upper else (u[column, 1] < -0.12)]
            if len(column):
                height = u[column, 1]
                pick = column[(height.argmin() if upper else height.argmax())]
                edge.append(body.points[pick])
        result.append((upper, np.array(edge).reshape(-1, 3)))
    return result


def _stubble(scene: Scene, body: Body) -> Strokes | None:
    person, f, t = scene.person, body.face, bodies.template()
    if person.beard <= 0.05:
        return None
    rng = rng_of(person.seed, "stubble")
    weight = face.beard(body.rest, f) * (t.regions["head"] + t.regions["neck"] > 0.5)
    weight = weight * (t.lips < 0.15) * (t.inside_mouth < 0.05)
    rest, root, normal = hair.roots(rng, body, weight, 4500)
    if len(root) == 0:
        return None
    kept = rng.random(len(root)) < face.beard(rest, f)
    root, normal = root[kept], normal[kept]
    heading = mesh.unit(normal * 0.3 + [0, -1, 0.1] + 0.3 * rng.normal(size=root.shape))
    length = np.full(len(root), (0.06 + 0.5 * person.beard) * f.unit_cm)
    lines = _bent(root, heading, normal, length, 3, 0.0)
    grey = min(1.0, person.hair.grey * 1.15)
    colour = (
        np.minimum(np.asarray(person.hair.colour), 0.12) * 0.7 * (1 - grey) + hair.GREY * 0.9 * grey
    )
    opacity = np.clip(rng.uniform(0.3, 0.8, len(root)) * (0.3 + 2.2 * person.beard), 0, 0.9)
    return Strokes(lines, 0.011 * f.unit_cm, opacity, colour)


# Hairs on a man of full growth, as a share of the densest site.
_GROWTH = {
    BodySite.ARM: 0.8, BodySite.LOWER_LEG: 1.0, BodySite.THIGH: 0.7, BodySite.HAND: 0.25,
    BodySite.CHEST: 0.6, BodySite.ABDOMEN: 0.5, BodySite.BACK: 0.1, BodySite.FOOT: 0.15,
}  # fmt: skip


def _body_hair(scene: Scene, body: Body) -> Strokes | None:
    person, t = scene.person, bodies.template()
    male = person.sex is Sex.MALE
    growth = (
        _GROWTH.get(scene.site, 0.0) * person.body_hair * float(smoothstep(person.years, 11, 20))
    )
    if not male and scene.site in (BodySite.CHEST, BodySite.ABDOMEN, BodySite.BACK, BodySite.FOOT):
        return None
    if growth < 0.04:
        return None
    rng, r = rng_of(person.seed, "body hair"), t.regions
    weight = sum(r[f"{limb}.{side}"] for limb in ("forearm", "lowerleg") for side in "LR")
    weight = weight + 0.7 * (r["thigh.L"] + r["thigh.R"])
    patch = 0.35 * smoothstep(value_noise(body.rest, 0.3, person.seed % 91), -0.2, 0.5)
    limb_end = sum(r[f"{limb}.{side}"] for limb in ("hand", "foot") for side in "LR")
    weight = weight + patch * limb_end
    if male:
        front = smoothstep(body.rest_normals[:, 2], 0.0, 0.6)
        middle = np.exp(-((body.rest[:, 0] / (11 * body.stature)) ** 2))
        weight = weight + 0.6 * r["trunk"] * (front * middle + 0.1)
    rest, root, normal = hair.roots(rng, body, np.clip(weight, 0, 1), int(26000 * growth))
    if len(root) == 0:
        return None
    hands = {side: bodies.hand_frame(body.base_posed, side).along for side in "LR"}
    on_arm = np.abs(rest[:, 0]) > 24 * body.stature
    down = np.where((rest[:, 0] > 0)[:, None], hands["L"], hands["R"])
    heading = np.where(on_arm[:, None], down, [0, -1.0, 0]) + 0.3 * rng.normal(size=root.shape)
    heading = mesh.unit(heading - 0.9 * (heading * normal).sum(1, keepdims=True) * normal)
    length = rng.uniform(0.6, 1.7, len(root)) * (
        0.5 if scene.site in (BodySite.HAND, BodySite.FOOT) else 1
    )
    lines = _bent(root, heading, normal, length, 4, 0.12)
    colour = hair.hair_colour(scene) * 0.6
    opacity = rng.uniform(0.35, 0.9, len(root)) * (1.0 if male else 0.6)
    return Strokes(lines, 0.009, opacity, colour)
