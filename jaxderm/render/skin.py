"""What skin is made of at each visible point: melanin, blood, relief, gloss; all in body space.

Everything depends on the place at rest, the person and the scene, and only through `pixel_cm` (details too
fine for the picture fade out) on the resolution.
"""

import dataclasses

import numpy as np
from scipy.spatial import cKDTree

from jaxderm.attributes import BodySite, Sex
from jaxderm.data import pigment
from jaxderm.render import assets, face
from jaxderm.render import body as bodies
from jaxderm.render.body import Body
from jaxderm.render.description import Scene
from jaxderm.render.noise import fractal, rng_of, scatter, smoothstep, value_noise


@dataclasses.dataclass(eq=False)
class Surface:
    """Visible points [N]: rest positions and normals, texture coordinates, triangles and weights in them."""

    rest: np.ndarray
    rest_normals: np.ndarray
    texture: np.ndarray
    corners: np.ndarray
    weights: np.ndarray
    pixel_cm: float

    def of(self, per_vertex: np.ndarray) -> np.ndarray:
        """Values at the points of an array over the subdivided vertices."""
        return np.einsum("nk,nk...->n...", self.weights, per_vertex[self.corners])

    def mask(self, name: str) -> np.ndarray:
        """Texture mask [N]."""
        return assets.sample_mask(name, self.texture)

    def visible(self, size_cm: float) -> float:
        """0 when a detail of this size is too small for the picture's pixels, 1 when it shows."""
        return float(smoothstep(size_cm / self.pixel_cm, 0.7, 2.2))


@dataclasses.dataclass(eq=False)
class Skin:
    """Layers [N]; height in cm; shade multiplies the light (creases); roughness of the GGX highlight."""

    melanin: np.ndarray
    haemoglobin: np.ndarray
    venous: np.ndarray
    height: np.ndarray
    roughness: np.ndarray
    specular: np.ndarray
    shade: np.ndarray
    scale: np.ndarray
    lips: np.ndarray
    nails: np.ndarray
    palms: np.ndarray
    lids: np.ndarray
    hairy: np.ndarray

    def albedo(self) -> np.ndarray:
        """Linear albedo [N,3]."""
        colour = pigment.reflectance(
            np.clip(self.melanin, 0, 1),
            np.clip(self.haemoglobin, 0, 3.2),
            np.clip(self.venous, 0, 2),
        )
        light = colour.mean(1, keepdims=True) ** 0.5
        flakes = np.array([0.66, 0.62, 0.57]) * (0.45 + 0.55 * light)
        amount = 0.75 * self.scale[:, None]
        return colour * (1 - amount) + flakes * amount


def make_skin(scene: Scene, body: Body, surface: Surface) -> Skin:
    """The skin of a scene's person at the visible points."""
    person, p = scene.person, surface.rest
    regions = bodies.template().regions
    seed = person.seed % 5000
    rng = rng_of(person.seed, "skin")
    head = surface.of(regions["head"])
    hand = surface.of(regions["hand.L"] + regions["hand.R"])
    foot = surface.of(regions["foot.L"] + regions["foot.R"])
    forearm = surface.of(regions["forearm.L"] + regions["forearm.R"])
    sunny = np.clip(forearm + hand + 0.7 * head, 0, 1)
    tone = pigment.melanin_of_ita(person.tone)
    old = person.ageing
    coarse = fractal(p, 0.12, 2, seed)
    middle = fractal(p, 0.8, 2, seed + 9)
    fine = fractal(p, 5.0, 2, seed + 20) * surface.visible(0.2)
    count = len(p)
    tan = 0.05 * rng.random() * (1 - tone)
    s = Skin(
        melanin=tone + 0.018 * coarse + 0.012 * middle * (0.5 + old) + 0.006 * fine + tan * sunny,
        haemoglobin=0.22 + 0.16 * person.ruddy + 0.10 * fractal(p, 0.25, 2, seed + 30)
        + 0.10 * middle + 0.05 * fine,
        venous=np.zeros(count),
        height=np.zeros(count),
        roughness=np.full(count, 0.46),
        specular=np.full(count, rng.uniform(0.6, 1.3)),
        shade=np.ones(count),
        scale=np.zeros(count),
        lips=np.zeros(count),
        nails=np.zeros(count),
        palms=np.zeros(count),
        lids=np.zeros(count),
        hairy=np.zeros(count),
    )  # fmt: skip
    if hand.max() > 0.05 or foot.max() > 0.05:
        _hands_and_feet(s, body, surface, hand, foot, tone, middle, fine, seed)
    if head.max() > 0.05:
        _head(s, scene, body, surface, head, tone, old, middle, fine)
    _veins(s, surface, hand, foot, forearm, person, seed, rng)
    _spots(s, scene, surface, head, hand, forearm, tone, old, fine, middle)
    _relief(s, surface, person, head, hand, forearm, old, seed)
    if scene.site in (BodySite.CHEST, BodySite.ABDOMEN):
        areola = surface.mask("aureolae")
        s.melanin += areola * 0.12 * (1 - 0.5 * tone)
        s.haemoglobin += areola * 0.5
    return s


def _hands_and_feet(s, body, surface, hand, foot, tone, middle, fine, seed) -> None:
    p, n = surface.rest, surface.rest_normals
    frames = {side: bodies.hand_frame(body.base, side) for side in "LR"}
    back = np.where((p[:, 0] > 0)[:, None], frames["L"].back, frames["R"].back)
    palm = hand * smoothstep(-(n * back).sum(1), -0.1, 0.35)
    sole = foot * smoothstep(-n[:, 1], 0.1, 0.5)
    s.palms = np.clip(palm + sole, 0, 1)
    pale = 0.45 * tone + 0.05 + 0.012 * middle
    s.melanin = s.melanin * (1 - s.palms) + s.palms * pale
    s.haemoglobin += s.palms * (0.30 + 0.22 * fractal(p, 1.5, 2, seed + 3))
    for side, f in frames.items():
        here = (p[:, 0] > 0) == (side == "L")
        if hand[here].max(initial=0) < 0.2:
            continue
        _knuckles(s, body, p, side, f, fine, tone)
        if (palm * here).max() > 0.3:
            _palm_creases(s, p, f, palm * here, middle, fine, tone)
    nails = np.clip(surface.mask("fingernails") + surface.mask("toenails"), 0, 1)
    s.nails = smoothstep(nails, 0.3, 0.7)
    s.melanin = s.melanin * (1 - s.nails) + s.nails * (0.62 * tone + 0.05)
    s.haemoglobin = s.haemoglobin * (1 - s.nails) + s.nails * 0.55
    s.roughness = s.roughness * (1 - s.nails) + s.nails * 0.22
    rim = smoothstep(nails, 0.1, 0.3) * smoothstep(nails, 0.7, 0.45)
    s.shade *= 1 - 0.2 * rim


def _knuckles(s, body, p, side, frame, fine, tone) -> None:
    size = frame.length / 9.0
    for finger in range(1, 6):
        for joint in (2, 3):
            bone = f"finger{finger}-{joint}.{side}"
            start = body.joint(bone)
            axis = body.joint(bone, "tail") - start
            axis = axis / np.linalg.norm(axis)
            away = p - start
            along = away @ axis
            close = np.flatnonzero(
                (np.abs(along) < 1.2 * size)
                & (np.linalg.norm(away - along[:, None] * axis, axis=1) < 1.25 * size)
            )
            if len(close) == 0:
                continue
            a = along[close] / size + 0.08 * fine[close]
            folds = sum(np.exp(-(((a - at) / 0.07) ** 2)) for at in (-0.22, 0.0, 0.2))
            knuckle = np.exp(-((a / 0.5) ** 2))
            dorsal = 1 - s.palms[close]
            s.haemoglobin[close] += 0.2 * knuckle * dorsal
            s.melanin[close] += 0.03 * knuckle * dorsal + 0.03 * folds * dorsal * (0.4 + tone)
            s.shade[close] *= 1 - (0.07 + 0.03 * dorsal) * np.clip(folds, 0, 1)
            s.height[close] -= 0.012 * folds


def _palm_creases(s, p, frame, palm, middle, fine, tone) -> None:
    u = ((p - frame.wrist) @ frame.along) / frame.length
    v = ((p - frame.wrist) @ frame.across) / frame.length
    jitter = 0.02 * middle + 0.006 * fine
    inside = palm * (u > 0.06) * (u < 0.98)
    lines = (
        (np.hypot(u - 0.02, v - 0.62) - 0.50 + jitter, (v < 0.45) & (u < 0.65)),
        (u - (0.62 - 0.32 * (0.35 - v) + jitter), v > -0.35),
        (u - (0.78 - 0.45 * (v + 0.35) ** 2 + jitter), v < 0.22),
    )
    for away, where in lines:
        crease = np.exp(-((away / 0.013) ** 2)) * inside * where
        # A crease is a fold in shade, not a red line; on dark skin pigment stays in it.
        s.shade *= 1 - 0.16 * crease
        s.melanin += crease * 0.10 * tone
        s.haemoglobin += 0.12 * crease
        s.height -= 0.03 * crease


def _head(s, scene, body, surface, head, tone, old, middle, fine) -> None:
    person, f, p = scene.person, body.face, surface.rest
    rng = rng_of(person.seed, "complexion")
    unit_cm, u = f.unit_cm, face.place(p, f)
    s.lips = smoothstep(surface.mask("lips"), 0.25, 0.65)
    ears = surface.mask("ears")
    s.lids = surface.mask("eyelids")
    blob = lambda at, r: np.exp(-((u - np.asarray(at)) ** 2).sum(1) / (2 * r * r))  # noqa: E731
    cheeks = blob([4.2, -3.8, 2.0], 2.2) + blob([-4.2, -3.8, 2.0], 2.2)
    nose = blob((f.nose - f.middle) / unit_cm, 1.6)
    red = 0.1 + 0.35 * person.ruddy + 0.2 * person.makeup
    s.haemoglobin += red * cheeks + 0.5 * red * nose + 0.4 * red * ears
    female = person.sex is Sex.FEMALE
    colour = 1.05 + 1.4 * person.makeup if female else rng.uniform(0.35, 0.65)
    s.haemoglobin += s.lips * colour * (1 - 0.35 * old * (not person.makeup))
    s.melanin += s.lips * (0.02 * (1 - tone) + 0.05 * tone * rng.random())
    s.roughness = s.roughness * (1 - s.lips) + s.lips * 0.33
    under_nose = u - (f.mouth_centre - f.middle) / unit_cm - [0, 1.2, 0]
    s.specular *= 1 - 0.8 * np.exp(-(under_nose[:, 0] ** 2 + under_nose[:, 1] ** 2))
    away = face.eye_distance(p, f)
    rim = smoothstep(-away, -0.16 * unit_cm, 0.02)
    s.haemoglobin += 0.5 * rim + 0.22 * smoothstep(-away, -1.2, 0)
    liner = 0.25 + 0.15 * female + 0.5 * person.makeup
    s.melanin += rim * smoothstep(p[:, 1], f.middle[1] - 0.1, f.middle[1] + 0.3) * liner
    shadow = 0.35 * person.makeup * rng.random()
    s.melanin += s.lids * (0.03 + 0.25 * shadow)
    s.venous += (
        (0.15 + 0.3 * rng.random() + 0.4 * old) * smoothstep(-away, -1.4, -0.3) * (u[:, 1] < 0.3)
    )
    if person.beard > 0:
        grows = face.beard(p, f) * head * (1 - s.lips) * (1 - ears)
        dark = (1 - float(np.mean(person.hair.colour)) * 1.5) * (1 - 0.7 * person.hair.grey)
        amount = min(person.beard, 0.4) / 0.4 * max(dark, 0.15)
        s.venous += grows * amount * 0.5
        s.melanin += grows * amount * (0.16 + 0.05 * fine) * (1 - 0.6 * tone)
        s.specular *= 1 - 0.4 * grows
        if person.beard > 0.4:
            s.hairy = np.maximum(s.hairy, grows)
    s.shade *= 1 - face.hollows(p, f, surface.rest_normals)
    lines = face.age_lines(f, person, old, rng_of(person.seed, "wrinkles"))
    depth, swell = face.wrinkles(p, f, lines)
    shown = depth * (1 - s.lips)
    s.shade *= 1 - 0.52 * np.minimum(shown, 1.4)
    s.shade *= 1 + 0.05 * swell
    s.height += 0.05 * swell - 0.10 * shown
    s.haemoglobin += 0.15 * shown
    if person.hair.style != "bald":
        scalp = face.hairline(p, f, person.hair.recession) * head * (1 - ears)
        s.hairy = np.maximum(s.hairy, scalp)


def _veins(s, surface, hand, foot, forearm, person, seed, rng) -> None:
    where = hand * (1 - s.palms) + 0.7 * forearm + 0.8 * foot * (1 - s.palms)
    strength = rng.uniform(0, 0.5) * float(smoothstep(person.years, 12, 40))
    if where.max() < 0.05 or strength < 0.02:
        return
    p = surface.rest
    ridge = np.abs(value_noise(p, 0.28, seed + 40) + 0.25 * value_noise(p, 0.9, seed + 41))
    vein = np.exp(-((ridge / 0.05) ** 2)) * where * strength * (1 - s.nails)
    s.venous += 0.5 * vein
    s.height += 0.05 * vein


def _spots(s, scene, surface, head, hand, forearm, tone, old, fine, middle) -> None:
    person, p = scene.person, surface.rest
    seed = person.seed % 100000
    place = p + 0.05 * np.stack([fine, middle, -fine], 1)
    smooth_skin = (1 - s.palms) * (1 - s.nails) * (1 - s.lips)

    def spots(cell, chance, low, high, salt):
        if chance <= 0 or high < 0.35 * surface.pixel_cm:
            return 0.0
        centre, value = scatter(p, cell, chance, seed + salt)
        if len(centre) == 0:
            return 0.0
        radius = low + (high - low) * value[:, 0]
        away, index = cKDTree(centre).query(place, distance_upper_bound=high * 1.4)
        found = np.isfinite(away)
        index = np.where(found, index, 0)
        strength = (0.3 + 0.7 * value[index, 1]) * found
        return smoothstep(np.where(found, away, 1e3) / radius[index], 1.25, 0.65) * strength

    open_air = 0.25 + head + forearm + 0.5 * hand
    if person.freckles > 0:
        s.melanin += (
            0.10 * spots(0.3, 0.35 * person.freckles, 0.03, 0.09, 0) * open_air * smooth_skin
        )
    moles = 0.05 + 0.10 * float(smoothstep(person.years, 5, 40))
    s.melanin += 0.2 * spots(3.0, moles, 0.07, 0.22, 1) * smooth_skin * (1 - 0.5 * tone)
    if old > 0.2:
        lentigo = spots(1.2, 0.25 * old * person.sun, 0.1, 0.45, 2)
        s.melanin += 0.09 * old * lentigo * (open_air + 0.2) * smooth_skin * (1 - 0.6 * tone)
    s.haemoglobin += 0.5 * spots(2.0, 0.02 + 0.06 * old, 0.04, 0.1, 3) * smooth_skin


def _relief(s, surface, person, head, hand, forearm, old, seed) -> None:
    p, smooth_skin = surface.rest, (1 - s.nails) * (1 - s.lips)
    pores = surface.visible(0.11)
    if pores > 0:
        centre, _ = scatter(p, 0.14, 0.9, seed + 50)
        away, _ = cKDTree(centre).query(p, k=2)
        groove = smoothstep((away[:, 1] - away[:, 0]) / 0.14, 0.3, 0.0) * smooth_skin
        s.shade *= 1 - 0.05 * pores * groove * (1 + old)
        s.haemoglobin += 0.04 * pores * groove
        s.height -= 0.008 * pores * groove * (1 + old)
    s.height += 0.012 * fractal(p, 9.0, 2, seed + 70) * surface.visible(0.11) * smooth_skin
    s.height += 0.02 * fractal(p, 2.5, 2, seed + 71) * surface.visible(0.4) * smooth_skin
    if old > 0.05:
        # Crepe: fine lines that run across the limb, a texture rather than a relief.
        stretch = np.array([0.7, 2.4, 0.7]) if head.max() > 0.3 else np.array([1.1, 1.8, 1.1])
        line = 1 - np.abs(fractal(p * stretch, 1.4, 2, seed + 60))
        where = old * (0.5 * head + 0.7 * hand * (1 - s.palms) + 0.6 * forearm + 0.35) * smooth_skin
        fine = smoothstep(line, 0.8, 1.0) * where * surface.visible(0.2)
        s.shade *= 1 - 0.12 * fine
        s.height -= 0.02 * fine
