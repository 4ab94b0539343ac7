"""Scalp hair and beards as strands: a few hundred guides are grown and combed, thousands follow them."""

import dataclasses

import numpy as np
from scipy.spatial import cKDTree

from jaxderm.attributes import Sex
from jaxderm.data.pigment import linear_of_srgb
from jaxderm.render import body as bodies
from jaxderm.render import face, mesh
from jaxderm.render.body import Body
from jaxderm.render.description import Scene
from jaxderm.render.noise import rng_of, smoothstep, value_noise

GREY = linear_of_srgb((196, 194, 190))


@dataclasses.dataclass(frozen=True, eq=False)
class Strands:
    """Strands [M,K,3] in cm, half widths [M,K], colours [M,3], and outward directions [M,K,3] for shading."""

    lines: np.ndarray
    radius: np.ndarray
    colour: np.ndarray
    outward: np.ndarray


def hair_colour(scene: Scene, share_white: float = 0.0) -> np.ndarray:
    """Mean linear colour of the person's hair, greyed as a whole."""
    hair = scene.person.hair
    grey = max(hair.grey, share_white)
    return np.asarray(hair.colour) * (1 - grey) + GREY * grey


def roots(
    rng, body: Body, weight: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random places on the skin, by area times vertex weight [N]: at rest, in the pose, normals [count,3]."""
    faces = bodies.template().faces
    share = weight[faces].mean(1)
    near = np.flatnonzero(share > 1e-3)
    if len(near) == 0:
        return (np.zeros((0, 3)),) * 3
    a, b, c = (body.rest[faces[near, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) * share[near]
    total = np.cumsum(area)
    picked = near[np.minimum(np.searchsorted(total, rng.random(count) * total[-1]), len(near) - 1)]
    s, t = rng.random((2, count))
    over = s + t > 1
    s[over], t[over] = 1 - s[over], 1 - t[over]
    weights = np.stack([1 - s - t, s, t], 1)
    at = lambda values: np.einsum("nk,nkc->nc", weights, values[faces[picked]])  # noqa: E731
    return at(body.rest), at(body.points), mesh.unit(at(body.normals))


def scalp_weight(scene: Scene, body: Body) -> np.ndarray:
    """Where scalp hair grows, over the vertices [N]."""
    t = bodies.template()
    grows = face.hairline(body.rest, body.face, scene.person.hair.recession)
    return grows * (t.regions["head"] > 0.5)


class _Obstacle:
    """The head, neck and shoulders, which hair lies upon."""

    def __init__(self, body: Body):
        t = bodies.template()
        near = body.rest[:, 1] > body.joint("spine01")[1]
        near &= t.inside_mouth < 0.1
        self.index = np.flatnonzero(near)
        self.points, self.normals = body.points[self.index], body.normals[self.index]
        self.tree = cKDTree(self.points)

    def push(self, points: np.ndarray, gap) -> np.ndarray:
        """Points moved out to at least `gap` cm above the skin."""
        _, index = self.tree.query(points)
        normal = self.normals[index]
        height = ((points - self.points[index]) * normal).sum(1)
        return points + np.maximum(gap - height, 0)[:, None] * normal


def scalp_hair(scene: Scene, body: Body) -> Strands | None:
    """The person's hair, None when bald."""
    hair, f = scene.person.hair, body.face
    if hair.style == "bald":
        return None
    rng = rng_of(scene.person.seed, "hair")
    weight = scalp_weight(scene, body)
    count = {"cropped": 9000, "short": 9000, "medium": 8000, "long": 8000, "tied": 7000}[hair.style]
    rest, root, normal = roots(rng, body, weight, count)
    if len(root) == 0:
        return None
    guides = rng.permutation(len(root))[:420]
    knots = {"cropped": 3, "short": 6, "medium": 9, "long": 11, "tied": 7}[hair.style]
    length = _lengths(rng, scene, rest[guides], f)
    grown = _grow(rng, scene, body, root[guides], normal[guides], length, knots)
    lines = _follow(rng, root, normal, root[guides], grown, hair.curl, f.unit_cm, hair.style)
    lines = _curl(rng, lines, normal, hair, f.unit_cm)
    if hair.style in ("medium", "long"):
        at = face.place(lines.reshape(-1, 3), f).reshape(lines.shape)
        throat = (np.abs(at[..., 0]) < 5.2) & (at[..., 1] < -8.0) & (at[..., 2] > -10.5)
        free = ~throat.any(1)
        lines, normal, rest = lines[free], normal[free], rest[free]
        if not free.any():
            return None
    thickness = {"cropped": 0.030, "short": 0.034, "medium": 0.036, "long": 0.036, "tied": 0.032}
    taper = np.linspace(1.0, 0.35, knots) ** (1.0 if hair.style in ("cropped", "short") else 0.5)
    radius = np.repeat((thickness[hair.style] * f.unit_cm * taper)[None], len(lines), 0)
    if hair.curl == 3:
        radius = radius * 1.1
    if hair.style == "tied":
        lines, radius, normal, rest = _with_bun(rng, scene, body, lines, radius, normal, rest)
    centre = f.middle + np.array([0, 1.5, -8.5]) * f.unit_cm
    return Strands(lines, radius, _colours(rng, scene, rest, len(lines)), _outward(lines, centre))


def _lengths(rng, scene: Scene, rest: np.ndarray, f) -> np.ndarray:
    hair = scene.person.hair
    length = hair.length * min(f.unit_cm, 1.1) * rng.uniform(0.8, 1.1, len(rest))
    u = face.place(rest, f)
    if hair.style in ("short", "cropped") and scene.person.sex is Sex.MALE:
        sides = smoothstep(u[:, 1], 6.5, 1.0) * smoothstep(np.abs(u[:, 0]), 4.5, 6.8)
        behind = smoothstep(u[:, 2], -9, -14) * smoothstep(u[:, 1], 5, -1)
        length = length * (1 - 0.7 * np.maximum(sides, behind))
    return length


def _grow(rng, scene: Scene, body: Body, root, normal, length, knots: int) -> np.ndarray:
    """Guides [G,knots,3]: combed by the style, pulled by gravity, kept off the head and the face."""
    hair, f = scene.person.hair, body.face
    u = face.place(root, f)
    obstacle = _Obstacle(body)
    part = hair.parting * 3.0
    side = np.where(u[:, 0] >= part, 1.0, -1.0)
    front = smoothstep(u[:, 2], -5.0, 0.0)
    swirl = value_noise(root, 0.25, scene.person.seed % 100)
    count, down = len(root), np.array([0.0, -1.0, 0.0])
    bang = np.zeros(count, bool)
    if hair.curl == 3 and hair.style in ("cropped", "short", "medium"):
        comb, gravity, lift = normal + 0.35 * rng.normal(size=(count, 3)), 0.05, 1.0
        length = np.minimum(length, rng.uniform(1.0, 6.0) * f.unit_cm)
    elif hair.style == "cropped":
        comb, gravity, lift = normal * 0.8 + down * 0.3 + [0, 0, 0.3], 0.1, 0.8
    elif hair.style == "short":
        crown = np.array([0.5 * part, 9.0, -12.5])
        away = mesh.unit(u - crown)
        sweep = np.stack([side * 0.9, np.full(count, -0.25), np.full(count, 0.1)], 1)
        forward = np.stack([0.3 * side, np.full(count, -0.35), np.full(count, 0.9)], 1)
        top = forward * hair.fringe + sweep * (1 - hair.fringe)
        comb = away + front[:, None] * top
        gravity, lift = 0.35, 0.55
    elif hair.style == "tied":
        knot = np.array([0, 1.5, -19.0])
        comb, gravity, lift = mesh.unit(knot - u), 0.0, 0.15
    else:
        comb = np.stack([side * 0.9, np.full(count, -0.35), -0.25 - 0.55 * front], 1)
        bang = (front > 0.6) & (np.abs(u[:, 0]) < 4.2) & (hair.fringe > 0.3)
        comb[bang] = np.stack([0.15 * u[bang, 0], -0.3 + 0 * u[bang, 0], 1.0 + 0 * u[bang, 0]], 1)
        length = np.where(bang, np.minimum(length, (5.4 + 0.15 * u[:, 1]) * f.unit_cm), length)
        gravity, lift = 1.0, 0.35
    comb = mesh.unit(comb + 0.12 * swirl[:, None] * np.cross(normal, down))
    place, lines, step = root.copy(), [root - 0.1 * normal], length / (knots - 1)
    gap_end = {"cropped": 0.3, "short": 0.75, "medium": 0.9, "long": 0.9, "tied": 0.45}[hair.style]
    for k in range(1, knots):
        share = k / (knots - 1)
        # Hair falls once it is a few centimetres long, whatever its whole length.
        fallen = np.minimum(1.0, k * step / (5.0 * f.unit_cm))[:, None]
        if hair.style in ("medium", "long"):  # what starts above the face is combed aside first
            at = face.place(place, f)
            over = (at[:, 2] > -5.5) & (np.abs(at[:, 0]) < 6.6) & (at[:, 1] > 0.5) & ~bang
            fallen = np.where(over[:, None], 0.12 * fallen, fallen)
        pull = gravity * fallen * 1.6
        heading = comb * (1 - 0.85 * fallen * min(gravity, 1)) + down * pull
        heading = mesh.unit(heading + normal * lift * (1.2 if k == 1 else 0.0))
        if hair.style in ("medium", "long"):
            heading = _off_the_face(place, heading, f, side)
        place = place + heading * step[:, None]
        gap = (0.15 + gap_end * min(1.0, share * 2.5)) * f.unit_cm
        place = obstacle.push(place, gap)
        lines.append(place.copy())
    if hair.style == "tied":
        _gather(lines, body, length)
    return np.stack(lines, 1)


def _off_the_face(place, heading, f, side) -> np.ndarray:
    u = face.place(place, f)
    inside = (u[:, 2] > -4.5) & (np.abs(u[:, 0]) < 7.2) & (u[:, 1] < 5.0)
    inside |= (u[:, 2] > -11) & (np.abs(u[:, 0]) < 6.8) & (u[:, 1] < -7.0)  # the neck
    heading = heading.copy()
    aside = np.where(u[:, 1] < -7.0, np.sign(u[:, 0]), side)
    heading[inside, 0] += aside[inside] * 2.0
    heading[inside, 2] -= 1.5
    return mesh.unit(heading)


def _gather(lines: list[np.ndarray], body: Body, length) -> None:
    """Bends the ends of tied hair into the knot at the back of the head."""
    f = body.face
    knot = f.middle + np.array([0, 1.5, -18.2]) * f.unit_cm
    for k, points in enumerate(lines):
        share = (k / (len(lines) - 1)) ** 3
        points += share * (knot - points) * 0.9


def _follow(rng, root, normal, guide_root, guides, curl, unit_cm, style) -> np.ndarray:
    """Strands [M,K,3] of all roots, blended from the three nearest guides, in loose locks."""
    away, index = cKDTree(guide_root).query(root, k=3)
    share = 1 / (away + 0.15 * unit_cm) ** 2
    share /= share.sum(1, keepdims=True)
    relative = guides - guide_root[:, None]
    lines = np.einsum("mg,mgkc->mkc", share, relative[index]) + root[:, None]
    knots = lines.shape[1]
    spread = {"cropped": 0.10, "short": 0.16, "medium": 0.26, "long": 0.34, "tied": 0.08}[style]
    along = np.linspace(0, 1, knots)[None, :, None]
    loose = rng.normal(size=(len(root), 1, 3)) * spread * unit_cm
    uneven = rng.uniform(0.86, 1.06, (len(root), 1, 1))
    return root[:, None] + (lines - root[:, None]) * uneven + loose * along**0.7


def _curl(rng, lines, normal, hair, unit_cm) -> np.ndarray:
    """Waves, curls or coils around each strand."""
    if hair.curl == 0 or hair.style in ("tied",):
        return lines
    radius, wave = {1: (0.22, 5.0), 2: (0.34, 2.6), 3: (0.22, 1.2)}[hair.curl]
    step = np.linalg.norm(np.diff(lines, axis=1), axis=2)
    place = np.concatenate([np.zeros((len(lines), 1)), np.cumsum(step, 1)], 1)
    # Neighbours wave together: the phase is a smooth function of the root.
    phase = (
        3.0 * value_noise(lines[:, 0], 0.35 / unit_cm, 5)[:, None]
        + rng.normal(size=(len(lines), 1)) * 0.35
    )
    angle = 2 * np.pi * place / (wave * unit_cm) + phase
    tangent = mesh.unit(np.gradient(lines, axis=1))
    first = mesh.unit(np.cross(tangent, normal[:, None] + 1e-3))
    second = np.cross(tangent, first)
    grown = np.minimum(1.0, place / unit_cm)[..., None]
    return lines + radius * unit_cm * grown * (
        np.cos(angle)[..., None] * first + np.sin(angle)[..., None] * second
    )


def _with_bun(rng, scene, body, lines, radius, normal, rest):
    """Adds a bun: loops of hair around the knot."""
    f, knots = body.face, lines.shape[1]
    centre = f.middle + np.array([0, 1.5, -18.6]) * f.unit_cm
    count = 700
    axis = mesh.unit(rng.normal(size=(count, 3)) + [0, 0, 1.5])
    first = mesh.unit(np.cross(axis, rng.normal(size=(count, 3))))
    second = np.cross(axis, first)
    angle = rng.uniform(0, 6.3, (count, 1)) + np.linspace(0, 2.6, knots)
    size = 2.6 * f.unit_cm * rng.uniform(0.55, 1.0, (count, 1, 1))
    loops = centre + size * (
        np.cos(angle)[..., None] * first[:, None] + np.sin(angle)[..., None] * second[:, None]
    )
    return (
        np.concatenate([lines, loops]),
        np.concatenate([radius, np.repeat(radius[:1], count, 0)]),
        np.concatenate([normal, axis]),
        np.concatenate([rest, np.repeat(rest[:1], count, 0)]),
    )


def _colours(rng, scene: Scene, rest: np.ndarray, count: int) -> np.ndarray:
    """Colour [M,3] of each strand: locks differ, white hairs stand among the others."""
    hair = scene.person.hair
    locks = 1 + 0.16 * value_noise(rest, 0.9, scene.person.seed % 97)
    colour = np.asarray(hair.colour) * (locks * rng.uniform(0.85, 1.15, count))[:, None]
    # A strand stands for a lock of many hairs, some of them white.
    white = np.clip(hair.grey * 1.1 + 0.12 * rng.normal(size=count) * (0 < hair.grey), 0, 1)
    white = white[:, None] ** 1.7
    return colour * (1 - white) + GREY * white * rng.uniform(0.7, 1.0, (count, 1))


def _outward(lines: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Directions [M,K,3] away from the head, and away from its axis below it: hair is lit as a volume."""
    away = lines - centre
    away[..., 1] = np.where(away[..., 1] < 0, away[..., 1] * 0.3, away[..., 1])
    return mesh.unit(away)


def beard_hair(scene: Scene, body: Body) -> Strands | None:
    """A beard longer than stubble, None without one."""
    person, f = scene.person, body.face
    if person.beard < 0.4:
        return None
    rng, t = rng_of(person.seed, "beard"), bodies.template()
    weight = face.beard(body.rest, f) * (t.regions["head"] + t.regions["neck"] > 0.5)
    weight *= (t.lips < 0.2) & (t.inside_mouth < 0.05)
    weight *= np.clip(1 - 1.3 * face.lip_zone(body.rest, f), 0, 1)
    rest, root, normal = roots(rng, body, weight, 6500)
    if len(root) == 0:
        return None
    long = (person.beard - 0.4) / 0.6
    length = (0.4 + 0.9 * long**1.5) * f.unit_cm * rng.uniform(0.6, 1.1, len(root))
    u = face.place(rest, f)
    length *= 1 - 0.45 * smoothstep(u[:, 1], -7.2, -6.0)  # moustache and cheeks are shorter
    knots, down = 4, np.array([0, -1.0, 0.15])
    heading = mesh.unit(0.55 * normal + down + 0.18 * rng.normal(size=root.shape))
    heading -= 0.6 * np.minimum((heading * normal).sum(1), 0)[:, None] * normal
    lines, place = [root - 0.05 * normal], root
    for k in range(1, knots):
        place = (
            place + mesh.unit(heading + 0.4 * down * k / knots) * (length / (knots - 1))[:, None]
        )
        lines.append(place)
    lines = np.stack(lines, 1)
    if person.hair.curl >= 2:
        lines = _curl(
            rng, lines, normal, dataclasses.replace(person.hair, style="short"), f.unit_cm * 0.6
        )
    radius = np.linspace(0.026, 0.012, knots)[None].repeat(len(lines), 0) * f.unit_cm
    colour = _colours(rng, scene, rest, len(lines)) * 0.9
    centre = f.middle + np.array([0, -6.0, -6.0]) * f.unit_cm
    return Strands(lines, radius, colour, _outward(lines, centre))
