"""The square the model sees: always contains kept, axis-aligned, integer boxes on the photo's grid.

Nothing here reads a pixel outside kept: frames come from the kept mask and from named, rounded
facts, and `evidence` is an exact integer sum over kept pixels.
"""

import dataclasses
import math

import numpy as np
from scipy import ndimage

from jaxderm.attributes import BodySite
from jaxderm.errors import InputError

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in photo pixels; x1 and y1 are exclusive."""

FACE_SIDE = 3.4  # frame side / face size (d of `face_frame`)
FACE_EYES = 0.43  # height of the eyes in a face frame
LESION_SIDE = 6  # frame side / longer side of kept
MIN_SIDE = 256  # px, a lesion frame
SPARE = 0.02  # of kept's longer side, between kept and the frame's edge
MAX_SIDE = 8  # frame side / longer side of the photo

_POINT_NAMES = (
    "the eye on the image's left, the eye on the image's right, the nose tip, the mouth corner on "
    "the image's left, the mouth corner on its right"
)


@dataclasses.dataclass(frozen=True)
class Frame:
    """A square box in photo pixels that may reach beyond the photo.

    scale is model pixels per photo pixel.
    """

    box: Box
    scale: float

    @property
    def side(self) -> int:
        """Side in photo pixels."""
        return self.box[2] - self.box[0]

    def inside(self, height: int, width: int) -> Box:
        """The frame's part on a photo of that size: the release's rectangle."""
        x0, y0, x1, y1 = self.box
        return max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)


def bounding_box(mask: np.ndarray) -> Box:
    """Box of the True pixels of mask [H,W] bool; ValueError for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError("the mask is empty")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def grow_mask(mask: np.ndarray, margin_px: float) -> np.ndarray:
    """Mask [H,W] bool of the pixels at most margin_px (centre to centre, Euclidean) from mask."""
    if not 0 <= margin_px < math.inf:
        raise InputError(f"margin '{margin_px}' is not a number of pixels from 0 up.")
    reach = math.floor(margin_px)
    if reach == 0:
        return mask.copy()
    x0, y0, x1, y1 = bounding_box(mask)
    around = (
        slice(max(y0 - reach, 0), min(y1 + reach, mask.shape[0])),
        slice(max(x0 - reach, 0), min(x1 + reach, mask.shape[1])),
    )
    grown = np.zeros_like(mask)
    grown[around] = ndimage.distance_transform_edt(~mask[around]) <= margin_px
    return grown


def lesion_diameter(mask: np.ndarray) -> float:
    """Diameter in px of the circle with the area of mask's largest piece (8-connected)."""
    x0, y0, x1, y1 = bounding_box(mask)
    pieces, _ = ndimage.label(mask[y0:y1, x0:x1], structure=np.ones((3, 3)))
    area = int(np.bincount(pieces.ravel())[1:].max())
    return 2 * math.sqrt(area / math.pi)


def default_margin(mask: np.ndarray, pixels_per_cm: float | None = None) -> int:
    """Margin in px: 10 % of `lesion_diameter`, rounded; at most 5 mm of known scale; at least 1."""
    margin = round(0.1 * lesion_diameter(mask))
    if pixels_per_cm is not None:
        margin = min(margin, math.floor(0.5 * pixels_per_cm))
    return max(margin, 1)


def parse_landmarks(text: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """Landmarks [5,2] float32 of "x,y x,y x,y x,y x,y".

    "-" or "nan,nan" is an unknown point (NaN), "none" alone stands for five of them. size is the
    photo's (height, width), when known. InputError for anything else, points outside the photo, and
    sides swapped.
    """
    if text.strip().lower() == "none":
        return np.full((5, 2), np.nan, np.float32)
    words = text.split()
    try:
        points = [_parse_point(word) for word in words]
    except ValueError:
        points = []
    if len(points) != 5:
        raise InputError(
            f"landmarks '{text}' are not five points \"x,y x,y x,y x,y x,y\"; give {_POINT_NAMES} "
            "('-' for one that is unknown), or 'none'."
        )
    landmarks = np.array(points, np.float32)
    if size is not None:
        height, width = size
        outside = (landmarks < 0).any(1) | (landmarks > [width, height]).any(1)
        if outside.any():
            word = words[int(np.flatnonzero(outside)[0])]
            raise InputError(
                f"landmark '{word}' lies outside the photo of {width} x {height} pixels; give '-' "
                "for a point that the photo does not show."
            )
    eyes, mouth = landmarks[1] - landmarks[0], landmarks[4] - landmarks[3]
    if eyes[0] < 0:
        raise InputError(
            f"landmarks '{text}' have the eyes swapped: the first point is the eye on the image's "
            "left (the patient's right), with the smaller x."
        )
    if eyes @ mouth < 0:
        raise InputError(
            f"landmarks '{text}' have the mouth corners swapped: the fourth point is the corner on "
            "the image's left."
        )
    return landmarks


def _parse_point(word: str) -> tuple[float, float]:
    if word == "-":
        return math.nan, math.nan
    x, y = (float(number) for number in word.split(","))
    if math.isinf(x) or math.isinf(y) or math.isnan(x) != math.isnan(y):
        raise ValueError(word)
    return x, y


def _middle(points: np.ndarray) -> np.ndarray | None:
    """Mean [2] float64 of the known points [N,2]; None without any."""
    known = points[~np.isnan(points).any(axis=1)].astype(np.float64)
    return known.mean(axis=0) if len(known) else None


def _face_size(landmarks: np.ndarray) -> tuple[float, float]:
    """Inter-ocular distance, and middle of the eyes to middle of the mouth, in px; 0 = unknown."""
    between = float(np.nan_to_num(np.linalg.norm(landmarks[1] - landmarks[0])))
    eyes, mouth = _middle(landmarks[:2]), _middle(landmarks[3:])
    return between, 0.0 if eyes is None or mouth is None else float(np.linalg.norm(mouth - eyes))


def landmark_grid(landmarks: np.ndarray) -> int:
    """Grid in px that landmarks [5,2] are rounded to: 2^floor(log2(d / 12)), at least 1.

    d is the inter-ocular distance; in profile (less than half the distance from the eyes to the
    mouth) and where an eye is unknown, the larger of the two; where neither is known, the largest
    distance between known points.
    """
    landmarks = np.asarray(landmarks, np.float64)
    between, height = _face_size(landmarks)
    distance = between if between >= 0.5 * height else height
    if distance == 0:
        known = landmarks[~np.isnan(landmarks).any(axis=1)]
        apart = np.linalg.norm(known[:, None] - known[None], axis=-1)
        distance = float(apart.max(initial=0.0))
    return 2 ** max(math.floor(math.log2(distance / 12)), 0) if distance >= 12 else 1


def round_landmarks(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks [5,2] float32 rounded to their `landmark_grid`; NaN stays NaN.

    Idempotent: where rounding itself moves the points so far apart that their grid doubles, they
    are rounded again. (A grid that halves changes nothing, since the grids are nested.)
    """
    rounded = np.asarray(landmarks, np.float64)
    while True:
        grid = landmark_grid(rounded)
        before, rounded = rounded, np.floor(rounded / grid + 0.5) * grid
        if np.array_equal(before, rounded, equal_nan=True):
            return rounded.astype(np.float32)


def landmarks_in_frame(landmarks: np.ndarray, frame: Frame) -> np.ndarray:
    """Landmarks [5,2] float32 in units of the frame's side, from its top left; NaN stays NaN."""
    origin = np.array(frame.box[:2], np.float64)
    return ((np.asarray(landmarks, np.float64) - origin) / frame.side).astype(np.float32)


def make_frame(
    kept: np.ndarray,
    model_size: int,
    site: BodySite = BodySite.UNSPECIFIED,
    landmarks: np.ndarray | None = None,
    custom: str | None = None,
) -> Frame:
    """The frame of kept [H,W] bool: custom text if given, by landmarks for a face, else by lesion.

    landmarks [5,2] must be rounded already; None or all NaN = not given.
    """
    if custom is not None:
        return custom_frame(custom, kept, model_size)
    given = landmarks is not None and not np.isnan(landmarks).all()
    if site is BodySite.FACE and given:
        return face_frame(landmarks, kept, model_size)
    return lesion_frame(kept, model_size)


def face_box(landmarks: np.ndarray) -> Box:
    """Square box of a face: side 3.4 d, eyes at 0.43 of its height, centred between eyes and mouth.

    d is the larger of the inter-ocular distance and the distance from the middle of the eyes to the
    middle of the mouth corners. Unknown points are left out; needs both eyes, or an eye and a mouth
    corner, else InputError.
    """
    landmarks = np.asarray(landmarks, np.float64)
    size = max(_face_size(landmarks))
    if size < 1:
        raise InputError(
            "landmarks do not say how large the face is; give both eyes, or one eye and a mouth "
            "corner, at different places, or 'none' for a close-up."
        )
    eyes, mouth = _middle(landmarks[:2]), _middle(landmarks[3:])
    side = round(FACE_SIDE * size)
    centre_x = eyes[0] if mouth is None else (eyes[0] + mouth[0]) / 2
    x0, y0 = round(centre_x - side / 2), round(eyes[1] - FACE_EYES * side)
    return x0, y0, x0 + side, y0 + side


def face_frame(landmarks: np.ndarray, kept: np.ndarray, model_size: int) -> Frame:
    """`face_box`, grown and shifted just so much that kept and 2 % around it lie within."""
    return _containing(face_box(landmarks), kept, model_size)


def lesion_frame(kept: np.ndarray, model_size: int) -> Frame:
    """Frame around kept: side clip(6 x its longer side, 256 px, whole photo), within the photo.

    Centred on kept, then shifted to lie within the photo; along an axis where the photo is shorter
    than the frame, shifted to contain the photo.
    """
    x0, y0, x1, y1 = bounding_box(kept)
    side = min(max(LESION_SIDE * max(x1 - x0, y1 - y0), MIN_SIDE), max(kept.shape))
    return centred_frame(kept, side, model_size)


def centred_frame(kept: np.ndarray, side: int, model_size: int) -> Frame:
    """Frame of a given side around kept, shifted as `lesion_frame` says."""
    height, width = kept.shape
    x0, y0, x1, y1 = bounding_box(kept)
    left, top = _place((x0 + x1) / 2, side, width), _place((y0 + y1) / 2, side, height)
    return Frame((left, top, left + side, top + side), model_size / side)


def _place(centre: float, side: int, extent: int) -> int:
    low, high = sorted((0, extent - side))
    return min(max(math.floor(centre - side / 2), low), high)


def custom_frame(text: str, kept: np.ndarray, model_size: int) -> Frame:
    """Frame of "x,y,side" (photo pixels, top left and side); InputError unless it contains kept."""
    try:
        x, y, side = (int(number) for number in text.split(","))
    except ValueError:
        raise InputError(
            f"frame '{text}' is not \"x,y,side\": give left, top and side as whole photo pixels."
        ) from None
    x0, y0, x1, y1 = bounding_box(kept)
    if not (x <= x0 and y <= y0 and x1 <= x + side and y1 <= y + side):
        raise InputError(
            f"frame '{text}' does not contain the kept pixels, x {x0} to {x1} and y {y0} to {y1}; "
            "enlarge or shift it."
        )
    if side > MAX_SIDE * max(kept.shape):
        raise InputError(
            f"frame '{text}' is more than {MAX_SIDE} times as large as the photo of "
            f"{kept.shape[1]} x {kept.shape[0]} pixels; reduce its side."
        )
    return Frame((x, y, x + side, y + side), model_size / side)


def _containing(box: Box, kept: np.ndarray, model_size: int) -> Frame:
    """The smallest square that contains box and kept with its spare, nearest to box's centre."""
    x0, y0, x1, y1 = bounding_box(kept)
    spare = math.ceil(SPARE * max(x1 - x0, y1 - y0))
    # Beyond the photo's edge there is nothing to spare for.
    low = min(box[0], max(x0 - spare, 0)), min(box[1], max(y0 - spare, 0))
    high = max(box[2], min(x1 + spare, kept.shape[1])), max(box[3], min(y1 + spare, kept.shape[0]))
    side = max(high[0] - low[0], high[1] - low[1])
    # A longer side than box's is shared evenly between its two ends, as far as low and high allow.
    start = [
        min(max((box[axis] + box[axis + 2] - side) // 2, high[axis] - side), low[axis])
        for axis in (0, 1)
    ]
    return Frame((start[0], start[1], start[0] + side, start[1] + side), model_size / side)


def share_of_frame(kept: np.ndarray, frame: Frame) -> float:
    """Kept pixels as a share of the frame's area on the photo."""
    x0, y0, x1, y1 = frame.inside(*kept.shape)
    return int(np.count_nonzero(kept[y0:y1, x0:x1])) / ((x1 - x0) * (y1 - y0))


def evidence(
    photo: np.ndarray, kept: np.ndarray, frame: Frame, model_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the model sees of photo [H,W,3] uint8: pixels [S,S,3] and mask [S,S] float32.

    S = model_size. mask is the share of each cell of the frame that kept [H,W] bool covers; pixels
    are the average colour of the kept pixels in the cell, in [-1, 1], times mask, so 0 where
    nothing is kept.
    """
    x0, y0, x1, y1 = bounding_box(kept)
    kept = kept[y0:y1, x0:x1].astype(np.uint8)
    colours = photo[y0:y1, x0:x1] * kept[..., None]
    left, top, side = frame.box[0], frame.box[1], frame.side
    # A cell is side / S photo pixels wide: counted in 1/S pixels every overlap is an integer, and
    # so is every sum. Exact sums do not depend on order, threads or platform.
    sums = np.concatenate([colours, kept[..., None]], axis=-1)
    rows, columns = (
        slice(max(low * model_size // side, 0), min(-(-high * model_size // side), model_size))
        for low, high in ((y0 - top, y1 - top), (x0 - left, x1 - left))
    )  # of the cells that kept touches; the others are zero
    sums = _cell_sums(sums, y0 - top, side, model_size, rows)
    sums = _cell_sums(sums.swapaxes(0, 1), x0 - left, side, model_size, columns).swapaxes(0, 1)
    colour, covered = sums[..., :3], sums[..., 3]
    area = side * side  # of a cell, in (1/S px)^2
    pixels = np.zeros((model_size, model_size, 3), np.float32)
    mask = np.zeros((model_size, model_size), np.float32)
    pixels[rows, columns] = (2 * colour - 255 * covered[..., None]) / (255 * area)
    mask[rows, columns] = covered / area
    return pixels, mask


def _cell_sums(values: np.ndarray, start: int, side: int, cells: int, wanted: slice) -> np.ndarray:
    """Exact box filter: sums [wanted, ...] int64 of integers [N, ...] along axis 0, times `cells`.

    The values begin at pixel `start` of a frame of `side` pixels, zero elsewhere; a pixel that a
    cell's edge cuts counts by its overlap. wanted: which of the cells.
    """
    count = len(values)
    edges = np.arange(wanted.start, wanted.stop + 1, dtype=np.int64)
    whole, part = np.divmod(edges * side - start * cells, cells)
    part[(whole < 0) | (whole >= count)] = 0
    whole = np.clip(whole, 0, count)
    cuts = np.unique(np.concatenate([[0], whole, [count]]))
    below = np.zeros((len(cuts), *values.shape[1:]), np.int64)  # sum of all before each cut
    for i in range(1, len(cuts)):  # forty times faster than np.add.reduceat
        below[i] = below[i - 1] + values[cuts[i - 1] : cuts[i]].sum(axis=0, dtype=np.int64)
    at_edge = below[np.searchsorted(cuts, whole)] * cells
    cut = values[np.minimum(whole, count - 1)].astype(np.int64)
    at_edge += cut * part.reshape(-1, *[1] * (values.ndim - 1))
    return np.diff(at_edge, axis=0)
