"""Regions of a face by its five landmarks, in the face's own direction and size, and what looks like its skin."""

import numpy as np

from jaxderm.attributes import LUMA

# Of luma, and of red and blue less luma: deviations from the skin's median that skin has.
SKIN_WIDTHS = np.array([0.6, 0.2, 0.25], np.float32)


def face_coordinates(
    landmarks: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """(across, down) [H,W] float32 of each pixel in a face's own direction, by its landmarks [5,2] px.

    In distances from the eyes to the mouth: (0, 0) between the eyes, (0, 1) between the mouth's corners; across is
    positive to the image's right. None when an eye or a mouth corner is unknown.
    """
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    if np.isnan([eyes, mouth]).any() or np.allclose(eyes, mouth):
        return None
    y, x = (axis.astype(np.float32) for axis in np.ogrid[: shape[0], : shape[1]])
    # Python's floats leave float32 as it is, NumPy's do not.
    (from_x, from_y), (right, down) = eyes.tolist(), (mouth - eyes).tolist()
    dx, dy, square = x - from_x, y - from_y, right**2 + down**2
    return (dx * down - dy * right) / square, (dx * right + dy * down) / square


def mouth_coordinates(
    landmarks: np.ndarray, shape: tuple[int, int]
) -> tuple[tuple[np.ndarray, np.ndarray], float] | None:
    """((along, below) [H,W] of each pixel in widths of a mouth from its middle, its width in px), by landmarks [5,2] px.

    None when a corner is unknown.
    """
    left, right = landmarks[3:]
    width = float(np.linalg.norm(right - left))
    if not width >= 1:
        return None
    y, x = (axis.astype(np.float32) for axis in np.ogrid[: shape[0], : shape[1]])
    (middle_x, middle_y), (dx, dy) = (
        ((left + right) / 2).tolist(),
        ((right - left) / width).tolist(),
    )
    x, y = x - middle_x, y - middle_y
    return ((x * dx + y * dy) / width, (y * dx - x * dy) / width), width


def face_skin_region(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cheeks and nose of a face by its landmarks [5,2], without eyes and mouth: [H,W] bool.

    All False when a landmark is unknown.
    """
    place = None if np.isnan(landmarks).any() else face_coordinates(landmarks, shape)
    if place is None:
        return np.zeros(shape, bool)
    across, down = place
    return (np.abs(across) < 0.55) & (down > 0.28) & (down < 0.75)


def face_oval(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The whole face from hairline to chin and ear to ear, [H,W] bool, by its landmarks [5,2] px.

    An ellipse of 2.2 x 2.9 times the distance from eyes to mouth, in the face's own direction; all
    False when an eye or a mouth corner is unknown.
    """
    place = face_coordinates(landmarks, shape)
    if place is None:
        return np.zeros(shape, bool)
    across, down = place
    return (across / 1.1) ** 2 + ((down - 0.35) / 1.45) ** 2 < 1


def like_skin(frame, cheeks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(How much each pixel looks like the skin of the cheeks [S,S], its looks less the skin's [S,S,3], the skin's [3]).

    frame [S,S,3] in [-1,1], cheeks [S,S] bool. Looks: luma, and red and blue less luma.
    """
    luma = frame @ LUMA
    looks = np.stack([luma, frame[..., 0] - luma, frame[..., 2] - luma], -1)
    middle = np.median(looks[cheeks], axis=0)
    away = looks - middle
    off = away / SKIN_WIDTHS
    return np.exp(-0.5 * np.einsum("...c,...c", off, off)), away, middle
