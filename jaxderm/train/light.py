"""Fit of the light on faces: what portraits have of it and frames lack, and how it differs from portrait to portrait.

Each face's light is that of its skin, in logarithms, less that of its cheeks. Portraits' is regressed on age and on the
width of the mouth, since most smile, and evaluated for one who does not; lower faces are brought to one length and
width first, or chins would blur. `commands/train_light.py` is the program.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA, Sex
from jaxderm.face import face_skin_region, like_skin
from jaxderm.models.light import (
    ACROSS,
    AGES,
    BLACK,
    DOWN,
    SEXES,
    STEP,
    Light,
    at_nodes,
    nodes,
    nose_of,
)

# Of the distance from the eyes to the mouth: the width of a mouth that does not smile.
UNSMILING = 0.75
# What ages and those widths are told in, their middles and units; ridges of the three coefficients, in faces.
MIDDLE, UNITS, RIDGE = (45.0, 0.8), (20.0, 0.1), (1e-3, 4.0, 4.0)
# Where a lower face is, in distances from the eyes to the mouth, and what it is tried to be in length and width; rounds, and
# what a departure from none costs of correlation.
LOWER, LENGTHS, WIDTHS = (1.1, 2.1, 0.8), np.arange(0.8, 1.26, 0.05), np.arange(0.88, 1.13, 0.06)
ROUNDS, DEAR = 3, 0.3
# Shares of faces that show skin at a node with which it is not told, and is: hair of frames is beside it, and dark.
TOLD, TOLD_OF_FRAMES = (0.4, 0.7), (0.7, 0.9)
SPREAD = 4.0, 16.0  # nodes over which the others are filled
# Creases narrower than this, in distances from the eyes to the mouth, are smiles' and years': ages up to which all go,
# and from which none do. The nose and what is below the mouth keep what is narrow. So much of all is taken above that: noses
# of frames have some shade of their own, which a mean over noses of all widths does not show.
CREASE, CREASED, MOST_OF = 0.36, (30.0, 75.0), 0.7
NOSE_AT, NOSE_WIDE, CHIN = 0.62, 0.42, (1.2, 1.4)
LEAST, MOST = -0.35, 0.12  # of what is missing
TOP = -1.3, -0.9  # above, fields end
EVEN = 1.5  # nodes over which what is missing is smoothed
BROAD = 2.5  # nodes over which what a portrait's own light is, is smooth
MODES = 3  # of what differs from portrait to portrait


class Face(NamedTuple):
    """light [H,W,3], weight [H,W] at the nodes: of skin; wide: the mouth, in distances from the eyes to it."""

    light: np.ndarray
    weight: np.ndarray
    sex: Sex
    age: float
    wide: float


def of_face(
    picture: np.ndarray,
    landmarks: np.ndarray,
    nose: np.ndarray | None,
    sex: Sex,
    age: float,
    kept: np.ndarray | None = None,
) -> Face:
    """A face's light by its picture [S,S,3] uint8, landmarks [5,2] px and nose [2] px; nothing of what is kept [S,S]."""
    landmarks = np.asarray(landmarks, np.float64)
    frame = picture.astype(np.float32) / 127.5 - 1
    cheeks = face_skin_region(landmarks, frame.shape[:2])
    like = np.ones(cheeks.shape, np.float32)
    if kept is not None:
        cheeks, like = cheeks & ~kept, like * ~kept
    like *= like_skin(frame, cheeks)[0]
    light = np.log((frame + 1) / 2 + BLACK)
    light -= np.median(light[cheeks], axis=0)
    apart = np.linalg.norm(landmarks[3:].mean(0) - landmarks[:2].mean(0))
    sigma, place = max(0.5 * STEP * apart, 0.6), nose_of(nose, landmarks)
    weight = ndimage.gaussian_filter(like, sigma)
    planes = [
        ndimage.gaussian_filter(like * plane, sigma) / np.maximum(weight, 1e-3)
        for plane in np.moveaxis(light, -1, 0)
    ]
    planes, weight = (
        np.stack([at_nodes(plane, landmarks, place) for plane in several], -1)
        for several in (planes, [weight])
    )
    wide = float(np.linalg.norm(landmarks[4] - landmarks[3]) / apart)
    return Face(planes.astype(np.float32), weight[..., 0], sex, age, wide)


def fit(portraits: Sequence[Face], frames: Sequence[Face]) -> Light:
    """What frames of people lack of portraits' light, and how that differs; both of both sexes."""
    missing, apart = [], []
    for sex in SEXES:
        own, theirs = ([f for f in faces if f.sex is sex] for faces in (portraits, frames))
        of_portraits, weight = _regressed(_alike_below(own), (0, 1))
        of_frames, weight_of_frames = _regressed([_mirrored(face) for face in theirs], (0,))
        apart += [_broad(face, of_portraits) for face in own]
        both = []
        for age in AGES:
            crease = np.interp(age, CREASED, (1, 0))
            asked = (age - MIDDLE[0]) / UNITS[0], (UNSMILING - MIDDLE[1]) / UNITS[1]
            has, lacks = (
                _uncreased(_filled(np.tensordot(field, [1, *of], (-1, 0)), told), crease)
                for field, of, told in (
                    (of_portraits, asked, _ramp(weight, *TOLD)),
                    (of_frames, asked[:1], _ramp(weight_of_frames, *TOLD_OF_FRAMES)),
                )
            )
            both.append(_finished(has - lacks))
        missing.append(both)
    return Light(np.array(missing, np.float32), _modes(apart))


def _ramp(x, zero, one):
    return np.clip((x - zero) / (one - zero), 0, 1)


def _mirrored(face: Face) -> Face:
    """A face and its mirror image in one."""
    weight = (face.weight + face.weight[:, ::-1]) / 2
    sums = face.light * face.weight[..., None]
    light = (sums + sums[:, ::-1]) / 2 / np.maximum(weight, 1e-2)[..., None]
    return face._replace(light=light, weight=weight)


def _bent(plane: np.ndarray, length: float, width: float) -> np.ndarray:
    """Plane [H,W] with a lower face from one so much longer and wider."""
    across, down = nodes()
    from_down = np.where(down > 1, 1 + (down - 1) * length, down)
    from_across = across * (1 + (width - 1) * _ramp(down, 0.8, 1.3))
    places = (from_down - DOWN[0]) / STEP, (from_across - ACROSS[0]) / STEP
    return ndimage.map_coordinates(plane, places, order=1, mode="nearest")


def _alike_below(faces: Sequence[Face]) -> list[Face]:
    """Faces, mirrored, whose lower parts are as long and as wide as the mean of them (congealing, Learned-Miller 2006)."""
    across, down = nodes()
    top, bottom, aside = LOWER
    lower = (down > top) & (down < bottom) & (np.abs(across) < aside)
    mirrored = [_mirrored(face) for face in faces]
    lumas = [face.light @ LUMA for face in mirrored]
    tried = [(length, width) for length in LENGTHS for width in WIDTHS]
    # Of each face and each trial, the lower part only.
    bent = [
        [[_bent(plane, *t)[lower] for plane in (luma * face.weight, face.weight)] for t in tried]
        for luma, face in zip(lumas, mirrored)
    ]
    bent = np.array(bent, np.float32)
    light, weight = bent[:, :, 0] / np.maximum(bent[:, :, 1], 1e-2), bent[:, :, 1]
    dear = DEAR * np.square(np.array([length for length, _ in tried]) - 1)
    best = np.full(len(faces), len(tried) // 2)
    each = np.arange(len(faces))
    for _ in range(ROUNDS):
        total = weight[each, best].sum(0)
        mean = (weight * light)[each, best].sum(0) / np.maximum(total, 1e-3)
        w = weight * (total > 0.3 * len(faces))
        sums = np.maximum(w.sum(-1, keepdims=True), 1e-6)
        own = light - (w * light).sum(-1, keepdims=True) / sums
        of_mean = mean - (w * mean).sum(-1, keepdims=True) / sums
        variances = (w * own**2).sum(-1) * (w * of_mean**2).sum(-1)
        alike = (w * own * of_mean).sum(-1) / np.sqrt(variances + 1e-9) - dear
        best = alike.argmax(1)
    length, width = np.mean([tried[k] for k in best], 0)
    out = []
    for face, k in zip(mirrored, best):
        by = tried[k][0] / length, tried[k][1] / width
        w = _bent(face.weight, *by)
        sums = np.stack([_bent(face.light[..., c] * face.weight, *by) for c in range(3)], -1)
        out.append(face._replace(light=sums / np.maximum(w, 1e-2)[..., None], weight=w))
    return out


def _terms(faces: Sequence[Face], on: tuple[int, ...]) -> np.ndarray:
    facts = (np.array([[face.age, face.wide] for face in faces]) - MIDDLE) / UNITS
    return np.concatenate([np.ones((len(faces), 1)), facts[:, list(on)]], 1)


def _regressed(faces: Sequence[Face], on: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(Coefficients [H,W,3,1+on] of light: its mean and what age (0) and a wide mouth (1) add; mean weight [H,W])."""
    terms = _terms(faces, on)
    weight = np.stack([face.weight for face in faces]).astype(np.float64)
    light = np.stack([face.light for face in faces])
    left = np.einsum("nij,na,nb->ijab", weight, terms, terms, optimize=True)
    left += np.diag(RIDGE[: terms.shape[1]])
    right = np.einsum("nij,nijc,na->ijac", weight, light, terms, optimize=True)
    return np.moveaxis(np.linalg.solve(left, right), -1, -2), weight.mean(0)


def _broad(face: Face, of_all: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(How a portrait's luma differs from what is expected of it, where that is broad, [H,W]; the weight of it)."""
    apart = (face.light - of_all @ _terms([face], (0, 1))[0]) @ LUMA
    weight = ndimage.gaussian_filter(face.weight, BROAD)
    return ndimage.gaussian_filter(face.weight * apart, BROAD) / np.maximum(weight, 0.05), weight


def _modes(apart: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The first modes [K,H,W] of how faces' light differs: principal components, of one deviation each."""
    planes, weights = (np.stack(column) for column in zip(*apart))
    told = weights.mean(0)
    told = np.minimum(told, told[:, ::-1])
    there = told > TOLD[0]
    rows = planes[:, there]
    rows = np.concatenate([rows, planes[:, :, ::-1][:, there]])  # light comes from both sides
    _, deviations, modes = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    fields = np.zeros((MODES, *there.shape))
    fields[:, there] = modes[:MODES] * (deviations[:MODES, None] / np.sqrt(len(rows)))
    _, down = nodes()
    fields = np.moveaxis(_filled(np.moveaxis(fields, 0, -1), _ramp(told, *TOLD)), -1, 0)
    return (fields * _ramp(down, *TOP)).astype(np.float32)


def _filled(field: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Field [H,W,C] where it is told [H,W], and around that as near by."""

    def near(sigma):
        sums = ndimage.gaussian_filter(field * told[..., None], (sigma, sigma, 0))
        return np.concatenate([sums, ndimage.gaussian_filter(told, sigma)[..., None]], -1)

    sums = near(SPREAD[0]) + 1e-2 * near(SPREAD[1])
    around = sums[..., :-1] / np.maximum(sums[..., -1:], 1e-7)
    return around + told[..., None] * (field - around)


def _narrow() -> np.ndarray:
    """Where what is narrow stays, [H,W]: the nose, and below the mouth."""
    across, down = nodes()
    nose = _ramp(np.hypot(across, down - NOSE_AT) / NOSE_WIDE, 1.0, 0.75)
    return np.maximum(nose, _below_mouth())


def _below_mouth() -> np.ndarray:
    across, down = nodes()
    return _ramp(down + 0.15 * np.abs(across), *CHIN)


def _uncreased(field: np.ndarray, amount: float) -> np.ndarray:
    """Field [H,W,3] less an amount of its narrow creases: a closing of its luma."""
    half = round(CREASE / STEP / 2)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    luma = field @ LUMA
    closed = ndimage.grey_closing(luma, footprint=np.hypot(x, y) <= half)
    less = ndimage.gaussian_filter(closed, 2.0) - luma
    return field + (amount * (1 - _narrow()) * less)[..., None]


def _finished(missing: np.ndarray) -> np.ndarray:
    _, down = nodes()
    missing = ndimage.gaussian_filter(np.clip(missing, LEAST, MOST), (EVEN, EVEN, 0))
    share = (MOST_OF + (1 - MOST_OF) * _below_mouth()) * _ramp(down, *TOP)
    return missing * share[..., None]
