"""The scene in Mitsuba 3: what each pixel hits, and how much light arrives there.

Everything is diffuse with the mean skin albedo, so that radiance over albedo is irradiance wherever a
pixel mixes surfaces; colour is put on later in body space. The variant is scalar_rgb: it needs no LLVM
and is as fast as the others at these sizes.
"""

import dataclasses
import functools
import os

import numpy as np

from jaxderm.errors import InputError
from jaxderm.render import mesh
from jaxderm.render.description import Scene
from jaxderm.render.framing import Framing

SUPERSAMPLING = 2
SAMPLES = 12
DEPTH = 3
VARIANTS = ("scalar_rgb",)


@functools.cache
def mitsuba():
    """The mitsuba module with its variant set and one thread; InputError when it is missing."""
    variant = os.environ.get("JAXDERM_MITSUBA_VARIANT", "scalar_rgb")
    if variant not in VARIANTS:
        raise InputError(
            f"JAXDERM_MITSUBA_VARIANT '{variant}' is not supported: the renderer uses scalar_rgb, which "
            "needs no LLVM; unset the variable."
        )
    try:
        import drjit
        import mitsuba as mi
    except ImportError:
        raise InputError("rendering needs Mitsuba 3: pip install 'jaxderm[render]'.") from None
    mi.set_variant(variant)
    mi.set_log_level(mi.LogLevel.Error)
    drjit.set_thread_count(1)  # pictures run in parallel, not pixels
    return mi


@dataclasses.dataclass(frozen=True, eq=False)
class Shape:
    """A surface: points [N,3], normals [N,3], triangles [F,3]; two-sided for strands and cloth."""

    points: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    two_sided: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Hits:
    """First surface through each pixel of an R x R picture, row by row [R*R].

    shape: name's index in `names`, -1 for nothing; primitive: triangle; position [R*R,3]; depth in cm.
    """

    size: int
    names: tuple[str, ...]
    shape: np.ndarray
    primitive: np.ndarray
    position: np.ndarray
    depth: np.ndarray

    def of(self, name: str) -> np.ndarray:
        """Indices of the pixels that show a shape."""
        if name not in self.names:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.shape == self.names.index(name))


def _mesh(mi, name: str, shape: Shape, bsdf: dict):
    properties = mi.Properties()
    if shape.two_sided:
        bsdf = {"type": "twosided", "bsdf": bsdf}
    properties["bsdf"] = mi.load_dict(bsdf)
    made = mi.Mesh(
        name, len(shape.points), len(shape.faces), props=properties, has_vertex_normals=True
    )
    fields = mi.traverse(made)
    fields["vertex_positions"] = np.ascontiguousarray(shape.points, np.float32).ravel()
    fields["vertex_normals"] = np.ascontiguousarray(shape.normals, np.float32).ravel()
    fields["faces"] = np.ascontiguousarray(shape.faces, np.uint32).ravel()
    fields.update()
    return made


def light_positions(scene: Scene, framing: Framing) -> list[tuple[np.ndarray, float]]:
    """Centre [3] and half side in cm of each light."""
    result = []
    for light in scene.lights:
        axis = np.asarray(light.direction)
        axis = mesh.unit(axis[0] * framing.right + axis[1] * framing.up + axis[2] * framing.back)
        away = framing.distance * light.distance
        result.append((framing.target + axis * away, light.size * away))
    return result


def trace(
    scene: Scene, framing: Framing, shapes: dict[str, Shape], albedo: np.ndarray, size: int
) -> tuple[Hits, np.ndarray]:
    """Hits at SUPERSAMPLING x size, and irradiance [size,size,3] (1 = a white sky of radiance one)."""
    mi = mitsuba()
    numbers = lambda values: [float(v) for v in values]  # noqa: E731
    colour = np.clip(albedo, 0.02, 0.8)
    diffuse = {"type": "diffuse", "reflectance": {"type": "rgb", "value": numbers(colour)}}
    look = mi.ScalarTransform4f().look_at
    world = {"type": "scene"}
    for name, shape in shapes.items():
        world[f"s_{name}"] = _mesh(mi, f"s_{name}", shape, diffuse)
    sky = numbers(scene.ambient * np.asarray(scene.ambient_colour))
    world["sky"] = {"type": "constant", "radiance": {"type": "rgb", "value": sky}}
    places = light_positions(scene, framing)
    for k, (light, (centre, half)) in enumerate(zip(scene.lights, places)):
        away = framing.distance * light.distance
        radiance = light.power * away**2 / (4 * half**2) * np.asarray(light.colour)
        up = numbers(framing.up + 0.1 * framing.right)
        world[f"light{k}"] = {
            "type": "rectangle",
            "to_world": look(numbers(centre), numbers(framing.target), up)
            @ mi.ScalarTransform4f().scale([float(half), float(half), 1.0]),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": numbers(radiance)}},
        }
    world["integrator"] = {"type": "path", "max_depth": DEPTH, "hide_emitters": True}
    film = {"type": "hdrfilm", "rfilter": {"type": "box"}, "pixel_format": "rgb"}
    sensor = {
        "type": "perspective",
        "fov": float(2 * np.degrees(np.arctan(framing.slope))),
        "fov_axis": "x",
        "near_clip": 0.05,
        "to_world": look(numbers(framing.position), numbers(framing.target), numbers(framing.up)),
    }
    world["sensor"] = {
        **sensor,
        "film": {**film, "width": size, "height": size},
        "sampler": {"type": "independent", "sample_count": SAMPLES},
    }
    loaded = mi.load_dict(world)
    radiance = np.array(mi.render(loaded, spp=SAMPLES, seed=scene.seed % 2**31))
    hits = _hits(mi, loaded, sensor, film, framing, SUPERSAMPLING * size)
    return hits, radiance / colour


def _hits(mi, loaded, sensor: dict, film: dict, framing: Framing, size: int) -> Hits:
    integrator = mi.load_dict(
        {"type": "aov", "aovs": "place:position,shape:shape_index,triangle:prim_index"}
    )
    camera = mi.load_dict(
        {
            **sensor,
            "film": {**film, "width": size, "height": size},
            # One ray through each centre.
            "sampler": {"type": "stratified", "sample_count": 1, "jitter": False},
        }
    )
    values = np.array(mi.render(loaded, sensor=camera, integrator=integrator, spp=1))
    values = values.reshape(size * size, -1)[:, -5:].astype(np.float64)
    position, index = values[:, :3], values[:, 3]
    depth = np.linalg.norm(position - framing.position, axis=1)
    ids = [shape.id() for shape in loaded.shapes()]
    known = {i: name[2:] for i, name in enumerate(ids) if name.startswith("s_")}
    names = tuple(known.values())
    shape = np.full(size * size, -1)
    for i, name in known.items():
        # The integrator counts shapes from 1; 0 is the sky.
        shape[np.round(index) == i + 1] = names.index(name)
    depth = np.where(shape < 0, np.inf, depth)
    return Hits(size, names, shape, np.round(values[:, 4]).astype(np.int64), position, depth)
