"""A person's body in a pose: rest and posed surface, regions, eyes, landmarks and frames of hands.

Rest positions are the coordinates of everything that is painted on skin, so that a freckle stays where
it is in every pose and every picture of the person.
"""

import dataclasses
import functools

import numpy as np
import scipy.sparse as sp

from jaxderm.attributes import BodySite
from jaxderm.render import assets, mesh, morphs
from jaxderm.render.description import Person, Scene
from jaxderm.render.noise import rng_of

IPD_CM = 6.7  # distance of the eyes of the (large) head that lengths on the face are written for
MESH_IPD_CM = 6.1  # the same before morphs.FACE moves the eyes apart


@dataclasses.dataclass(frozen=True, eq=False)
class Template:
    """What all bodies share, at the subdivided vertices [N] unless said otherwise.

    smooth [N,B] turns body vertices into subdivided ones; faces [F,3]; texture [F,3,2];
    regions {name: [N] weights}; skinning [V,bones] of the base mesh; eye {side: (vertices, smooth, faces)}.
    """

    count: int
    smooth: sp.csr_matrix
    faces: np.ndarray
    texture: np.ndarray
    regions: dict[str, np.ndarray]
    skinning: sp.csr_matrix
    eyes: dict[str, tuple[np.ndarray, sp.csr_matrix, np.ndarray]]
    lips: np.ndarray
    inside_mouth: np.ndarray
    aureolae: np.ndarray
    groin: np.ndarray


def _descendants(bone: str) -> list[str]:
    spec = assets.rig().spec

    def below(name):
        return name == bone or (bool(spec[name]["parent"]) and below(spec[name]["parent"]))

    return [name for name in spec if below(name)]


@functools.cache
def template() -> Template:
    """The template of the installed mesh."""
    base, rig = assets.base_mesh(), assets.rig()
    quads, corners = base.quads["body"][..., 0], base.quads["body"][..., 1]
    count = int(quads.max()) + 1
    smooth, faces, _ = mesh.catmull_clark(quads, count)
    _, texture_faces, linear = mesh.catmull_clark(corners, len(base.texture))
    faces, texture_faces = mesh.triangles(faces), mesh.triangles(texture_faces)
    texture = (linear @ base.texture)[texture_faces]

    def weights(*bones):
        columns = [rig.bones.index(bone) for bone in bones]
        return smooth @ rig.weights[:count, columns].sum(1)

    fingers = [f"finger{i}-{k}" for i in range(1, 6) for k in (1, 2, 3)]
    fingers += [f"metacarpal{i}" for i in range(1, 5)] + ["wrist"]
    toes = [bone[:-2] for bone in rig.bones if bone.startswith("toe") and bone.endswith(".L")]
    limbs = {
        "hand": fingers, "foot": [*toes, "foot"], "forearm": ["lowerarm01", "lowerarm02"],
        "upperarm": ["upperarm01", "upperarm02"], "shoulder": ["shoulder01", "clavicle"],
        "lowerleg": ["lowerleg01", "lowerleg02"], "thigh": ["upperleg01", "upperleg02"],
    }  # fmt: skip
    regions = {
        f"{limb}.{side}": weights(*[f"{bone}.{side}" for bone in bones])
        for limb, bones in limbs.items()
        for side in "LR"
    }
    regions["head"] = weights(*_descendants("head"))
    regions["neck"] = weights("neck01", "neck02", "neck03")
    regions["breast"] = weights("breast.L", "breast.R")
    limb_sum = sum(v for k, v in regions.items() if k[:-2] not in ("shoulder",) and k != "breast")
    regions["trunk"] = np.clip(1 - limb_sum, 0, 1)
    eyes = {}
    for side in "lr":
        eye = base.quads[f"helper-{side}-eye"][..., 0]
        ids = np.unique(eye)
        once, new, _ = mesh.catmull_clark(np.searchsorted(ids, eye), len(ids))
        twice, new, _ = mesh.catmull_clark(new, once.shape[0])
        eyes[side] = (ids, (twice @ once).tocsr(), mesh.triangles(new))

    def by_vertex(name):
        values = np.zeros(smooth.shape[0])
        sampled = assets.sample_mask(name, texture.reshape(-1, 2))
        np.maximum.at(values, faces.ravel(), sampled)
        return values

    return Template(
        count, smooth, faces, texture, regions, sp.csr_matrix(rig.weights), eyes,
        by_vertex("lips"), by_vertex("inside-mouth"), by_vertex("aureolae"),
        np.maximum(by_vertex("genitals"), by_vertex("crotch")),
    )  # fmt: skip


def joint(vertices: np.ndarray, bone: str, end: str = "head") -> np.ndarray:
    """Position [3] of a bone's end in base vertices [V,3]."""
    spec = assets.rig().spec[bone][end]
    strategy = spec["strategy"]
    if strategy == "CUBE":
        return vertices[assets.rig().groups[spec["cube_name"]]].mean(0)
    if strategy == "MEAN":
        return vertices[spec["vertex_indices"]].mean(0)
    if strategy == "XYZ":
        return np.array([vertices[spec["vertex_indices"][k], k] for k in range(3)])
    return vertices[spec["vertex_index"]]


def posed(vertices: np.ndarray, turns: dict[str, np.ndarray]) -> np.ndarray:
    """Base vertices [V,3] with bones turned by matrices given in rest axes (linear blend skinning)."""
    if not turns:
        return vertices
    rig, matrices = assets.rig(), {}
    for bone in rig.bones:
        parent = rig.spec[bone]["parent"]
        local = np.eye(4)
        if bone in turns:
            pivot = joint(vertices, bone)
            local[:3, :3] = turns[bone]
            local[:3, 3] = pivot - turns[bone] @ pivot
        matrices[bone] = matrices[parent] @ local if parent else local
    stacked = np.stack([matrices[bone].ravel() for bone in rig.bones])
    blended = (template().skinning @ stacked).reshape(-1, 4, 4)
    return np.einsum("nij,nj->ni", blended[:, :3, :3], vertices) + blended[:, :3, 3]


@dataclasses.dataclass(frozen=True, eq=False)
class HandFrame:
    """Wrist [3], unit vectors along the fingers, across (to the index finger) and out of the back; length cm."""

    wrist: np.ndarray
    along: np.ndarray
    across: np.ndarray
    back: np.ndarray
    length: float


def hand_frame(vertices: np.ndarray, side: str) -> HandFrame:
    """Frame of a hand ('L' or 'R') in base vertices [V,3]."""
    wrist, index, middle, little = (
        joint(vertices, f"{bone}.{side}")
        for bone in ("wrist", "finger2-1", "finger3-1", "finger5-1")
    )
    length = float(np.linalg.norm(middle - wrist))
    along = (middle - wrist) / length
    across = index - little
    across = mesh.unit(across - across @ along * along)
    back = np.cross(along, across) * (1 if side == "L" else -1)
    return HandFrame(wrist, along, across, back, length)


@dataclasses.dataclass(frozen=True, eq=False)
class FaceFrame:
    """The face at rest: eye centres [3] by side, their radius, and the scale of lengths on the face.

    middle: between the eyes; unit_cm: 1 cm on a head whose eyes are IPD_CM apart; top: highest y.
    nose, mouth: {side: corner}, chin: rest positions [3].
    """

    eyes: dict[str, np.ndarray]
    radius: float
    middle: np.ndarray
    unit_cm: float
    top: float
    nose: np.ndarray
    mouth: dict[str, np.ndarray]
    mouth_centre: np.ndarray
    chin: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Body:
    """base [V,3] at rest with the expression, base_posed [V,3]; rest, points, normals ... [N,3]."""

    person: Person
    base: np.ndarray
    base_posed: np.ndarray
    rest: np.ndarray
    rest_normals: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    face: FaceFrame
    landmark_vertices: dict[str, int]
    stature: float

    def joint(self, bone: str, end: str = "head") -> np.ndarray:
        """Position [3] of a bone's end at rest."""
        return joint(self.base, bone, end)

    def joint_posed(self, bone: str, end: str = "head") -> np.ndarray:
        """Position [3] of a bone's end in the pose."""
        return joint(self.base_posed, bone, end)


@functools.lru_cache(maxsize=4)
def _neutral(person: Person) -> np.ndarray:
    return morphs.displaced(assets.base_mesh().vertices, morphs.person_targets(person))


@functools.cache
def _landmark_vertices() -> dict[str, int]:
    """Subdivided vertices of nose tip, mouth corners and chin, found once on the average adult."""
    targets = morphs.phenotype(2.0, 0.5, 0.5, 0.5, 0.5, (1 / 3, 1 / 3, 1 / 3))
    base = morphs.displaced(assets.base_mesh().vertices, targets)
    t = template()
    rest = t.smooth @ base[: t.count]
    eyes = [base[t.eyes[side][0]].mean(0) for side in "lr"]
    middle = (eyes[0] + eyes[1]) / 2
    unit_cm = np.linalg.norm(eyes[0] - eyes[1]) / MESH_IPD_CM
    place = (rest - middle) / unit_cm
    head = (t.regions["head"] > 0.5) & (t.inside_mouth < 0.05)
    centre = head & (np.abs(place[:, 0]) < 0.4)
    nose = np.flatnonzero(centre & (place[:, 1] > -6) & (place[:, 1] < -1))
    chin = np.flatnonzero(centre & (place[:, 1] > -11) & (place[:, 1] < -9))
    lips = np.flatnonzero((t.lips > 0.5) & (t.inside_mouth < 0.3))
    between = np.flatnonzero(centre & (np.abs(place[:, 1] + 7.0) < 0.3))
    return {
        "nose": int(nose[rest[nose, 2].argmax()]),
        "chin": int(chin[rest[chin, 2].argmax()]),
        "mouth_l": int(lips[rest[lips, 0].argmax()]),
        "mouth_r": int(lips[rest[lips, 0].argmin()]),
        "mouth_centre": int(between[rest[between, 2].argmax()]),
    }


def make_body(scene: Scene) -> Body:
    """The body of a scene: person, expression and pose."""
    t, person = template(), scene.person
    neutral = _neutral(person)
    base = morphs.displaced(neutral, morphs.expression_targets(scene))
    base_posed = posed(base, _turns(scene, base))
    rest = t.smooth @ neutral[: t.count]
    points = t.smooth @ base_posed[: t.count]
    vertices = _landmark_vertices()
    eyes = {side: neutral[t.eyes[side][0]].mean(0) for side in "lr"}
    ids = t.eyes["l"][0]
    radius = float((neutral[ids].max(0) - neutral[ids].min(0))[0] / 2)
    face = FaceFrame(
        eyes=eyes,
        radius=radius,
        middle=(eyes["l"] + eyes["r"]) / 2,
        unit_cm=float(np.linalg.norm(eyes["l"] - eyes["r"]) / IPD_CM),
        top=float(rest[:, 1].max()),
        nose=rest[vertices["nose"]],
        mouth={side: rest[vertices[f"mouth_{side}"]] for side in "lr"},
        mouth_centre=rest[vertices["mouth_centre"]],
        chin=rest[vertices["chin"]],
    )
    stature = joint(neutral, "neck01")[1] - joint(neutral, "lowerleg01.L")[1]
    return Body(
        person, base, base_posed, rest, mesh.vertex_normals(rest, t.faces), points,
        mesh.vertex_normals(points, t.faces), face, vertices, float(stature / 98),
    )  # fmt: skip


def _turns(scene: Scene, base: np.ndarray) -> dict[str, np.ndarray]:
    """Bones to turn: curled and spread fingers of the hand in view, a slightly tilted head."""
    rng, turns = rng_of(scene.seed, "pose"), {}
    side = "L" if scene.side > 0 else "R"
    if scene.site in (BodySite.HAND, BodySite.PALM, BodySite.ARM):
        frame = hand_frame(base, side)
        sign = -1 if side == "L" else 1
        for finger in range(2, 6):
            spread = rng.normal() * 0.05
            for knuckle, share in ((1, 0.6), (2, 1.0), (3, 0.7)):
                turn = mesh.rotation(
                    frame.across, sign * (scene.curl + rng.normal() * 0.06) * share
                )
                if knuckle == 1:
                    turn = turn @ mesh.rotation(frame.back, spread)
                turns[f"finger{finger}-{knuckle}.{side}"] = turn
    if scene.site in (BodySite.FACE, BodySite.NECK, BodySite.EAR, BodySite.SCALP):
        turns["head"] = (
            mesh.rotation([0, 1, 0], rng.normal() * 0.05)
            @ mesh.rotation([1, 0, 0], rng.normal() * 0.04)
            @ mesh.rotation([0, 0, 1], rng.normal() * 0.04)
        )
    return turns
