"""Where a bank's picture would lie in a frame: by landmarks for a face, by skin under kept elsewhere.

A placement is a matrix [2,3] from the frame's [0,1] square to the picture's. All of a bank are weighed at once.
"""

import dataclasses

import numpy as np
from scipy import ndimage

CORNERS = np.array([0, 1, 3, 4])  # eyes and mouth corners
SWAPPED = np.array([1, 0, 2, 4, 3])
POINTS = 32  # of kept, that are looked up on the skin
RING = 0.03  # of the frame: kept and so much around it shall lie on skin
SPOIL = 0.05  # rms misfit of the landmarks, of the face's size, that is one unit of penalty
TURN = 0.75  # of it, for a nose that stands as far aside
SQUEEZE = 0.5  # logarithm of width over height that is one
UNSEEN = 1.5  # a feature that is hidden in one of the two
ZOOMS = (1.0, 0.85, 0.7)  # of the picture's side, where the scale is free
SHIFTS = (0.0, 0.5, 1.0)  # of the room that a zoom leaves
# Of the picture's side: a smaller part is blurred; logarithm of the zoom that is one unit.
COARSE, BLURRED = 0.7, 0.1
OFF_CENTRE = 1.0  # of a picture's side that a crop's middle lies off its own, where a site shows itself: one unit
MISSCALED = 0.095  # logarithm of the scale that is one unit; twice as far costs four times as much
# Places on a chin, across and down in distances from the eyes to the mouth.
CHIN = (-0.3, 1.35), (0.3, 1.35), (0.0, 1.3), (-0.25, 1.5), (0.25, 1.5), (0.0, 1.55)


@dataclasses.dataclass(frozen=True)
class Fits:
    """Placements [P]: row of the picture, matrix [2,3], mirrored, penalty, shares off the skin and outside."""

    rows: np.ndarray
    matrices: np.ndarray
    mirrored: np.ndarray
    penalty: np.ndarray
    off_skin: np.ndarray
    outside: np.ndarray


def flipped(points: np.ndarray) -> np.ndarray:
    """Landmarks [...,5,2] in [0,1] of the mirrored picture."""
    return points[..., SWAPPED, :] * [-1, 1] + [1, 0]


def kept_points(mask: np.ndarray) -> np.ndarray:
    """Up to POINTS points [K,2] in [0,1] spread over kept [M,M] and a ring around it."""
    size = mask.shape[0]
    near = ndimage.distance_transform_edt(mask < 0.5) <= RING * size
    rows, columns = np.nonzero(near)
    if not len(rows):
        return np.full((1, 2), 0.5)
    some = np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).round().astype(int)
    return (np.stack([columns[some], rows[some]], -1) + 0.5) / size


def _mapped(matrices: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points [K,2] of the frame in the pictures of placements: [P,K,2]."""
    return at @ matrices[:, :, :2].swapaxes(1, 2) + matrices[:, None, :, 2]


def _off_skin(matrices, points, covers, mirrored) -> np.ndarray:
    """Share of points [K,2] off the skin of placements [P]."""
    side = covers.shape[-1]
    where = _mapped(matrices, points)
    cells = np.clip(np.floor(where * side).astype(int), 0, side - 1)
    x = np.where(mirrored[:, None], side - 1 - cells[..., 0], cells[..., 0])
    on = covers[np.arange(len(matrices))[:, None], cells[..., 1], x]
    on &= ((where >= 0) & (where <= 1)).all(-1)
    return 1 - on.mean(-1)


def _outside(matrices: np.ndarray) -> np.ndarray:
    """About the share of the frame outside the picture of placements [P], which may be turned."""
    step = (np.arange(6) + 0.5) / 6
    frame = _mapped(matrices, np.stack(np.meshgrid(step, step), -1).reshape(-1, 2))
    return 1 - ((frame >= 0) & (frame <= 1)).all(-1).mean(-1)


def face_size(points: np.ndarray) -> np.ndarray:
    """Larger of the distances eye to eye and eyes to mouth of landmarks [...,5,2]; 0 where unknown."""
    between = np.linalg.norm(points[..., 1, :] - points[..., 0, :], axis=-1)
    height = np.linalg.norm(points[..., :2, :].mean(-2) - points[..., 3:, :].mean(-2), axis=-1)
    return np.fmax(np.nan_to_num(between), np.nan_to_num(height))


def face_fits(
    bank: np.ndarray, landmarks: np.ndarray, covers: np.ndarray, mask: np.ndarray
) -> Fits:
    """Placements of faces with landmarks bank [N,5,2] and of their mirror images onto landmarks [5,2]."""
    count = len(bank)
    faces = np.concatenate([bank, flipped(bank)])
    mirrored = np.arange(2 * count) >= count
    seen, wanted = np.isfinite(faces).all(-1), np.isfinite(landmarks).all(-1)
    matrices = np.full((2 * count, 2, 3), np.nan)
    penalty = UNSEEN * (seen != wanted)[:, CORNERS].sum(-1).astype(float)
    for pattern in np.unique(seen & wanted, axis=0):
        rows = np.flatnonzero(((seen & wanted) == pattern).all(-1))
        corners = CORNERS[pattern[CORNERS]]
        some = corners if len(corners) == 4 else np.flatnonzero(pattern)
        if len(some) < 2:
            continue
        matrices[rows], misfit = _aligned(landmarks[some], faces[rows][:, some], len(corners) == 4)
        size = np.maximum(face_size(faces[rows]), 1e-3)
        penalty[rows] += misfit / size / SPOIL
        if len(corners) == 4:
            penalty[rows] += _squeeze(matrices[rows]) / SQUEEZE
            if pattern[2]:  # the head's turn shows in where the nose stands between the eyes
                nose = matrices[rows, :, :2] @ landmarks[2] + matrices[rows, :, 2]
                across = faces[rows, 1] - faces[rows, 0]
                across /= np.linalg.norm(across, axis=-1, keepdims=True)
                turn = np.abs(((nose - faces[rows, 2]) * across).sum(-1))
                penalty[rows] += TURN * turn / size / SPOIL
    usable = np.flatnonzero(np.isfinite(matrices).all((1, 2)))
    if not len(usable):  # nobody shows the features that are known: anybody, as the picture lies
        usable = np.arange(2 * count)
        matrices[:] = np.eye(2, 3)
    matrices, mirrored, penalty = matrices[usable], mirrored[usable], penalty[usable]
    rows = usable % count
    off = _off_skin(matrices, kept_points(mask), covers[rows], mirrored)
    return Fits(rows, matrices, mirrored, penalty, off, _outside(matrices))


def _aligned(target: np.ndarray, faces: np.ndarray, affine: bool) -> tuple[np.ndarray, np.ndarray]:
    """(matrices [N,2,3] from target [K,2] to faces [N,K,2] by least squares, rms of what is left [N]).

    Affine, or turned and scaled only.
    """
    if affine:
        design = np.c_[target, np.ones(len(target))]
        matrices = np.einsum("jk,nki->nij", np.linalg.pinv(design), faces)
    else:
        x, y = target.T
        zero, one = np.zeros_like(x), np.ones_like(x)
        design = np.concatenate([np.c_[x, -y, one, zero], np.c_[y, x, zero, one]])
        flat = np.concatenate([faces[..., 0], faces[..., 1]], -1)
        a, b, u, v = np.einsum("jk,nk->jn", np.linalg.pinv(design), flat)
        matrices = np.stack([np.stack([a, -b, u], -1), np.stack([b, a, v], -1)], 1)
    fitted = np.einsum("nij,kj->nki", matrices[:, :, :2], target) + matrices[:, None, :, 2]
    return matrices, np.sqrt(np.square(fitted - faces).sum(-1).mean(-1))


def _squeeze(matrices: np.ndarray) -> np.ndarray:
    """Logarithm of the larger over the smaller stretch of matrices [N,2,3]."""
    stretch = np.linalg.svd(matrices[:, :, :2], compute_uv=False)
    return np.log(stretch[:, 0] / np.maximum(stretch[:, 1], 1e-6))


def site_fits(
    widths: np.ndarray, wanted: float | None, covers: np.ndarray, mask: np.ndarray
) -> Fits:
    """Placements of pictures of widths [N] cm (NaN unknown) in a frame of `wanted` cm: crops, also mirrored."""
    count = len(covers)
    zooms = np.tile(np.array(ZOOMS), (count, 1))  # [N,Z]
    penalty = np.zeros((count, len(ZOOMS)))
    if wanted is not None:
        true = np.where(np.isfinite(widths), wanted / widths, 1.0)[:, None]
        # Its own scale, nearly that, and what comes nearest to it without an edge.
        nearly = np.clip(true * np.exp(-MISSCALED), 0.35, np.maximum(true, 1.0))
        zooms = np.concatenate([true, nearly, np.clip(true, 0.35, 1.0)], 1)
        penalty = np.square(np.log(zooms / true) / MISSCALED)
        penalty += np.maximum(np.log(COARSE / zooms), 0) / BLURRED
    shape = (count, zooms.shape[1], len(SHIFTS), len(SHIFTS), 2)
    rows, zoom, across, down, side = (v.ravel() for v in np.indices(shape))
    scale = zooms[rows, zoom]
    room, shifts = 1 - scale, np.array(SHIFTS)
    mirrored = side == 1
    matrices = np.zeros((len(rows), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    matrices[:, 0, 2], matrices[:, 1, 2] = room * shifts[across], room * shifts[down]
    off = _off_skin(matrices, kept_points(mask), covers[rows], mirrored)
    # Of crops it is known to the pixel; a twelfth of the frame at each side shows that the picture is mirrored there.
    start = matrices[:, :, 2]
    within = np.minimum(start + scale[:, None], 1) - np.maximum(start, 0)
    outside = 1 - (within / scale[:, None]).prod(-1)
    middle = OFF_CENTRE * np.abs(start + scale[:, None] / 2 - 0.5).sum(-1)
    return Fits(rows, matrices, mirrored, penalty[rows, zoom] + middle, off, outside)


def bearded(landmarks: np.ndarray, covers: np.ndarray) -> np.ndarray:
    """Whether faces of landmarks [N,5,2] show no skin on their chins, [N] bool; covers [N,C,C]: where skin is."""
    eyes, mouths = landmarks[:, None, :2].mean(2), landmarks[:, None, 3:].mean(2)
    down = mouths - eyes
    beside = np.stack([down[..., 1], -down[..., 0]], -1)
    across, below = np.array(CHIN).T[..., None]
    cells = np.floor((eyes + below * down + across * beside) * covers.shape[-1])
    inside = ((cells >= 0) & (cells < covers.shape[-1])).all(-1)  # not of the unknown
    x, y = np.where(inside[..., None], cells, 0).astype(int).transpose(2, 0, 1)
    skin = covers[np.arange(len(covers))[:, None], y, x]
    return inside.any(1) & ~(skin & inside).any(1)
