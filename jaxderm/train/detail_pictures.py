"""What the detail head learns from: portraits at a frame's size, and the refiner's frames of made-up people."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from jaxderm.attributes import Attributes, BodySite, Sex
from jaxderm.data.features import Record
from jaxderm.data.variants import vary
from jaxderm.frame import FACE_EYES
from jaxderm.models import detail_head

CROP = 64  # px a side of what is learnt from at a time
# Crops of frames and of portraits a step; how many of the latter are restored too.
BATCH, PAIRS = 12, 4
VARIED = 0.7  # share of portraits whose features and tone are varied
# px: deviation of the distance of a portrait's eyes in a frame, and its bounds.
APART = (3.0, 60.0, 75.3)
SHIFT = (5.0, 3.0)  # px: deviations of where it lies
CRISP = ImageFilter.UnsharpMask(1.0, 70, 1)  # portraits are enlarged a third
FEATURES = ((-0.5, 0), (0.5, 0), (0, 0.5))  # eyes and nose, in coordinates of a face
ON_FEATURES, BESIDE = 0.45, 0.15  # share of crops there; deviation of their middles
AROUND = ((-1.2, 1.2), (-1.3, 1.6))  # bounds of the others' middles
LIKE_AGED = 0.3  # of `detail_head.YEARS`: who is compared with whom
# (photo, mask, facts, landmarks, seed) -> (settled frame [S,S,3] in [-1,1], landmarks in [0,1] of it)
Draw = Callable[..., tuple[np.ndarray, np.ndarray]]


class Picture(NamedTuple):
    """seen [S,S,4] float16; facts [2]; whole [S,S] bool: where a portrait ends there is nothing; softer: a portrait's, blurred."""

    seen: np.ndarray
    facts: np.ndarray
    whole: np.ndarray
    softer: np.ndarray | None = None


def of_portrait(record: Record, size: int, rng: np.random.Generator) -> Picture:
    """A portrait, or a variant of it, as large in a frame of size px as faces are; needs its five landmarks."""
    if rng.random() < VARIED:
        record = vary(record, rng)
    points = record.landmarks.astype(np.float64)
    apart = np.linalg.norm(points[1] - points[0])
    scale = np.clip(rng.normal(detail_head.APART, APART[0]), *APART[1:]) / apart
    eyes = points[:2].mean(0)
    to = np.array([size / 2, FACE_EYES * size]) + rng.normal(0, SHIFT)
    origin = eyes - to / scale
    moved = (1 / scale, 0, origin[0], 0, 1 / scale, origin[1])

    def placed(plane: np.ndarray, how: Image.Resampling) -> Image.Image:
        return Image.fromarray(plane).transform((size, size), Image.Transform.AFFINE, moved, how)

    frame = np.asarray(placed(record.image, Image.Resampling.BICUBIC).filter(CRISP))
    inside = np.full(record.image.shape[:2], 255, np.uint8)
    whole = np.asarray(placed(inside, Image.Resampling.NEAREST)) > 0
    whole, points = ndimage.binary_erosion(whole, iterations=2), (points - origin) * scale
    if rng.random() < 0.5:
        frame, whole = frame[:, ::-1], whole[:, ::-1]
        points = [size - 1, 0] + points * [-1, 1]  # of which only the middles count
    softer = _seen(_softer(frame, rng), points)
    a = record.attributes
    return Picture(_seen(frame, points), detail_head.facts(a.sex, a.age), whole, softer)


def somebody(
    side: int, landmarks: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, Attributes, np.ndarray, int]:
    """(photo, mask, facts, landmarks [5,2] px, seed) of an adult of any age, sex and tone: a spot of plain skin on side px.

    landmarks [5,2]: of some face, for the layout of this one.
    """
    points = landmarks - landmarks[:2].mean(0)
    points = points / np.linalg.norm(points[1]) / 2 * side * rng.uniform(0.215, 0.265)
    points += side * np.array([0.5, FACE_EYES]) + rng.normal(0, 0.02, 2) * side
    sex = (Sex.FEMALE, Sex.MALE)[rng.integers(2)]
    age = rng.uniform(18, 35) if rng.random() < 0.5 else rng.uniform(30, 80)
    facts = Attributes(sex=sex, age=float(age), ita=float(rng.uniform(-55, 60)), site=BodySite.FACE)
    spot = points[:2].mean(0) + side * rng.uniform((-0.1, -0.09), (0.1, 0.19))
    y, x = np.mgrid[:side, :side]
    mask = np.hypot(x - spot[0], y - spot[1]) < side * rng.uniform(0.015, 0.045)
    photo = np.round(rng.normal([190, 150, 130], 4, (side, side, 3))).clip(0, 255).astype(np.uint8)
    return photo, mask, facts, points.astype(np.float32), int(rng.integers(2**31))


def of_frame(draw: Draw, side: int, landmarks: np.ndarray, rng: np.random.Generator) -> Picture:
    """A frame that a model draws and settles of `somebody`."""
    photo, mask, facts, points, seed = somebody(side, landmarks, rng)
    drawn, places = draw(photo, mask, facts, points, seed)
    frame = np.round((drawn + 1) * 127.5).clip(0, 255).astype(np.uint8)
    seen = _seen(frame, places * len(frame))
    return Picture(seen, detail_head.facts(facts.sex, facts.age), np.ones(frame.shape[:2], bool))


def _seen(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    light = detail_head.light(frame.astype(np.float32) / 127.5 - 1)
    return detail_head.seen(light, points).astype(np.float16)


def _softer(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A frame as soft as what a refiner draws, and sometimes as flat."""
    softer = frame.astype(np.float32)
    if rng.random() < 0.5:
        side = 3 if rng.random() < 0.6 else 5
        softer = ndimage.median_filter(softer, (side, side, 1))
    sigma = rng.uniform(0.5, 1.6)
    return ndimage.gaussian_filter(softer, (sigma, sigma, 0))


class Crops(NamedTuple):
    """Crops [N,C,C,...] of one place of the face: frame's, portrait's of somebody alike, its softer one; that person's facts."""

    frames: np.ndarray
    portraits: np.ndarray
    softer: np.ndarray
    facts: np.ndarray


def batches(frames: list[Picture], portraits: list[Picture], seed: int) -> Iterator[Crops]:
    """Endless batches; batch n is a function of (frames, portraits, seed, n)."""
    facts = np.stack([portrait.facts for portrait in portraits])
    number = 0
    while True:
        rng = np.random.default_rng([seed, number])
        rows = []
        while len(rows) < BATCH:
            frame = frames[rng.integers(len(frames))]
            same = facts[:, 0] == frame.facts[0]
            aged = np.abs(facts[:, 1] - frame.facts[1]) < LIKE_AGED
            alike = np.flatnonzero(same & aged if (same & aged).any() else same)
            portrait = portraits[alike[rng.integers(len(alike))]]
            place = _place(rng)
            here, there = (_around(picture.seen, place, rng) for picture in (frame, portrait))
            if not portrait.whole[there].all():
                continue
            cut = [frame.seen[here], portrait.seen[there], portrait.softer[there]]
            if rng.random() < 0.5:
                cut = [plane[:, ::-1] * np.float16([1, 1, -1, 1]) for plane in cut]
            rows.append([*(plane.astype(np.float32) for plane in cut), portrait.facts])
        yield Crops(*(np.stack(column) for column in zip(*rows)))
        number += 1


def _place(rng: np.random.Generator) -> np.ndarray:
    """Coordinates [2] of a face where a crop's middle lies."""
    if rng.random() < ON_FEATURES:
        return np.array(FEATURES[rng.integers(len(FEATURES))]) + rng.normal(0, BESIDE, 2)
    return np.array([rng.uniform(*bounds) for bounds in AROUND])


def _around(seen: np.ndarray, place: np.ndarray, rng: np.random.Generator):
    """Index of a crop of `seen` around a place of its face, shifted a little, within the frame."""
    size, coarse = len(seen), seen[::4, ::4, 2:].astype(np.float32) + [0, detail_head.BELOW]
    row, column = divmod(int(np.square(coarse - place).sum(-1).argmin()), coarse.shape[1])
    corner = 4 * np.array([row, column]) - CROP // 2 + rng.integers(-4, 5, 2)
    y, x = np.clip(corner, 0, size - CROP)
    return np.s_[y : y + CROP, x : x + CROP]
