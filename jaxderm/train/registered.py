"""Portraits at the nodes of an appearance, registered to their mean.

Groupwise (congealing, Learned-Miller 2006; without landmarks but five, Cootes 2004): to their mean, and again to the mean
of what that gave.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA, Sex
from jaxderm.face import face_skin_region, like_skin
from jaxderm.models import registration
from jaxderm.models.appearance import BLACK, FINER, SEXES, at_nodes, begun, nodes, rows_and_columns
from jaxderm.models.registration import Level

BATCH = 16  # faces that are registered at a time
LEVELS = (Level(12.0, 5.0, 3.0), Level(8.0, 3.5, 1.5), Level(5.0, 2.5, 0.8), Level(3.5, 1.8, 0.5))
ROUNDS = 4  # of registering to the mean
MIRRORED = [1, 0, 2, 4, 3]  # of landmarks


class Face(NamedTuple):
    """A portrait at the finer nodes: light [3,h,w] less that of its cheeks, inside [h,w], skin [h,w].

    marks [5,2]: rows and columns among the nodes; wide: the mouth, in distances from the eyes to it; ita: None unknown.
    """

    light: np.ndarray
    inside: np.ndarray
    skin: np.ndarray
    marks: np.ndarray
    wide: float
    sex: Sex
    age: float
    ita: float | None


def of_face(
    picture: np.ndarray, landmarks: np.ndarray, sex: Sex, age: float, ita: float | None
) -> Face:
    """A face at the nodes by its picture [S,S,3] uint8 and landmarks [5,2] px."""
    points = np.asarray(landmarks, np.float64)
    values = picture.astype(np.float32) / 255
    cheeks = face_skin_region(points, values.shape[:2])
    light = np.log(values + BLACK)
    light -= np.median(light[cheeks], axis=0)
    skin = like_skin(2 * values - 1, cheeks)[0]
    planes, inside = at_nodes(np.concatenate([light, skin[..., None]], -1), points, FINER)
    apart = np.linalg.norm(points[3:].mean(0) - points[:2].mean(0))
    wide = float(np.linalg.norm(points[4] - points[3]) / apart)
    marks = rows_and_columns(points, points)
    return Face(planes[:3], inside, planes[3] * inside, marks, wide, sex, age, ita)


def registered(faces: Sequence[Face]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(Flows [N,2,H,W] from a template to each face, the template [H,W], its marks [5,2]): a mean of both sexes' means."""
    sexes = [np.array([face.sex is sex for face in faces]) for sex in SEXES]

    def mean_of(values, weights=None):
        means = []
        for those in sexes:
            w = np.ones(those.sum()) if weights is None else weights[those]
            w = w.reshape(w.shape + (1,) * (values.ndim - w.ndim))
            means.append((w * values[those]).sum(0) / np.maximum(w.sum(0), 1))
        return np.mean(means, 0)

    own = np.stack([face.marks for face in faces])
    marks = mean_of(own)
    marks = (marks + [0, nodes()[0].shape[1] - 1] + marks[MIRRORED] * [1, -1]) / 2
    flows = np.stack([begun(marks_of, marks) for marks_of in own])
    return *congealed(faces, flows, mean_of, LEVELS, ROUNDS), marks


def congealed(
    faces: Sequence[Face],
    flows: np.ndarray,
    mean_of: Callable[..., np.ndarray],
    levels: Sequence[Level],
    rounds: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(Flows [N,2,H,W] from a template to each face, begun as given, the template [H,W]): by mean_of(values, weights)."""
    weights = np.stack([coarse(face.inside) for face in faces])
    lumas = [np.tensordot(LUMA, coarse(face.light), 1).astype(np.float32) for face in faces]
    contrast = jax.jit(jax.vmap(registration.of_one_contrast))
    planes = np.concatenate([contrast(*each) for each in _batches(np.stack(lumas), weights)])
    move = jax.jit(jax.vmap(registration.moved))
    register = jax.jit(
        jax.vmap(lambda *of: registration.flow_to(*of, levels), in_axes=(None, 0, 0, 0))
    )
    both, middle = np.stack([planes, weights], 1), mean_of(flows)
    for _ in range(rounds):
        moved = np.concatenate([move(*each) for each in _batches(both, flows)])
        template = even(mean_of(moved[:, 0], moved[:, 1])).astype(np.float32)
        each = _batches(planes, weights, flows)
        flows = np.concatenate([register(template, *batch) for batch in each])
        flows -= mean_of(flows) - middle
    return flows, template


def laid(faces: Sequence[Face], flows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(Light [N,3,h,w], inside, skin [N,h,w]) of faces at a template's finer nodes, by flows [N,2,H,W]."""
    planes = [np.concatenate([f.light, f.inside[None], f.skin[None]]) for f in faces]
    finer = FINER * ndimage.zoom(flows, (1, 1, *_zoom(flows.shape[2:])), order=1)
    move = jax.jit(jax.vmap(registration.moved))
    moved = np.concatenate([move(*each) for each in _batches(np.stack(planes), finer)])
    return moved[:, :3], moved[:, 3], moved[:, 4]


def coarse(planes: np.ndarray) -> np.ndarray:
    """Planes [...,h,w] of the finer nodes at the nodes, [...,H,W]."""
    return planes[..., ::FINER, ::FINER]


def even(plane: np.ndarray) -> np.ndarray:
    """A plane [...,W] and its mirror image in one."""
    return (plane + plane[..., ::-1]) / 2


def _zoom(shape: tuple[int, int]) -> list[float]:
    return [(FINER * (side - 1) + 1) / side for side in shape]


def _batches(*arrays: np.ndarray) -> Iterator[tuple[jnp.ndarray, ...]]:
    for k in range(0, len(arrays[0]), BATCH):
        yield tuple(jnp.asarray(array[k : k + BATCH]) for array in arrays)
