"""One picture from one scene: body, camera, light, skin, hair, lesion, labels; and what makes it fail."""

import dataclasses
import time

import numpy as np

from jaxderm.attributes import BodySite, Field, View
from jaxderm.data import pigment
from jaxderm.render import (
    backdrop,
    camera,
    clothes,
    eyes,
    face,
    fine_hair,
    hair,
    labels,
    lesions,
    mesh,
    shade,
    strokes,
)  # fmt: skip
from jaxderm.render import (
    body as bodies,
)
from jaxderm.render import (
    framing as frames,
)
from jaxderm.render import (
    scene as scenes,
)
from jaxderm.render.body import Body
from jaxderm.render.description import Scene
from jaxderm.render.framing import Framing
from jaxderm.render.noise import smoothstep
from jaxderm.render.sampler import EVERYTHING, Wanted, draw_scene
from jaxderm.render.scene import Hits, Shape
from jaxderm.render.skin import Skin, Surface, make_skin

HEAD_SITES = (BodySite.FACE, BodySite.EAR, BodySite.SCALP, BodySite.NECK)
MAX_ATTEMPTS = 20
THINNEST_HAIR = 0.0019  # half a strand's width as a share of the field: about a ray at 128 px


class FailedPicture(Exception):
    """A scene that gave no usable picture; the message says why."""


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """image [S,S,3] uint8 sRGB, skin and lesion [S,S] bool, and the row of labels without file name."""

    image: np.ndarray
    skin: np.ndarray
    lesion: np.ndarray
    labels: dict
    seconds: dict[str, float]
    attempt: int = 0


class _Clock:
    def __init__(self):
        self.seconds, self.last = {}, time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last
        self.last = now


def render_number(seed: int, number: int, size: int, wanted: Wanted = EVERYTHING) -> Picture:
    """Picture `number` of a corpus: scenes that fail are drawn again, always in the same way."""
    reasons = []
    for attempt in range(MAX_ATTEMPTS):
        scene = draw_scene(seed, number, attempt, wanted)
        try:
            return dataclasses.replace(render(scene, size), attempt=attempt)
        except FailedPicture as failure:
            reasons.append(f"{scene.site.value}: {failure}")
    raise RuntimeError(f"picture {number} of seed {seed} failed {MAX_ATTEMPTS} times: {reasons}")


def render(scene: Scene, size: int) -> Picture:
    """Picture of a scene, size x size pixels; FailedPicture when it shows nothing useful."""
    clock = _Clock()
    body = bodies.make_body(scene)
    garments = clothes.dress(scene, body)
    framing = frames.frame(scene, body, garments.covered < -0.5)
    if framing is None:
        raise FailedPicture("no bare skin to show")
    shapes, strands, looks, triangles = _shapes(scene, body, garments, framing)
    clock.lap("body and hair")
    albedo = pigment.reflectance(
        np.array([pigment.melanin_of_ita(scene.person.tone)]), np.array([0.4])
    )[0]
    hits, irradiance = scenes.trace(scene, framing, shapes, albedo, size)
    clock.lap("light")
    light = shade.lighting(scene, framing, hits, irradiance)
    canvas = _Canvas(scene, body, garments, framing, hits, light, triangles)
    canvas.paint_skin()
    clock.lap("skin")
    canvas.paint_others(strands, looks)
    canvas.draw_fine_hair()
    radiance = canvas.radiance.reshape(hits.size, hits.size, 3)
    image = camera.develop(scene, radiance, canvas.bare.reshape(hits.size, hits.size), size)
    skin, lesion = canvas.masks(size)
    depth = hits.depth.reshape(hits.size, hits.size)
    marks = labels.landmarks(scene, body, framing, depth, size)
    row = labels.label_row(
        scene, framing, image, skin, lesion, marks, canvas.albedo_ita, canvas.lesion_facts
    )
    clock.lap("picture")
    _check(scene, framing, hits, image, skin, lesion, marks)
    return Picture(image, skin, lesion, row, clock.seconds)


def _check(scene: Scene, framing: Framing, hits: Hits, image, skin, lesion, marks) -> None:
    if image.mean() < 12:
        raise FailedPicture("black")
    seen = hits.depth[np.isfinite(hits.depth)]
    if len(seen) == 0 or np.median(seen) < 0.35 * framing.distance:
        raise FailedPicture("the camera is inside the body")
    if skin.mean() < 0.08:
        raise FailedPicture("too little skin")
    if scene.lesion is not None and lesion.mean() < 1.2e-4:
        raise FailedPicture("the lesion is off the skin")
    if marks and scene.view is View.FRONTAL and sum(m[2] for m in marks.values()) < 4:
        raise FailedPicture("the face is hidden")


def _shapes(scene: Scene, body: Body, garments, framing: Framing):
    """Shapes to trace, strands by name, eyes, and the triangles of the body that are kept."""
    t = bodies.template()
    points = clothes.inflate(body.points, body.normals, garments)
    normals = mesh.vertex_normals(points, t.faces)
    near = np.linalg.norm(points - framing.target, axis=1) < 1.1 * framing.field_cm + 22
    side = "L" if scene.side > 0 else "R"
    if scene.site in (BodySite.HAND, BodySite.PALM, BodySite.ARM):
        limb = sum(t.regions[f"{part}.{side}"] for part in ("hand", "forearm", "upperarm"))
        near &= limb > 0.5
    elif scene.site in (BodySite.FOOT, BodySite.SOLE):
        limb = sum(t.regions[f"{part}.{side}"] for part in ("foot", "lowerleg", "thigh"))
        near &= limb > 0.5
    kept = np.flatnonzero(near[t.faces].all(1))
    if len(kept) == 0:
        raise FailedPicture("nothing in front of the camera")
    shapes = {"body": Shape(points, normals, t.faces[kept])}
    strands: dict[str, hair.Strands] = {}
    looks: dict[str, eyes.Eye] = {}
    if scene.site in HEAD_SITES:
        looks = eyes.make_eyes(scene, body)
        for k, eye in looks.items():
            shapes[f"eye_{k}"] = Shape(eye.points, eye.normals, eye.faces)
        for name, made in (
            ("hair", hair.scalp_hair(scene, body)),
            ("beard", hair.beard_hair(scene, body)),
        ):
            if made is None:
                continue
            strands[name] = made
            # No thinner than a ray's footprint: hair that falls between the rays would be a spray of dots.
            radius = np.maximum(made.radius, THINNEST_HAIR * framing.field_cm)
            vertices, faces = mesh.ribbons(made.lines, radius, framing.position)
            lit = np.repeat(made.outward.reshape(-1, 3), 2, axis=0)
            lit = mesh.unit(lit + 0.35 * mesh.unit(framing.position - vertices))
            shapes[name] = Shape(vertices, lit, faces, two_sided=True)
    elif scene.backdrop == "drape" and scene.field is Field.WHOLE_SITE:
        shapes["drape"] = _drape(scene, points[near], framing)
    return shapes, strands, looks, kept


def _drape(scene: Scene, limb: np.ndarray, framing: Framing) -> Shape:
    """A plane behind the limb, square to the camera."""
    around = np.linalg.norm(limb - framing.target, axis=1) < 0.8 * framing.field_cm
    behind = ((limb[around] - framing.target) @ framing.back).min() if around.any() else -10.0
    centre = framing.target + framing.back * (behind - 0.2)
    half = 3 * framing.field_cm
    corners = np.array([
        centre + half * (a * framing.right + b * framing.up) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ])  # fmt: skip
    return Shape(corners, np.repeat(framing.back[None], 4, 0), np.array([[0, 1, 2], [0, 2, 3]]))


class _Canvas:
    """The supersampled picture while it is painted."""

    def __init__(self, scene, body, garments, framing, hits, light, triangles):
        self.scene, self.body, self.garments = scene, body, garments
        self.framing, self.hits, self.light = framing, hits, light
        size = hits.size
        self.pixel_cm = framing.field_cm / size
        self.view = -framing.rays(size)
        self.radiance = backdrop.backdrop(scene, size).reshape(-1, 3)
        self.bare = np.zeros(size * size, bool)  # skin without nails, lips, hair
        self.lesion = np.zeros(size * size)
        self.covering = np.zeros((size, size))
        self.albedo_ita: float | None = None
        self.lesion_facts: dict = {}
        self.triangles = triangles

    def _surface(self) -> tuple[np.ndarray, Surface, np.ndarray, np.ndarray]:
        """Pixels that show the body, their surface, posed normals and positions."""
        t, body = bodies.template(), self.body
        pixels = self.hits.of("body")
        corners = t.faces[self.triangles[self.hits.primitive[pixels]]]
        texture = t.texture[self.triangles[self.hits.primitive[pixels]]]
        points = clothes.inflate(body.points, body.normals, self.garments)
        position = self.hits.position[pixels]
        weights = mesh.barycentric(points[corners], position)
        blend = lambda values: np.einsum("nk,nkc->nc", weights, values[corners])  # noqa: E731
        surface = Surface(
            rest=blend(body.rest),
            rest_normals=mesh.unit(blend(body.rest_normals)),
            texture=np.einsum("nk,nkc->nc", weights, texture),
            corners=corners,
            weights=weights,
            pixel_cm=self.pixel_cm,
        )
        normals = mesh.vertex_normals(points, t.faces)
        return pixels, surface, mesh.unit(blend(normals)), position

    def paint_skin(self) -> None:
        pixels, surface, normal, position = self._surface()
        if len(pixels) < 50:
            raise FailedPicture("too little skin")
        scene, size = self.scene, self.hits.size
        skin = make_skin(scene, self.body, surface)
        covered = surface.of(self.garments.covered)
        inside_mouth = surface.of(bodies.template().inside_mouth)
        cloth = covered > 0
        coverage = self._add_lesion(surface, skin, cloth)
        albedo = skin.albedo()
        roughness, specular, height = skin.roughness, skin.specular, skin.height
        shade_ = skin.shade * (1 - 0.75 * smoothstep(inside_mouth, 0.3, 0.8))
        under_hem = smoothstep(covered, -0.9, 0.0) * ~cloth
        shade_ = shade_ * (1 - 0.35 * under_hem)
        if cloth.any():
            top = surface.of(self.garments.top)
            for which, colour, salt in (
                (top > 0, scene.clothes.top_colour, 11), ((top <= 0) & cloth, scene.clothes.bottom_colour, 17),
            ):  # fmt: skip
                if which.any():
                    albedo[which], height[which] = clothes.weave(
                        surface.rest[which], covered[which], colour, scene.person.seed % 500 + salt
                    )
            roughness, specular = np.where(cloth, 0.9, roughness), np.where(cloth, 0.1, specular)
            shade_[cloth] = 1.0
        if scene.site in HEAD_SITES:
            albedo = self._under_hair(surface, skin, albedo)
        mask = np.zeros(size * size, bool)
        mask[pixels] = True
        soft = shade.spread_light(self.light, mask.reshape(size, size), self.pixel_cm)
        bent = shade.bumped(height, position, normal, pixels, size)
        self.radiance[pixels] = shade.shade_skin(
            self.light, soft.reshape(-1, 3)[pixels], position, self.view[pixels], normal, bent, albedo,
            roughness, specular, shade_,
        )  # fmt: skip
        bare = (
            ~cloth
            & (skin.nails < 0.5)
            & (skin.lips < 0.5)
            & (skin.hairy < 0.5)
            & (inside_mouth < 0.5)
        )
        self.bare[pixels] = bare
        self.lesion[pixels] = coverage
        plain = (
            bare & (coverage < 0.02) & (skin.palms < 0.1 if scene.view is not View.VOLAR else True)
        )
        if plain.sum() > 50:
            self.albedo_ita = pigment.albedo_ita(albedo[plain])

    def _under_hair(self, surface: Surface, skin: Skin, albedo: np.ndarray) -> np.ndarray:
        """Scalp darkened by the hair that is too dense to see through, and by the roots of a beard."""
        person = self.scene.person
        style = person.hair.style
        scalp = surface.of(hair.scalp_weight(self.scene, self.body))
        density = {"bald": 0.10, "cropped": 0.75}.get(style, 0.9)
        if person.years < 1.5:
            density *= 0.6
        amount = np.clip(scalp, 0, 1)[:, None] * density
        return albedo * (1 - amount) + amount * np.minimum(
            albedo, hair.hair_colour(self.scene) * 1.1
        )

    def _add_lesion(self, surface: Surface, skin: Skin, cloth: np.ndarray) -> np.ndarray:
        """Paints the scene's lesion into the skin; its coverage [N]."""
        nothing = np.zeros(len(cloth))
        lesion = self.scene.lesion
        if lesion is None:
            return nothing
        vertex = self._lesion_vertex()
        if vertex is None:
            raise FailedPicture("the lesion is off the skin")
        field = self.framing.field_cm
        radius = float(np.clip(lesion.radius_cm, max(0.15, 0.012 * field), 0.2 * field))
        lesion = dataclasses.replace(lesion, radius_cm=radius)
        centre, out = self.body.rest[vertex], self.body.rest_normals[vertex]
        first = mesh.unit(np.cross(out, [0.31, 0.57, 0.76]))
        axes = np.stack([first, np.cross(out, first), out], 1)
        local = (surface.rest - centre) @ axes
        near = np.flatnonzero((np.linalg.norm(local, axis=1) < 3.0 * radius + 0.5) & ~cloth)
        if len(near) == 0:
            raise FailedPicture("the lesion is off the skin")
        tone = pigment.melanin_of_ita(self.scene.person.tone)
        changes = lesions.paint(
            lesion, local[near], surface.rest_normals[near] @ axes, tone, self.pixel_cm
        )
        self._apply(skin, near, changes)
        coverage = nothing
        coverage[near] = changes.coverage
        self.lesion_facts = {"kind": lesion.kind, "radius_cm": round(radius, 3)}
        return coverage

    @staticmethod
    def _apply(skin: Skin, near: np.ndarray, changes) -> None:
        skin.melanin[near] = np.clip(skin.melanin[near], 0, 1) + changes.melanin
        skin.haemoglobin[near] += changes.haemoglobin
        skin.height[near] += changes.height
        skin.venous[near] += changes.venous
        skin.scale[near] = np.maximum(skin.scale[near], changes.scale)
        skin.roughness[near] *= 1 - 0.45 * changes.gloss
        skin.specular[near] += 0.8 * changes.gloss

    def _lesion_vertex(self) -> int | None:
        """The bare vertex in view that is nearest to where the scene wants the lesion."""
        t, body, scene, framing = bodies.template(), self.body, self.scene, self.framing
        place, depth = framing.project(body.points)
        facing = (body.normals * mesh.unit(framing.position - body.points)).sum(1)
        ok = (np.abs(place - 0.5).max(1) < 0.33) & (facing > 0.55) & (depth > 0)
        ok &= (self.garments.covered < -0.6) & (t.lips < 0.2) & (t.inside_mouth < 0.05)
        ok &= frames.site_weight(scene, body) > 0.5
        if scene.site in HEAD_SITES:
            ok &= face.eye_distance(body.rest, body.face) > 0.6
            if scene.site is not BodySite.SCALP:
                ok &= hair.scalp_weight(scene, body) < 0.2
        index = np.flatnonzero(ok)
        if len(index) == 0:
            return None
        # What hides a vertex is seen in the picture.
        spot = np.clip((place[index] * self.hits.size).astype(int), 0, self.hits.size - 1)
        pixel = spot[:, 1] * self.hits.size + spot[:, 0]
        away = np.linalg.norm(body.points[index] - framing.position, axis=1)
        index = index[self.hits.depth[pixel] > away - 0.6]
        if len(index) == 0:
            return None
        wanted = 0.5 + 0.5 * np.asarray(scene.lesion.place)
        return int(index[np.linalg.norm(place[index] - wanted, axis=1).argmin()])

    def paint_others(self, strands: dict, looks: dict) -> None:
        """Hair, eyes and drape."""
        irradiance = self.light.irradiance.reshape(-1, 3)
        for name, made in strands.items():
            pixels = self.hits.of(name)
            if len(pixels) == 0:
                continue
            count, knots = made.lines.shape[:2]
            segment = self.hits.primitive[pixels] % (count * (knots - 1))
            strand, knot = segment // (knots - 1), segment % (knots - 1)
            tangent = mesh.unit(made.lines[strand, knot + 1] - made.lines[strand, knot])
            self.radiance[pixels] = shade.shade_hair(
                self.light, irradiance[pixels], self.hits.position[pixels], self.view[pixels], tangent,
                made.colour[strand],
            )  # fmt: skip
        for key, eye in looks.items():
            pixels = self.hits.of(f"eye_{key}")
            if len(pixels) == 0:
                continue
            position = self.hits.position[pixels]
            albedo = eyes.eye_albedo(eye, position, self.scene, self.body.face.unit_cm)
            normal = mesh.unit(position - eye.centre)
            self.radiance[pixels] = shade.shade_eye(
                self.light, irradiance[pixels], position, self.view[pixels], normal, albedo,
                eyes.lid_shadow(eye, position),
            )  # fmt: skip
        pixels = self.hits.of("drape")
        if len(pixels):
            albedo = backdrop.drape_albedo(self.scene, self.hits.position[pixels])
            self.radiance[pixels] = albedo * irradiance[pixels]

    def draw_fine_hair(self) -> None:
        """Brows, lashes, stubble and body hair, as strokes."""
        size = self.hits.size
        depth = self.hits.depth.reshape(size, size)
        picture = self.radiance.reshape(size, size, 3)
        for made in fine_hair.fine_hair(self.scene, self.body):
            coverage = strokes.draw(made, self.framing, depth)
            lit = np.clip(self.light.irradiance, 0, 1.5)
            picture = strokes.over(picture, coverage, made.colour * lit)
            self.covering = np.maximum(self.covering, coverage)
        self.radiance = picture.reshape(-1, 3)
        self.bare &= self.covering.ravel() < 0.5

    def masks(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Skin and lesion [size,size] bool."""
        factor = self.hits.size // size
        small = lambda values: values.reshape(size, factor, size, factor).mean((1, 3))  # noqa: E731
        skin = small(self.bare.astype(float)) >= 0.5
        return skin, (small(self.lesion * self.bare) >= 0.5) & skin
