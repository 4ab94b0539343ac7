"""Fit of the appearance of faces to portraits: registered to their mean, regressed on sex and age, and what is left.

Portraits are registered groupwise (congealing, Learned-Miller 2006; without landmarks but five, Cootes 2004): to their
mean, and again to the mean of what that gave. Each value at each place is regressed on sex, age, smile and tone, robustly,
for glasses and strands, and evaluated for somebody who does not smile. `commands/train_appearance.py` is the program.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA, Sex
from jaxderm.data import complexion
from jaxderm.face import face_skin_region, like_skin
from jaxderm.models import registration
from jaxderm.models.appearance import (
    AGES,
    BLACK,
    SEXES,
    STEP,
    Appearance,
    at_nodes,
    begun,
    middles,
    nodes,
    rows_and_columns,
)
from jaxderm.models.registration import Level

BATCH = 16  # faces that are registered at a time
LEVELS = (Level(12.0, 5.0, 3.0), Level(8.0, 3.5, 1.5), Level(5.0, 2.5, 0.8), Level(3.5, 1.8, 0.5))
ROUNDS = 4  # of registering to the mean
MIRRORED = [1, 0, 2, 4, 3]  # of landmarks
# Where teeth show, in distances from the eyes to the mouth: across, down; how much of their light is that they are not red.
TEETH, PALE = ((-0.2, 0.2), (0.98, 1.12)), 0.5
# What is regressed on: middles and units of age, width of the mouth and tone; ridges in faces; and the somebody whom it is
# evaluated for: width, teeth in deviations.
AGE, WIDTH, TONE = (45.0, 20.0), (0.8, 0.1), (25.0, 20.0)
RIDGES = (1e-3, 1e-3, 4.0, 4.0, 4.0, 4.0, 8.0)
UNSMILING, CLOSED = 0.66, -1.8
# Robustly: a normal distribution's deviation by its median; rounds; deviations beyond which a value counts less; logarithms below which no deviation is.
DEVIATION, ROUNDS_OF_WEIGHTS, BEYOND, LEAST_DEVIATION = 1.48, 3, 1.7, 0.02
# An ellipse in which all is a face's, eyes too, in distances from the eyes to the mouth: middle, half axes, softness;
# elsewhere only what is like skin, and where so much of that is, it is told.
FACE, EDGE, TOLD = (0.42, (0.72, 0.85)), (1.1, 0.9), (0.15, 0.4)
UNLIKE = 0.003  # weight of what is not like skin
SPREAD = 4.0, 16.0  # nodes over which the others are filled
# Creases narrower than this, in distances from the eyes to the mouth, are smiles' and years': ages up to which all go, and
# from which none do. Forehead, nose, mouth and what is below keep what is narrow.
CREASE, CREASED, EVEN = 0.36, (30.0, 75.0), 3.2
UNDER_EYES, NOSE, CHIN = (0.1, 0.35), (0.62, 0.42), (1.2, 1.4)
MOUTH, MOUTH_EDGE = (1.04, (0.62, 0.3)), (1.3, 1.0)
# Of what differs from portrait to portrait: how many; logarithms that one differs by at most; nodes over which it is even.
MODES, MOST, BROAD = 24, 0.6, 2.0
ENDS = 4, 10  # nodes from the border to where all is taken
# Shares of portraits with skin at a place where none is taken, and all; around the mouth, in half widths of it, which is as
# much flatter; of where brows may be, where they surely are.
SHOWN, LIPS, FLAT, WITHIN = (0.35, 0.6), (1.05, 1.5), 1.6, 0.8


class Face(NamedTuple):
    """A portrait at the nodes: light [3,H,W] less that of its cheeks, inside [H,W], skin [H,W]; marks [5,2] rows and columns.

    wide: the mouth, in distances from the eyes to it; ita: None unknown.
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
    planes, inside = at_nodes(np.concatenate([light, skin[..., None]], -1), points)
    apart = np.linalg.norm(points[3:].mean(0) - points[:2].mean(0))
    wide = float(np.linalg.norm(points[4] - points[3]) / apart)
    marks = rows_and_columns(points, points)
    return Face(planes[:3], inside, planes[3] * inside, marks, wide, sex, age, ita)


def fit(faces: Sequence[Face]) -> Appearance:
    """The appearance of faces; both sexes are among them."""
    flows, template, marks = registered(faces)
    planes = [np.concatenate([f.light, f.inside[None], f.skin[None]]) for f in faces]
    move = jax.jit(jax.vmap(registration.moved))
    planes = np.concatenate([move(*each) for each in _batches(np.stack(planes), flows)])
    light, inside, skin = planes[:, :3], planes[:, 3], planes[:, 4]
    shown = _even(skin.sum(0) / np.maximum(inside.sum(0), 1))
    face = _ellipse(*FACE, EDGE)
    weight = inside * np.maximum(face, skin + UNLIKE)
    terms = _terms(faces, light)
    coefficients, apart = _regressed(light, weight, terms)
    told = _ramp(np.maximum(face, shown), *TOLD)
    people = [
        [
            _uncreased(_filled(_even(np.tensordot(_asked(sex, age), coefficients, 1)), told), age)
            for age in AGES
        ]
        for sex in SEXES
    ]
    modes = _modes(apart * weight * np.maximum(face, shown))
    across, _ = nodes()
    brows = middles(np.maximum(-template, 0) * _brows(), across)[:, ::-1]
    skin = _ramp(shown * _ends(), *SHOWN) * _beside_lips(marks)
    return Appearance(
        np.array(people, np.float32), modes, skin, template, np.concatenate([marks, brows])
    )


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
    columns = faces[0].inside.shape[1]
    marks = (marks + [0, columns - 1] + marks[MIRRORED] * [1, -1]) / 2
    flows = np.stack([begun(marks_of, marks) for marks_of in own])
    weights = np.stack([face.inside for face in faces])
    lumas = np.stack([np.tensordot(LUMA, face.light, 1) for face in faces]).astype(np.float32)
    contrast = jax.jit(jax.vmap(registration.of_one_contrast))
    planes = np.concatenate([contrast(*each) for each in _batches(lumas, weights)])
    move = jax.jit(jax.vmap(registration.moved))
    register = jax.jit(
        jax.vmap(lambda *of: registration.flow_to(*of, LEVELS), in_axes=(None, 0, 0, 0))
    )
    both = np.stack([planes, weights], 1)
    for _ in range(ROUNDS):
        moved = np.concatenate([move(*each) for each in _batches(both, flows)])
        template = _even(mean_of(moved[:, 0], moved[:, 1])).astype(np.float32)
        each = _batches(planes, weights, flows)
        flows = np.concatenate([register(template, *batch) for batch in each])
        flows -= mean_of(flows)
    return flows, template, marks


def _batches(*arrays: np.ndarray) -> Iterator[tuple[jnp.ndarray, ...]]:
    for k in range(0, len(arrays[0]), BATCH):
        yield tuple(jnp.asarray(array[k : k + BATCH]) for array in arrays)


def _ramp(x, zero, one):
    return np.clip((x - zero) / (one - zero), 0, 1)


def _even(plane: np.ndarray) -> np.ndarray:
    """A plane [...,W] and its mirror image in one."""
    return (plane + plane[..., ::-1]) / 2


def _ellipse(below: float, half: tuple[float, float], edge: tuple[float, float]) -> np.ndarray:
    """1 inside of an ellipse on the middle of a face, 0 outside, [H,W]."""
    across, down = nodes()
    return _ramp(np.hypot(across / half[0], (down - below) / half[1]), *edge)


def _asked(sex: Sex, age: float) -> np.ndarray:
    """Terms [T] of somebody who does not smile, of the middle tone."""
    return _term(sex, age, UNSMILING, CLOSED, TONE[0])


def _term(sex, age, wide, teeth, ita) -> np.ndarray:
    of = np.array([sex is each for each in SEXES], float)
    age, wide, ita = (
        (value - middle) / unit
        for value, (middle, unit) in ((age, AGE), (wide, WIDTH), (ita, TONE))
    )
    return np.array([*of, *(age * of), wide, teeth, ita])


def _terms(faces: Sequence[Face], light: np.ndarray) -> np.ndarray:
    """Terms [N,T] of faces of registered light [N,3,H,W]."""
    across, down = nodes()
    (left, right), (top, bottom) = TEETH
    there = (across > left) & (across < right) & (down > top) & (down < bottom)
    red, blue = light[:, 0, there].mean(1), light[:, 2, there].mean(1)
    teeth = np.tensordot(light[:, :, there].mean(2), LUMA, 1) - PALE * (red - blue)
    for sex in SEXES:  # lips are painted
        those = np.array([face.sex is sex for face in faces])
        teeth[those] -= teeth[those].mean()
    teeth /= teeth.std()
    rows = [
        _term(face.sex, face.age, face.wide, shows, TONE[0] if face.ita is None else face.ita)
        for face, shows in zip(faces, teeth)
    ]
    return np.stack(rows)


def _regressed(light, weight, terms) -> tuple[np.ndarray, np.ndarray]:
    """(Coefficients [T,3,H,W] of light [N,3,H,W] by terms [N,T]; luma that is left [N,H,W])."""
    coefficients, left = [], 0.0
    weights = weight.reshape(len(light), -1)
    for part, plane in zip(LUMA, np.moveaxis(light, 1, 0)):
        values, counts = plane.reshape(len(light), -1), weights
        for _ in range(ROUNDS_OF_WEIGHTS):
            squares = np.einsum("ni,nj,np->pij", terms, terms, counts, optimize=True)
            sums = np.einsum("ni,np->pi", terms, counts * values, optimize=True)
            found = np.linalg.solve(squares + np.diag(RIDGES), sums[..., None])[..., 0].T
            away = values - terms @ found
            deviation = DEVIATION * np.median(np.abs(away), 0) + LEAST_DEVIATION
            counts = weights / (1 + np.square(away / (BEYOND * deviation)))
        coefficients.append(found.reshape(-1, *light.shape[2:]))
        left = left + part * away.reshape(weight.shape)
    return np.stack(coefficients, 1), left


def _filled(planes: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Planes [C,H,W] where they are told [H,W], and around that as near by."""

    def near(sigma):
        sums = ndimage.gaussian_filter(planes * told, (0, sigma, sigma))
        return sums, ndimage.gaussian_filter(told, sigma)

    (close, weight), (far, other) = (near(sigma) for sigma in SPREAD)
    around = (close + 1e-2 * far) / np.maximum(weight + 1e-2 * other, 1e-7)
    return around + told * (planes - around)


def _uncreased(planes: np.ndarray, age: float) -> np.ndarray:
    """Planes [3,H,W] of somebody of an age, less narrow creases: a closing of each."""
    across, down = nodes()
    below, width = NOSE
    keeps = np.maximum(
        _ramp(np.hypot(across, down - below) / width, 1.0, 0.75),
        _ramp(down + 0.15 * np.abs(across), *CHIN),
    )
    keeps = np.maximum(keeps, 1 - _ramp(down, *UNDER_EYES))
    keeps = np.maximum(keeps, _ellipse(*MOUTH, MOUTH_EDGE))
    half = round(CREASE / STEP / 2)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    closed = [ndimage.grey_closing(plane, footprint=np.hypot(x, y) <= half) for plane in planes]
    less = ndimage.gaussian_filter(np.stack(closed), (0, EVEN, EVEN)) - planes
    return planes + np.interp(age, CREASED, (1, 0)) * (1 - keeps) * less


def _modes(apart: np.ndarray) -> np.ndarray:
    """The first modes [K,H,W] of how faces' light differs [N,H,W]: principal components, of one deviation each."""
    apart = ndimage.gaussian_filter(np.clip(apart, -MOST, MOST), (0, BROAD, BROAD))
    rows = np.concatenate([apart, apart[..., ::-1]]).reshape(2 * len(apart), -1)
    _, deviations, modes = np.linalg.svd(rows, full_matrices=False)
    modes = modes[:MODES] * (deviations[:MODES, None] / np.sqrt(len(rows)))
    return modes.reshape(-1, *apart.shape[1:]).astype(np.float32)


def _brows() -> np.ndarray:
    """1 where brows are looked for, [H,W]."""
    across, down = nodes()
    (beside, below), (wide, high) = complexion.BROWS
    return np.hypot((np.abs(across) - beside) / wide, (down - below) / high) < WITHIN


def _beside_lips(marks: np.ndarray) -> np.ndarray:
    """0 on the mouth of a template with landmarks marks [5,2], which smiles, 1 beyond, [H,W]."""
    rows, columns = np.indices(nodes()[0].shape)
    left, right = marks[3:]
    row, column = (left + right) / 2
    away = np.hypot(FLAT * (rows - row), columns - column) / ((right[1] - left[1]) / 2)
    return _ramp(away, *LIPS)


def _ends() -> np.ndarray:
    """0 at the border of the nodes, 1 within, [H,W]."""
    inside = np.pad(np.ones(np.array(nodes()[0].shape) - 2), 1)
    return _ramp(ndimage.distance_transform_edt(inside), *ENDS).astype(np.float32)
