"""Unaffected skin away from the lesion, and its tone as a rounded named fact."""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from jaxderm.attributes import BodySite, ita_of_lab, rgb_to_lab
from jaxderm.data.scalp import Rim
from jaxderm.face import face_skin_region
from jaxderm.frame import Frame, bounding_box, evidence

TONE_GRID = 5.0  # degrees: contract 2
WORKING_SIDE = 192
RIM_SIDE, RIM_POINTS = 768, 32  # of the grid that the rim is read on; places along it
# Degrees of ITA between a pixel and the skin, from which it is hair: shade makes less.
NOT_THE_TONE = 45.0


def measure_tone(
    photo: np.ndarray,
    kept: np.ndarray,
    frame: Frame,
    landmarks: np.ndarray | None,
    site: BodySite,
) -> float | None:
    """ITA in degrees, rounded to 5, of unaffected skin in a photo [H,W,3]; None where none is found.

    A face with landmarks [5,2]: its cheeks and nose. Otherwise skin-coloured pixels around kept
    [H,W], nearest first. Reads pixels outside kept: what leaves here is a named fact.
    """
    x0, y0, x1, y1 = frame.inside(*kept.shape)
    step = max(1, max(x1 - x0, y1 - y0) // WORKING_SIDE)
    pixels = photo[y0:y1:step, x0:x1:step]
    hidden = kept[y0:y1:step, x0:x1:step]
    lab = rgb_to_lab(pixels)
    lab = np.stack([ndimage.median_filter(lab[..., i], 3) for i in range(3)], -1)
    free = ~ndimage.binary_dilation(hidden, iterations=2)
    if site is BodySite.FACE and landmarks is not None and not np.isnan(landmarks).any():
        region = face_skin_region((landmarks - [x0, y0]) / step, hidden.shape) & free
        if region.sum() >= 50:
            return _rounded(_main_colour(lab[region]))
    like = free & skin_like(lab)
    if not hidden.any():
        bx0, by0, bx1, by1 = bounding_box(kept)
        hidden[((by0 + by1) // 2 - y0) // step, ((bx0 + bx1) // 2 - x0) // step] = True
    distance = ndimage.distance_transform_edt(~hidden)
    for reach in (0.15, 0.3, 2.0):
        near = like & (distance <= reach * max(hidden.shape))
        if near.sum() >= 60:
            return _rounded(_main_colour(lab[near]))
    return None


def rim_of(
    photo: np.ndarray, kept: np.ndarray, frame: Frame, margin_px: float, tone: float | None
) -> Rim | None:
    """What lies along the rim of kept on a scalp; None without a margin, whose rim may be lesion all along.

    photo [H,W,3] uint8 is read where kept [H,W] only; tone: ITA of the person in degrees, None unknown.
    """
    if margin_px < 1:
        return None
    side = min(frame.side, RIM_SIDE)
    pixels, cover = evidence(photo, kept, frame, side)
    known = cover > 0.5
    depth = max(1, round(margin_px * side / frame.side))
    rim = known & ~ndimage.binary_erosion(known, iterations=depth, border_value=1)
    places = np.argwhere(rim)
    if not len(places):
        return None
    lab = rgb_to_lab((pixels[rim] / cover[rim][:, None] + 1) / 2)
    hair = ~skin_like(lab)
    if tone is not None:
        angle = np.degrees(np.arctan2(lab[:, 0] - 50, np.maximum(lab[:, 2], 1e-3)))
        hair |= np.abs(angle - tone) > NOT_THE_TONE
    # What is around each of some of them.
    some = np.linspace(0, len(places) - 1, min(RIM_POINTS, len(places))).round().astype(int)
    nearest = cKDTree(places[some]).query(places)[1]
    count = np.bincount(nearest)
    means = [np.bincount(nearest, of) / count for of in (*lab.T, hair)]
    return Rim((places[some][:, ::-1] + 0.5) / side, np.stack(means[:3], -1), means[3])


def skin_like(lab: np.ndarray) -> np.ndarray:
    """Pixels of a colour that skin of any tone can have: lab [...,3] -> bool.

    Hue between pink and yellow, some chroma, not black and not burnt out.
    """
    lightness, a, b = lab[..., 0], lab[..., 1], lab[..., 2]
    hue = np.degrees(np.arctan2(b, a))
    chroma = np.hypot(a, b)
    return (
        (hue > 15) & (hue < 80) & (chroma > 7) & (chroma < 48) & (lightness > 10) & (lightness < 95)
    )


def _main_colour(lab: np.ndarray) -> np.ndarray:
    """The pixels [N,3] near the most common lightness: shine, shadow and hair drop out."""
    lightness = lab[:, 0]
    low, high = np.percentile(lightness, (20, 85))
    return lab[(lightness >= low) & (lightness <= high)]


def _rounded(lab: np.ndarray) -> float:
    return float(TONE_GRID * np.round(ita_of_lab(lab) / TONE_GRID))
