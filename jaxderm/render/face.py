"""Places on a face at rest: hairline, brows, beard, lids, cheeks, and the lines that age draws."""

import numpy as np
from scipy.spatial import cKDTree

from jaxderm.attributes import Sex
from jaxderm.render.body import FaceFrame
from jaxderm.render.description import Person
from jaxderm.render.noise import smoothstep


def place(points: np.ndarray, face: FaceFrame) -> np.ndarray:
    """Points [N,3] from the middle between the eyes, in centimetres of the standard head."""
    return (points - face.middle) / face.unit_cm


def hairline(points: np.ndarray, face: FaceFrame, recession: float = 0.0) -> np.ndarray:
    """How much hair grows [N] (0 to 1) at points [N,3] of the head."""
    u = place(points, face)
    x, y, z = u.T
    height = y / ((face.top - face.middle[1]) / face.unit_cm)
    forward = (z + 8.5) / 8.5
    temple = smoothstep(np.abs(x), 1.5, 4.5) * smoothstep(np.abs(x), 8.2, 6.0)
    limit = (
        -0.55 + 0.65 * smoothstep(forward, -0.6, 0.15) + 0.50 * smoothstep(forward, 0.25, 0.95)
        + 0.05 * np.cos(x * 1.1) * smoothstep(forward, 0.4, 0.8)
    )  # fmt: skip
    front = smoothstep(forward, 0.0, 0.8)
    limit = limit + recession * front * (0.14 + 0.42 * temple + 0.35 * max(recession - 0.5, 0))
    grown = smoothstep(height - limit, -0.04, 0.05)
    crown = np.hypot(x, (z + 9.5) * 0.8) / (1.0 + 9.0 * max(recession - 0.45, 0.0))
    if recession > 0.45:
        grown = grown * np.where(height > 0.55, smoothstep(crown, 0.7, 1.15), 1.0)
    ear = (np.abs(x) > 7.3) & (y < 1.5) & (z > -11)
    return grown * ~ear


def brow(points: np.ndarray, face: FaceFrame, thickness: float, male: bool) -> np.ndarray:
    """How much brow hair grows [N] at points [N,3]."""
    total = 0.0
    for side, sign in (("l", 1), ("r", -1)):
        x = (points[:, 0] - face.eyes[side][0]) * sign / face.unit_cm
        y = (points[:, 1] - face.eyes[side][1]) / face.unit_cm
        arch = 0.12 if male else 0.34
        line = (
            1.5
            + arch * np.cos((x - 0.9) * 0.8)
            + (0.0 if male else 0.12)
            + (0.05 if male else 0.0) * x
        )
        half = 0.40 * thickness * (1 - 0.6 * smoothstep(x, 0.2, 2.5))
        across = smoothstep(np.abs(y - line) / half, 1.25, 0.4)
        total = total + across * smoothstep(x, -2.1, -1.3) * smoothstep(x, 2.75, 2.0)
    return np.clip(total, 0, 1) * (points[:, 2] > face.middle[2] - 3 * face.unit_cm)


def beard(points: np.ndarray, face: FaceFrame) -> np.ndarray:
    """How much beard grows [N] at points [N,3], lips not taken out."""
    x, y, z = place(points, face).T
    ax = np.abs(x)
    y = y - (place(face.mouth_centre, face)[1] + 7.8)  # written for a mouth 7.8 cm below the eyes
    cheek_line = np.where(ax < 3.2, -5.4 - 0.25 * np.maximum(ax - 1.6, 0), -5.8 + (ax - 3.2) * 0.95)
    below = smoothstep(cheek_line - y, -0.5, 2.0)
    neck = smoothstep(y, -15.0, -10.5)
    sides = smoothstep(z, -9.5, -6.5)
    soul = 1 - 0.5 * smoothstep(ax, 1.9, 0.8) * smoothstep(y, -8.9, -8.3) * (y < -7.4)
    return below * neck * sides * soul


def lip_zone(points: np.ndarray, face: FaceFrame) -> np.ndarray:
    """Nearness [N] to the mouth, 0 to 1."""
    u = (points - face.mouth_centre) / face.unit_cm
    return np.exp(-((u[:, 0] / 2.4) ** 2) - (u[:, 1] / 1.0) ** 2)


def hollows(points: np.ndarray, face: FaceFrame, normals: np.ndarray) -> np.ndarray:
    """Light lost [N] (0 to 1) in the nostrils and between the lips, where the mesh is not deep enough."""
    u = (points - face.nose) / face.unit_cm
    nostril = np.exp(-(((np.abs(u[:, 0]) - 0.72) / 0.42) ** 2) - ((u[:, 1] + 0.72) / 0.26) ** 2)
    nostril = nostril * smoothstep(-normals[:, 1], 0.0, 0.5) * (u[:, 2] > -2.2)
    u = (points - face.mouth_centre) / face.unit_cm
    half = abs(face.mouth["l"][0] - face.mouth["r"][0]) / 2 / face.unit_cm
    line = np.exp(-((u[:, 1] / 0.13) ** 2)) * smoothstep(np.abs(u[:, 0]), 1.05 * half, 0.75 * half)
    return np.clip(0.8 * nostril + 0.45 * line * (u[:, 2] > -3), 0, 0.85)


def eye_distance(points: np.ndarray, face: FaceFrame) -> np.ndarray:
    """Distance [N] in cm from the nearer eyeball's surface."""
    return np.minimum(
        *[np.linalg.norm(points - face.eyes[side], axis=1) - face.radius for side in "lr"]
    )


def _curve(points, count: int = 40) -> np.ndarray:
    """Points [count,2] of a smooth curve through control points (Catmull-Rom)."""
    p = np.asarray(points, float)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, len(p) - 3 - 1e-6, count)
    i, f = t.astype(int), (t % 1)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    return 0.5 * (
        2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - a - 3 * c + d) * f**3
    )


def age_lines(
    face: FaceFrame, person: Person, old: float, rng
) -> list[tuple[np.ndarray, float, float]]:
    """Curves [K,2] (x, y on the face, standard cm) of wrinkles with half width and depth 0 to 1.

    Forehead lines, frown, crow's feet, bags, nose-to-mouth folds, marionette lines, lips, cheeks, neck;
    old as Person.ageing. Named as in clinical scales of facial ageing (Lemperle 2001).
    """
    lines = []
    nose = (face.nose - face.middle) / face.unit_cm
    mouth = {s: (face.mouth[s] - face.middle) / face.unit_cm for s in "lr"}
    deep = (smoothstep(old, 0.0, 0.8) + 0.7 * max(old - 0.8, 0)) * (0.8 + 0.4 * person.sun)

    def add(points, width, depth):
        if depth > 0.03:
            lines.append((_curve(points), 1.15 * width, float(depth)))

    for k in range(5):  # forehead
        y = 3.6 + 0.85 * k + rng.normal() * 0.1
        wave = rng.normal(size=5) * 0.12
        reach = rng.uniform(3.2, 5.2) * (1 - 0.06 * k)
        xs = np.linspace(-reach, reach, 5) + rng.normal() * 0.3
        add(
            np.stack([xs, y + wave + 0.25 * np.cos(xs * 0.5)], 1),
            0.11,
            deep * rng.uniform(0.5, 1) * (k < 4 or old > 0.5),
        )
    for sign in (-1, 1):
        add(
            [(sign * 0.75, 0.9), (sign * 0.6, 1.8), (sign * 0.85, 2.8)],
            0.10,
            deep * rng.uniform(0.3, 1),
        )
        eye = np.array([sign * 5.35, -0.15])
        for k in range(5):  # crow's feet
            a = (-0.75 + 0.38 * k) + rng.normal() * 0.06
            length = rng.uniform(1.2, 2.4)
            tip = eye + length * np.array([sign * np.cos(a), np.sin(a)])
            add(
                [eye + 0.35 * (tip - eye), (eye + tip) / 2 + rng.normal(size=2) * 0.08, tip],
                0.075,
                deep * rng.uniform(0.4, 1),
            )
        for k, drop in enumerate((1.15, 1.75)):  # under the eye
            add(
                [
                    (sign * 1.8, -0.75 - 0.4 * k),
                    (sign * 3.3, -drop - 0.5),
                    (sign * 5.2, -0.6 - 0.7 * k),
                ],
                0.13,
                deep * rng.uniform(0.4, 0.9),
            )
        m = mouth["l" if sign > 0 else "r"]
        shallow = 0.25 if person.sex is Sex.MALE else 0.05
        fold = shallow + (1 - shallow) * old if old > 0 else 0.0
        add(
            [
                (sign * 1.75, nose[1] + 0.5),
                (sign * 2.6, nose[1] - 1.0),
                (m[0] + sign * 0.85, m[1] + 0.4),
                (m[0] + sign * 0.95, m[1] - 0.7),
            ],
            0.16,
            min(1.4, fold + deep * 0.6),
        )
        add(
            [
                (m[0] + sign * 0.1, m[1] - 0.15),
                (m[0] + sign * 0.4, m[1] - 1.2),
                (m[0] + sign * 0.35, m[1] - 2.4),
            ],
            0.13,
            deep * rng.uniform(0.4, 1),
        )
        for k in range(4):  # cheeks
            x = sign * (4.0 + 0.8 * k + rng.normal() * 0.2)
            add(
                [
                    (x, -2.2 - rng.uniform(0, 1)),
                    (x + sign * 0.3, -4.6),
                    (x - sign * 0.2, -6.5 - rng.uniform(0, 1.5)),
                ],
                0.07,
                max(0.0, old - 0.45) * rng.uniform(0.4, 1.2),
            )
        add(
            [(sign * 5.3, -8.6), (sign * 4.4, -10.0), (sign * 3.4, -10.6)],
            0.2,
            max(0.0, old - 0.3) * rng.uniform(0.4, 1.1),
        )  # jowl
    for k in range(9):  # lips
        x = -1.8 + 0.45 * k + rng.normal() * 0.06
        add(
            [(x, mouth["l"][1] + 0.75), (x * 1.05, mouth["l"][1] + 1.6)],
            0.05,
            max(0.0, old - 0.3) * rng.uniform(0.2, 0.9),
        )
    for k in range(3):  # neck
        y = -13.0 - 1.5 * k + rng.normal() * 0.2
        add(
            [(-5.0, y + 0.8), (0, y + rng.normal() * 0.2), (5.0, y + 0.8)],
            0.12,
            max(0.15 * (person.years > 25), deep) * rng.uniform(0.4, 1),
        )
    return lines


def wrinkles(points: np.ndarray, face: FaceFrame, lines) -> tuple[np.ndarray, np.ndarray]:
    """Depth [N] (0 to 1) of the nearest lines at points [N,3], and the swelling [N] beside them."""
    u = place(points, face)
    depth, swell = np.zeros(len(points)), np.zeros(len(points))
    if not lines:
        return depth, swell
    near = np.flatnonzero((u[:, 2] > -6.5) & (u[:, 1] < 9))
    if len(near) == 0:
        return depth, swell
    curve = np.concatenate([c for c, _, _ in lines])
    count = len(lines[0][0])
    width = np.repeat([w for _, w, _ in lines], count)
    strength = np.repeat([d for _, _, d in lines], count) * np.tile(
        np.sin(np.linspace(0.12, np.pi - 0.12, count)) ** 0.6, len(lines)
    )
    tree = cKDTree(curve)
    away, index = tree.query(u[near, :2], k=3, distance_upper_bound=0.9)
    found = np.isfinite(away)
    index = np.where(found, index, 0)
    w, s = width[index], strength[index] * found
    depth[near] = (s * np.exp(-((np.where(found, away, 9.0) / w) ** 2))).max(1)
    swell[near] = (s * np.exp(-(((np.where(found, away, 9.0) - 2.2 * w) / (1.2 * w)) ** 2))).max(1)
    return depth, swell
