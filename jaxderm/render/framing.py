"""Where the camera stands: clinical framings of a whole site (18-50 cm) and of a close-up (5-15 cm)."""

import dataclasses

import numpy as np

from jaxderm.attributes import BodySite, Field
from jaxderm.render import body as bodies
from jaxderm.render import mesh
from jaxderm.render.body import Body
from jaxderm.render.description import Scene
from jaxderm.render.noise import rng_of


@dataclasses.dataclass(frozen=True, eq=False)
class Framing:
    """A square pinhole camera: position, unit axes (right, up, towards the camera), field width at the target."""

    target: np.ndarray
    position: np.ndarray
    right: np.ndarray
    up: np.ndarray
    back: np.ndarray
    field_cm: float
    distance: float

    @property
    def slope(self) -> float:
        """Half the field over the distance."""
        return self.field_cm / 2 / self.distance

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places [N,2] on the frame (x right, y down, both 0 to 1) and depths [N] of points [N,3]."""
        ray = points - self.position
        depth = -(ray @ self.back)
        depth = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        x = (ray @ self.right) / depth / self.slope
        y = (ray @ self.up) / depth / self.slope
        return np.stack([(x + 1) / 2, (1 - y) / 2], -1), depth

    def rays(self, size: int) -> np.ndarray:
        """Unit directions [size*size,3] through the centres of the pixels, row by row."""
        place = ((np.arange(size) + 0.5) / size * 2 - 1) * self.slope
        x, y = place[None, :, None], -place[:, None, None]
        return mesh.unit(x * self.right + y * self.up - self.back).reshape(-1, 3)


def _turned(axis_forward, axis_left, axis_up, yaw: float, pitch: float) -> np.ndarray:
    return (
        np.cos(pitch) * (np.cos(yaw) * axis_forward + np.sin(yaw) * axis_left)
        + np.sin(pitch) * axis_up
    )


def _whole_site(scene: Scene, body: Body) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Target, direction to the camera, up, field width of a whole site."""
    x, y, z = np.eye(3)
    site, face, scale = scene.site, body.face, body.stature
    side = "L" if scene.side > 0 else "R"
    yaw, pitch, roll = scene.turn
    span = lambda low, high: low + (high - low) * scene.span  # noqa: E731
    joint = body.joint_posed
    if site is BodySite.FACE:
        target = face.middle + [0, -1.6 * face.unit_cm, 0]
        return target, _turned(z, x, y, yaw, pitch), y, span(30, 38) * face.unit_cm
    if site is BodySite.EAR:
        target = joint("head") + [scene.side * 7.0 * face.unit_cm, 1.5 * face.unit_cm, 0]
        back = _turned(x * scene.side, -z, y, yaw - 0.3, pitch)
        return target, back, y, span(13, 20) * face.unit_cm
    if site is BodySite.SCALP:
        target = np.array([0, (face.top + face.middle[1]) / 2, joint("head")[2]])
        return (
            target,
            _turned(z, x, y, yaw, 0.25 + 0.6 * scene.spot[0]),
            y,
            span(19, 26) * face.unit_cm,
        )
    if site is BodySite.NECK:
        target = joint("neck02") + [0, 1.5, 0]
        return target, _turned(z, x, y, yaw, pitch), y, span(17, 24) * face.unit_cm
    if site is BodySite.CHEST:
        height = 0.35 * joint("spine01")[1] + 0.65 * joint("neck01")[1]
        return np.array([0, height, 0]), _turned(z, x, y, yaw, pitch), y, span(28, 42) * scale
    if site is BodySite.ABDOMEN:
        return (
            np.array([0, joint("spine03")[1], 0]),
            _turned(z, x, y, yaw, pitch),
            y,
            span(25, 40) * scale,
        )
    if site is BodySite.BACK:
        height = joint("spine02")[1] + (-4 + 14 * scene.spot[0]) * scale
        return np.array([0, height, 0]), _turned(-z, x, y, yaw, pitch), y, span(30, 50) * scale
    if site in (BodySite.ARM, BodySite.HAND, BodySite.PALM):
        hand = bodies.hand_frame(body.base_posed, side)
        volar = scene.view.value == "volar"
        out = -hand.back if volar else hand.back
        up = hand.along if site is not BodySite.ARM or scene.spot[1] < 0.5 else -hand.along
        up = mesh.rotation(out, roll * 0.5) @ up
        back = _turned(out, hand.across, hand.along, yaw, pitch)
        if site is BodySite.ARM:
            elbow = joint(f"lowerarm01.{side}")
            middle = elbow + (hand.wrist - elbow) * (0.15 + 0.6 * scene.spot[0])
            return middle, back, up, span(19, 32) * scale
        return hand.wrist + hand.along * hand.length * 0.85, back, up, span(2.2, 2.9) * hand.length
    if site is BodySite.THIGH:
        target = 0.45 * joint(f"upperleg01.{side}") + 0.55 * joint(f"lowerleg01.{side}")
        return target, _turned(z, x, y, yaw, pitch), y, span(24, 38) * scale
    if site is BodySite.LOWER_LEG:
        target = 0.55 * joint(f"lowerleg01.{side}") + 0.45 * joint(f"foot.{side}")
        return target, _turned(z, x, y, yaw, pitch), y, span(24, 40) * scale
    target = 0.45 * joint(f"foot.{side}") + 0.55 * joint(f"toe3-1.{side}")
    if site is BodySite.FOOT:
        return target, _turned(z, x, y, yaw, 0.5 + 0.6 * scene.spot[0]), y, span(19, 27) * scale
    heel = joint(f"foot.{side}")
    along = mesh.unit((joint(f"toe3-1.{side}") - heel) * [1, 0, 1])
    target = (heel + joint(f"toe3-1.{side}")) / 2 + along * 1.5 * scale
    return (
        target,
        _turned(-y, x, z, yaw, pitch * 0.5),
        mesh.rotation(y, roll * 0.3) @ along,
        span(25, 32) * scale,
    )


def site_weight(scene: Scene, body: Body) -> np.ndarray:
    """How much each vertex [N] belongs to the scene's site (0 to 1), clothes left aside."""
    t, site = bodies.template(), scene.site
    r = t.regions
    side = "L" if scene.side > 0 else "R"
    if site in (BodySite.FACE, BodySite.EAR, BodySite.SCALP):
        return r["head"]
    if site is BodySite.NECK:
        return r["neck"]
    if site in (BodySite.CHEST, BodySite.ABDOMEN, BodySite.BACK):
        return r["trunk"]
    limb = {
        BodySite.ARM: "forearm", BodySite.HAND: "hand", BodySite.PALM: "hand", BodySite.THIGH: "thigh",
        BodySite.LOWER_LEG: "lowerleg", BodySite.FOOT: "foot", BodySite.SOLE: "foot",
    }[site]  # fmt: skip
    weight = r[f"{limb}.{side}"]
    return np.maximum(weight, r[f"upperarm.{side}"]) if site is BodySite.ARM else weight


def _close_up(
    scene: Scene, body: Body, back: np.ndarray, up: np.ndarray, bare: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float] | None:
    """A random bare spot of the site seen from above; None when the site has none."""
    t, face, site = bodies.template(), body.face, scene.site
    rest, unit_cm = body.rest, face.unit_cm
    ok = (site_weight(scene, body) > 0.7) & bare & (t.inside_mouth < 0.05)
    ok &= body.rest_normals @ back > (0.55 if site is not BodySite.LOWER_LEG else 0.3)
    if site in (BodySite.FACE, BodySite.SCALP, BodySite.EAR):
        from_eyes = [np.linalg.norm(rest - face.eyes[s], axis=1) - face.radius for s in "lr"]
        ok &= np.minimum(*from_eyes) > 0.3
    if site is BodySite.FACE:
        ok &= (rest[:, 2] > face.middle[2] - 4 * unit_cm) & (
            rest[:, 1] < face.middle[1] + 5.5 * unit_cm
        )
    elif site is BodySite.SCALP:
        ok &= rest[:, 1] > face.middle[1] + 4 * unit_cm
    elif site is BodySite.EAR:
        ok &= (np.abs(rest[:, 1] - face.middle[1] + 2 * unit_cm) < 4 * unit_cm) & (
            np.abs(rest[:, 2] - face.middle[2] + 8 * unit_cm) < 3.5 * unit_cm
        )
    elif site is BodySite.CHEST:
        ok &= rest[:, 1] > body.joint("spine01")[1] + 2
    elif site is BodySite.ABDOMEN:
        ok &= np.abs(rest[:, 1] - body.joint("spine03")[1]) < 10 * body.stature
    index = np.flatnonzero(ok)
    if len(index) == 0:
        return None
    vertex = index[int(scene.spot[0] * len(index))]
    tilt = rng_of(scene.seed, "tilt").normal(size=3)
    roll = scene.turn[2] * (0.4 if site is BodySite.FACE else 2.0)
    low, high = (7, 14) if site in (BodySite.FACE, BodySite.EAR) else (5, 15)
    field = (low + (high - low) * scene.span) * min(1.0, max(0.6, body.stature))
    direction = mesh.unit(body.normals[vertex] + 0.18 * tilt)
    return body.points[vertex], direction, mesh.rotation(direction, roll) @ up, field


def frame(scene: Scene, body: Body, bare: np.ndarray) -> Framing | None:
    """The camera of a scene; bare [N] bool: vertices without clothes. None when nothing can be shown."""
    target, back, up, field = _whole_site(scene, body)
    back = mesh.unit(back)
    if scene.field is Field.CLOSE_UP:
        found = _close_up(scene, body, back, up, bare)
        if found is None:
            return None
        target, back, up, field = found
    shift = rng_of(scene.seed, "framing").normal(size=2) * field * 0.025
    if scene.site is BodySite.FACE or scene.field is Field.CLOSE_UP:
        up = mesh.rotation(back, scene.turn[2]) @ up if scene.field is Field.WHOLE_SITE else up
    right = mesh.unit(np.cross(up, back))
    up = np.cross(back, right)
    target = target + right * shift[0] + up * shift[1]
    distance = field * scene.camera.distance
    return Framing(target, target + back * distance, right, up, back, field, distance)
