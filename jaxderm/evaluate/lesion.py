"""Is the lesion there: byte equality, one segmentation run alike on photo and release, halo, spots,
seam, place among the landmarks.

photo and release are pictures [h,w,3] uint8 of the same rectangle; kept and lesion (the mask as drawn)
[h,w] bool. Colours are CIELAB, differences CIE76 Delta-E.
"""

import dataclasses
import math

import numpy as np
from scipy import ndimage

from jaxderm.attributes import rgb_to_lab
from jaxderm.frame import bounding_box, lesion_diameter

DICE_GOAL, AREA_GOAL = 0.95, 0.05  # DESIGN, contract 5
HALO_GOAL = 2.0  # Delta-E
MIN_CONTRAST = (
    6.0  # Delta-E between lesion and skin below which its outline is not there to be found
)
REACH = 0.15  # of the lesion's diameter, half as far again as the default margin
SPOT_CONTRAST = 4.0  # L* that a spot is darker than its surround
SPOT_SCALES = (0.006, 0.012)  # sigma as a share of the frame's side
SEAM_CONTROLS = 24


@dataclasses.dataclass(frozen=True)
class Exactness:
    """kept: pixels that must be equal; changed: of these, other bytes; lost: outside the release."""

    kept: int
    changed: int
    lost: int

    @property
    def exact(self) -> bool:
        """Whether every kept pixel is there, byte for byte."""
        return self.changed == 0 and self.lost == 0


def exactness(
    photo: np.ndarray, kept: np.ndarray, release: np.ndarray, rectangle: tuple[int, int, int, int]
) -> Exactness:
    """Byte equality of kept [H,W] of a whole photo [H,W,3] with a release on its rectangle."""
    x0, y0, x1, y1 = rectangle
    inside = kept[y0:y1, x0:x1]
    changed = (release[inside] != photo[y0:y1, x0:x1][inside]).any(-1).sum()
    total = int(kept.sum())
    return Exactness(total, int(changed), total - int(inside.sum()))


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """A lesion found in a picture: mask [h,w] bool of `window`, contrast to the skin in Delta-E."""

    mask: np.ndarray
    window: tuple[slice, slice]
    contrast: float


def segment(picture: np.ndarray, lesion: np.ndarray, kept: np.ndarray) -> Segmentation | None:
    """The lesion as one fixed algorithm sees it; None without enough skin around it.

    Skin: median colour of a ring outside kept. Lesion colour: median of the drawn mask's inner part.
    A pixel is lesion when it lies beyond half of the way from skin to lesion colour; what hangs
    together with the inner part, but for gaps of about the default margin, counts, up to half a
    diameter from the drawn mask.
    """
    diameter = lesion_diameter(lesion)
    window = _window(kept, 0.9 * diameter + 4)
    drawn, inside = lesion[window], kept[window]
    lab = _smooth(rgb_to_lab(picture[window]), max(0.8, 0.03 * diameter))
    distance = ndimage.distance_transform_edt(~inside)
    outside = (distance > 1) & (distance <= max(0.3 * diameter, 6))
    if outside.sum() < 50:
        return None
    ring = inside & ~ndimage.binary_dilation(drawn)
    if ring.sum() < 50:
        ring = outside
    depth = ndimage.distance_transform_edt(np.pad(drawn, 1))[1:-1, 1:-1]
    core = drawn & (depth >= 0.4 * depth.max())
    skin, spot = np.median(lab[ring], axis=0), np.median(lab[core], axis=0)
    contrast = float(np.linalg.norm(spot - skin))
    if contrast < 1e-3:
        return Segmentation(np.zeros_like(drawn), window, contrast)
    along = (lab - skin) @ ((spot - skin) / contrast**2)
    near = ndimage.distance_transform_edt(~drawn) <= REACH * diameter + 2
    above = (along > 0.5) & near
    # Pieces across a gap of the default margin belong to it: a halo begins outside kept.
    reach = ndimage.distance_transform_edt(~above) <= 0.06 * diameter + 1.5
    pieces, _ = ndimage.label(reach, np.ones((3, 3)))
    touched = np.unique(pieces[core])
    found = above & np.isin(pieces, touched[touched > 0])
    return Segmentation(ndimage.binary_fill_holes(found), window, contrast)


@dataclasses.dataclass(frozen=True)
class Outline:
    """Agreement of the lesion in photo and release. dice in [0,1]; area: release / photo - 1.

    added: lesion that only the release shows, as a share of the photo's: what a seam painted outwards.
    contrast: of the photo, Delta-E. drawn_dice: the photo's segmentation against the drawn mask, which
    says how far the algorithm is to be trusted.
    """

    dice: float
    area: float
    added: float
    contrast: float
    drawn_dice: float

    @property
    def same(self) -> bool:
        """Whether the goal of contract 5 is met."""
        return self.dice >= DICE_GOAL and abs(self.area) <= AREA_GOAL


def outline(
    photo: np.ndarray, release: np.ndarray, lesion: np.ndarray, kept: np.ndarray
) -> Outline | None:
    """Agreement of two segmentations; None where the lesion is too faint or the surround is missing."""
    before, after = segment(photo, lesion, kept), segment(release, lesion, kept)
    if before is None or after is None or before.contrast < MIN_CONTRAST or not before.mask.any():
        return None
    return Outline(
        dice(before.mask, after.mask),
        float(after.mask.sum() / before.mask.sum() - 1),
        float((after.mask & ~before.mask).sum() / before.mask.sum()),
        before.contrast,
        dice(before.mask, lesion[before.window]),
    )


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|) of two masks; 1 for two empty ones (Dice 1945)."""
    total = int(first.sum()) + int(second.sum())
    return 1.0 if total == 0 else 2 * int((first & second).sum()) / total


def halo(
    photo: np.ndarray, release: np.ndarray, lesion: np.ndarray, kept: np.ndarray
) -> float | None:
    """Delta-E by which the skin just outside kept is nearer to the lesion's colour in the release.

    The colour of a near ring (up to 0.15 diameters from kept) against a far one (0.35 to 0.7), along
    the direction from skin to lesion; the photo's own value, its natural border, is taken off.
    """
    diameter = lesion_diameter(lesion)
    window = _window(kept, 0.8 * diameter + 6)
    distance = ndimage.distance_transform_edt(~kept[window])
    near = (distance > 0) & (distance <= max(0.15 * diameter, 3))
    far = (distance > max(0.35 * diameter, 5)) & (distance <= max(0.7 * diameter, 9))
    if min(near.sum(), far.sum()) < 30:
        return None
    values = []
    for picture in (photo, release):
        lab = rgb_to_lab(picture[window])
        skin, spot = np.median(lab[far], axis=0), np.median(lab[lesion[window]], axis=0)
        direction = (spot - skin) / max(float(np.linalg.norm(spot - skin)), 1e-6)
        values.append(float(np.median((lab[near] - skin) @ direction)))
    return values[1] - values[0]


def spots(picture: np.ndarray, region: np.ndarray, side: int) -> int | None:
    """Dark spots in region [h,w] bool of a picture; None where the region is too small.

    Local maxima of the scale-normalised Laplacian of Gaussian of L* (Lindeberg 1998) at two sizes; a
    spot counts when a disc of that size would have to be SPOT_CONTRAST darker. side: of the frame, px.
    """
    if region.sum() < 400:
        return None
    x0, y0, x1, y1 = bounding_box(region)
    pad = int(4 * SPOT_SCALES[-1] * side) + 2
    box = np.s_[max(y0 - pad, 0) : y1 + pad, max(x0 - pad, 0) : x1 + pad]
    lightness = rgb_to_lab(picture[box])[..., 0]
    responses = []
    for share in SPOT_SCALES:
        sigma = max(share * side, 1.0)
        # A disc of radius sqrt(2) sigma and contrast 1 has a response of 2 / e at its centre.
        responses.append(sigma**2 * ndimage.gaussian_laplace(lightness, sigma) * (math.e / 2))
    response = np.max(responses, axis=0)
    reach = max(3, 2 * round(SPOT_SCALES[0] * side) + 1)
    peak = (response == ndimage.maximum_filter(response, reach)) & (response > SPOT_CONTRAST)
    return int((peak & region[box]).sum())


@dataclasses.dataclass(frozen=True)
class Seam:
    """Median colour gradient (Delta-E a pixel) across the boundary of kept.

    release and photo at the same place; controls: the same outline laid on skin of the photo.
    """

    release: float
    photo: float
    controls: tuple[float, ...]

    @property
    def visibility(self) -> float:
        """Share of controls with a smaller gradient (ties half); NaN without controls."""
        if not self.controls:
            return math.nan
        controls = np.array(self.controls)
        return float((controls < self.release).mean() + (controls == self.release).mean() / 2)


def seam(
    before: np.ndarray, release: np.ndarray, kept: np.ndarray, skin: np.ndarray
) -> Seam | None:
    """Gradient across kept's outline in release and photo, and on skin [h,w] bool of the photo.

    before: `gradient` of the photo [h,w], computed once for all methods.
    """
    height, width = kept.shape
    inner = np.s_[3 : height - 3, 3 : width - 3]
    edge = np.zeros_like(kept)
    edge[inner] = (kept & ~ndimage.binary_erosion(kept, border_value=1))[inner]
    if edge.sum() < 8:
        return None
    ys, xs = np.nonzero(edge)
    x0, y0, x1, y1 = bounding_box(kept)
    part = np.s_[max(y0 - 6, 0) : y1 + 6, max(x0 - 6, 0) : x1 + 6]
    own = float(np.median(gradient(release[part])[edge[part]]))
    allowed = skin & ~ndimage.binary_dilation(kept, iterations=4)
    # Everywhere the outline fits on skin, in a fixed order.
    places = np.argwhere(_fits(allowed, y1 - y0, x1 - x0))
    if len(places):
        places = places[np.linspace(0, len(places) - 1, SEAM_CONTROLS).astype(int)]
    controls = tuple(
        float(np.median(before[ys + top - y0, xs + left - x0]))
        for top, left in np.unique(places, axis=0)
    )
    return Seam(own, float(np.median(before[edge])), controls)


def _fits(allowed: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Top-left corners [.,.] bool at which a box of that size lies on allowed [h,w] (95 % of it)."""
    if rows > allowed.shape[0] or columns > allowed.shape[1]:
        return np.zeros((0, 0), bool)
    sums = np.pad(allowed.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = (
        sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns]
        + sums[:-rows, :-columns]
    )  # fmt: skip
    return inside >= 0.95 * rows * columns


def gradient(picture: np.ndarray) -> np.ndarray:
    """Colour gradient [h,w] of a picture [h,w,3] in Delta-E a pixel, Gaussian derivative of sigma 1."""
    lab = rgb_to_lab(picture)
    total = np.zeros(lab.shape[:2], np.float32)
    for channel in range(3):
        for order in ((0, 1), (1, 0)):
            total += ndimage.gaussian_filter(lab[..., channel], 1.0, order=order) ** 2
    return np.sqrt(total)


@dataclasses.dataclass(frozen=True)
class Place:
    """How far the face moved under the lesion, as shares of the inter-ocular distance.

    points: mean distance of the five landmarks; lesion: how far the lesion's centre lies, among the
    landmarks of the release, from where it lay among those of the photo.
    """

    points: float
    lesion: float


def place(before: np.ndarray, after: np.ndarray, lesion: np.ndarray) -> Place:
    """Place from landmarks [N,2] found by one detector on photo and release; lesion [h,w] bool."""
    before, after = np.asarray(before, float), np.asarray(after, float)
    # The two eyes are the first two pairs of dlib's five points.
    between = float(np.linalg.norm(before[:2].mean(0) - before[2:4].mean(0)))
    a, b = similarity(before, after)
    y, x = (float(v.mean()) for v in np.nonzero(lesion))
    moved = a * complex(x, y) + b
    apart = np.linalg.norm(after - before, axis=1).mean()
    return Place(float(apart) / between, abs(moved - complex(x, y)) / between)


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[complex, complex]:
    """(a, b) of the least-squares similarity target = a source + b, points [N,2] as x + iy (Umeyama 1991)."""
    s, t = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    ds, dt = s - s.mean(), t - t.mean()
    a = complex((np.conj(ds) * dt).sum() / max(float((np.abs(ds) ** 2).sum()), 1e-12))
    return a, complex(t.mean() - a * s.mean())


def _window(mask: np.ndarray, reach: float) -> tuple[slice, slice]:
    x0, y0, x1, y1 = bounding_box(mask)
    pad = math.ceil(reach)
    return slice(max(y0 - pad, 0), y1 + pad), slice(max(x0 - pad, 0), x1 + pad)


def _smooth(lab: np.ndarray, sigma: float) -> np.ndarray:
    return np.stack([ndimage.gaussian_filter(lab[..., i], sigma) for i in range(3)], -1)
