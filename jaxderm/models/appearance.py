"""Appearance of faces in photographs: what each place of a face looks like, by sex and age, and how it differs.

An active appearance model (Cootes 1998) whose correspondence is found by registering all portraits to their mean, and
not from landmarks drawn by hand: means over many people, and the first principal components of what is left
(eigenpictures, Sirovich and Kirby 1987). Where a place of the face lies in a frame is found by registration too.
`train/appearance.py` fits it, `release/appearance.py` applies it.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from jaxderm.attributes import Sex
from jaxderm.face import face_coordinates

# In distances from the eyes to the mouth, as of `face.face_coordinates`: bounds of the nodes, and from one to the next.
ACROSS, DOWN, STEP = (-1.4, 1.4), (-1.45, 2.15), 0.025
FINER = 2  # steps from one node of a person's looks to the next for one of all others: as fine as portraits are
SPARSE = 2  # and nodes from one to the next of what people differ by, which is broad
SEXES = (Sex.FEMALE, Sex.MALE)
AGES = (28.0, 50.0, 75.0)  # years between which people are mixed
TONE = 25.0, 20.0  # degrees of ITA: of the people, and a unit darker
DARK = -1.0, 2.5  # units: as light and as dark as portraits are
YOUNGEST, OLDEST = 10.0, 80.0  # beyond the first and the last on the same line, up to here
BLACK = 0.03  # of values in [0,1]: added before a logarithm, so that noise in the dark is none
# Nodes, sigma: how far around a landmark its surroundings go along with it; the weight of what stays.
REACH, FAR = 9.0, 0.15
INVERSIONS = 6
LEAST_BROW = 20.0  # px or nodes, by how dark each is: what is less is no brow
# A closed mouth, in distances from the eyes to the mouth: how far below the eyes, half axes; where it ends, and is whole.
MOUTH, MOUTH_EDGE = (1.05, (0.5, 0.26)), (1.3, 0.9)
# An eye with its lids and what lies below, in those: how far beside the middle and below the eyes, half axes, edge.
EYE, EYE_EDGE = ((0.49, 0.06), (0.42, 0.28)), (1.15, 0.75)


class Appearance(NamedTuple):
    """What photographs of faces look like at the nodes.

    people [sexes,ages,3,H,W'], of finer nodes, of one half (`with_other_side`): logarithms of values less those of the cheeks,
    mouths closed; darker [3,H,W'], of those: what a unit of darker skin adds to them. modes [K,H,W], of sparse ones: how the light of one differs from that
    of the next, of one deviation each. shapes [K,2,H,W], of sparse ones: how far each place stands elsewhere in one than in
    the next, rows and columns among the nodes, of one deviation each; wider [2,H,W], of sparse ones: how far in those of
    darker skin, by a unit. eyes [K,3,h,w], of finer ones, of one side (`of_one_side`): how the light of eyes differs, of one
    deviation each. textures [sexes,ages,bands,directions,h,w]: how strong the relief of skin is (`models/texture.py`). skin [H,W]: how far it is skin there; template [H,W]: the mean of all, of one contrast; marks
    [7,2]: rows and columns of its landmarks and of its brows' middles.
    """

    people: np.ndarray
    darker: np.ndarray
    modes: np.ndarray
    shapes: np.ndarray
    wider: np.ndarray
    eyes: np.ndarray
    textures: np.ndarray
    skin: np.ndarray
    template: np.ndarray
    marks: np.ndarray


@functools.cache
def nodes(finer: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(across, down) [H,W] of the nodes, so many steps for one."""
    columns, rows = (round((high - low) / STEP) * finer + 1 for low, high in (ACROSS, DOWN))
    return np.meshgrid(np.linspace(*ACROSS, columns), np.linspace(*DOWN, rows))


def at_every_node(planes: np.ndarray) -> np.ndarray:
    """Planes [...,h,w] at sparse nodes at all, [...,H,W]."""
    sides = zip(nodes()[0].shape, planes.shape[-2:])
    scale = (1,) * (planes.ndim - 2) + tuple(side / few for side, few in sides)
    return ndimage.zoom(planes, scale, order=1)


def mouth_of(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """1 on a closed mouth, 0 beyond, at places of a face."""
    below, half = MOUTH
    end, whole = MOUTH_EDGE
    away = np.hypot(across / half[0], (down - below) / half[1])
    return np.clip((end - away) / (end - whole), 0, 1)


def eye_of() -> np.ndarray:
    """1 on both eyes, 0 beyond, at the finer nodes [h,w]."""
    across, down = nodes(FINER)
    (beside, below), half = EYE
    end, whole = EYE_EDGE
    away = np.hypot((np.abs(across) - beside) / half[0], (down - below) / half[1])
    return np.clip((end - away) / (end - whole), 0, 1)


def one_half(planes: np.ndarray) -> np.ndarray:
    """Planes [...,H,W] that are alike on both sides, of the image's left half with the middle column."""
    return planes[..., : planes.shape[-1] // 2 + 1]


def with_other_side(halves: np.ndarray) -> np.ndarray:
    """Planes [...,H,W] of their halves (`one_half`)."""
    return np.concatenate([halves, halves[..., -2::-1]], -1)


def of_one_side(planes: np.ndarray) -> np.ndarray:
    """Planes [...,h,w] at the finer nodes around the eye on the image's left."""
    return planes[..., *_eye_box()]


def on_both_sides(planes: np.ndarray) -> np.ndarray:
    """Planes [...,h,w] around the eye on the image's left, there and mirrored at all finer nodes; elsewhere 0."""
    whole = np.zeros((*planes.shape[:-2], *nodes(FINER)[0].shape), planes.dtype)
    whole[..., *_eye_box()] = planes
    return whole + whole[..., ::-1]


@functools.cache
def _eye_box() -> tuple[slice, slice]:
    there = eye_of() > 0
    there[:, nodes(FINER)[0][0] >= 0] = False
    rows, columns = there.any(1).nonzero()[0], there.any(0).nonzero()[0]
    return np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def of_person(appearance: Appearance, sex: Sex, age: float | None) -> np.ndarray:
    """Somebody of a sex and an age, [3,H,W]: between the ages; age unknown, the middle one; sex, the mean of both."""
    return with_other_side(_between(appearance.people, sex, age))


def texture_of(appearance: Appearance, sex: Sex, age: float | None) -> np.ndarray:
    """Strengths of the texture of somebody's skin, as of `of_person`, [bands,directions,h,w]."""
    return np.maximum(_between(appearance.textures, sex, age), 0)


def _between(people: np.ndarray, sex: Sex, age: float | None) -> np.ndarray:
    of_sex = people[SEXES.index(sex)] if sex in SEXES else people.mean(0)
    age = AGES[1] if age is None else np.clip(age, YOUNGEST, OLDEST)
    first = 0 if age < AGES[1] else 1
    share = (age - AGES[first]) / (AGES[first + 1] - AGES[first])
    return of_sex[first] + np.float32(share) * (of_sex[first + 1] - of_sex[first])


def darkness(ita: float | None) -> np.float32:
    """How many units darker than the people skin of that ITA is, as far as portraits tell; unknown, none."""
    middle, unit = TONE
    return np.float32(0 if ita is None else np.clip((middle - ita) / unit, *DARK))


def rows_and_columns(points: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Rows and columns [N,2] among the nodes on a face at landmarks [5,2] px, of points [N,2] px."""
    eyes = landmarks[:2].mean(0)
    right, down = axis = landmarks[3:].mean(0) - eyes
    away = points - eyes
    places = np.stack([away @ axis, away @ [down, -right]], -1) / (axis @ axis)
    return (places - [DOWN[0], ACROSS[0]]) / STEP


def middles(brows: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Columns and rows [2,2] of the middles of both brows [H,W], by how far across [H,W] all is; NaN where there is none."""
    found = np.full((2, 2), np.nan)
    for k, own in enumerate((brows * (across < 0), brows * (across > 0))):
        if own.sum() > LEAST_BROW:
            found[k] = [np.tensordot(axis, own) / own.sum() for axis in np.indices(own.shape)[::-1]]
    return found


def at_nodes(
    picture: np.ndarray, landmarks: np.ndarray, finer: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """(picture [S,S,C] at the nodes on a face at landmarks [5,2] px, [C,H,W], 1 where they are inside of it, [H,W])."""
    across, down = nodes(finer)
    eyes = landmarks[:2].mean(0)
    dx, dy = landmarks[3:].mean(0) - eyes
    y, x = eyes[1] + down * dy - across * dx, eyes[0] + down * dx + across * dy
    sigma = 0.4 * STEP / finer * np.hypot(dx, dy)  # what nodes are too far apart to show
    planes = np.moveaxis(ndimage.gaussian_filter(picture, (sigma, sigma, 0)), -1, 0)
    there = [ndimage.map_coordinates(p, (y, x), order=1, mode="nearest") for p in planes]
    height, width = picture.shape[:2]
    inside = (y >= 0) & (x >= 0) & (y <= height - 1) & (x <= width - 1)
    return np.stack(there).astype(np.float32), inside.astype(np.float32)


def begun(own: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Flow [2,H,W] from a template with marks [N,2] to a face with its own [N,2], rows and columns; NaN stay."""
    moves, (rows, columns) = np.nan_to_num(own - marks), np.indices(nodes()[0].shape)
    away = np.hypot(rows - marks[:, 0, None, None], columns - marks[:, 1, None, None])
    weight = np.exp(-0.5 * np.square(away / REACH))
    return (np.tensordot(moves.T, weight, 1) / (weight.sum(0) + FAR)).astype(np.float32)


def in_frame(
    planes: Sequence[np.ndarray], flow: np.ndarray, landmarks: np.ndarray, size: int
) -> np.ndarray:
    """What is at a template's nodes, or finer ones, in a frame of size px whose face has landmarks [5,2] px and flow.

    Planes [C,H,W] each; [S,S,C] of all.
    """
    grid = np.indices(flow.shape[1:], np.float32)
    back = grid
    for _ in range(INVERSIONS):
        back = grid - sampled(flow, back)
    here = in_nodes(landmarks, size)
    here = here + sampled(back - grid, here)
    rows = flow.shape[1] - 1
    there = [sampled(part, here * ((part.shape[1] - 1) / rows)) for part in planes]
    return np.moveaxis(np.concatenate(there), 0, -1)


def in_nodes(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Rows and columns [2,S,S] among the nodes of a frame's pixels; landmarks [5,2] px."""
    across, down = face_coordinates(landmarks, (size, size))
    return np.stack([(down - DOWN[0]) / STEP, (across - ACROSS[0]) / STEP])


def sampled(planes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Planes [C,H,W] at rows and columns [2,...]; beyond their edges as there."""
    return np.stack(
        [ndimage.map_coordinates(plane, places, order=1, mode="nearest") for plane in planes]
    )
