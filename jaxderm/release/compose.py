"""Compositing at full resolution: generated surround, a seam that vanishes outside kept, kept bytes.

Everything here is a function of kept pixels, kept mask, generated frame, margin and grain generator:
no pixel outside kept is read (DESIGN, contract 2). Colours are worked on in CIELAB, differences are
CIE76 Delta-E.
"""

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

from jaxderm.attributes import lab_to_rgb, rgb_to_lab
from jaxderm.frame import Frame, evidence
from jaxderm.release.grain import NOISE_TILE, Grain
from jaxderm.release.skin import skin_like
from jaxderm.release.tone import SPREAD

WORKING_SIDE = 768  # the seam is solved on a grid of at most this side
REACH = 0.05  # of the frame: how far the seam correction goes
SEAM_SCALES = (0.2, 1.0), (0.05, 0.3)  # of the reach: smoothing, and distance at which it has faded
SKIN_DELTA_E = 8.0  # rim pixels further from the tone than this are lesion
SHADE = 0.5  # of the way from skin to lesion: what is further is lesion, not skin in shade
# Share of a rim that may be features cut through, and how far these fade, in px of WORKING_SIDE.
CUT, EDGE = 0.3, 4.0
# A piece of the rim is lesion that the mask left out, not of a feature, if it goes on from the lesion and so much of it
# has a colour within so many Delta-E of so much of the lesion.
PIECE, SAME, COMMONLY = 0.25, 6.0, 0.01
NOT_SKIN = 14.0  # Delta-E from the skin around kept, at which the correction lets go
# Differences of kept rim and generated skin (L*, a*, b*) that light, shade or a beard can make; skin is
# redder by inflammation, which must not spread.
PLAUSIBLE = np.array([[-24.0, -14.0, -14.0], [24.0, 6.0, 14.0]], np.float32)
# What of it all generated skin may be shifted by, along its tone where that is named. The rest is light that falls on this part of
# the skin, and fades with the distance from kept.
COMMON = np.array([[-6.0, -10.0, -8.0], [6.0, 5.0, 8.0]], np.float32)
BEARD = 38.0  # L* that a dense one takes of the skin around
LEAST_RED = 0.6  # a* over b* of skin, about portraits' 5th percentile: of a beard's shade a face would be green
LIGHT_REACH = 0.045  # of the frame, standard deviation of the fading
MAX_LIGHT = 10.0  # of L*, a*, b* each
WHOLE_PIXELS = 24_000_000  # of a frame that is composed at once
STRIP = 2 * NOISE_TILE  # rows of a larger one


def compose(
    photo: np.ndarray,
    kept: np.ndarray,
    generated: np.ndarray,
    frame: Frame,
    margin_px: float,
    rng: np.random.Generator,
    grain: bool = True,
    ita: float | None = None,
) -> np.ndarray:
    """Release [h,w,3] uint8 = frame intersected with the photo; kept bytes are the photo's.

    photo [H,W,3] uint8 (read where kept only), kept [H,W] bool, generated [S,S,3] float in [-1,1],
    margin_px of kept around the lesion, rng for the grain; ita: degrees of the generated skin's named tone, which stays.
    """
    x0, y0, x1, y1 = frame.inside(*kept.shape)
    inside = kept[y0:y1, x0:x1]
    frame01 = np.clip((generated.astype(np.float32) + 1) / 2, 0, 1)
    seam = _Seam(photo, kept, frame01, frame, margin_px, ita)
    frame01 = seam.shifted(frame01, (0, 0), len(frame01))
    left, top = x0 - frame.box[0], y0 - frame.box[1]
    height, width = inside.shape

    def drawn(rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
        """Part of the surround without grain, [h,w,3] float32."""
        box = (left + columns[0], top + rows[0], left + columns[1], top + rows[1])
        part = resize(frame01, frame.side, box)
        if seam.field is not None:
            _resized(seam.field, frame.side, box, Image.Resampling.BILINEAR, np.add, part)
        return part

    grains = Grain(photo[y0:y1, x0:x1], inside, margin_px, frame.side, rng) if grain else None
    # A large frame is composed in strips: as a whole in float32 it would take gigabytes.
    strip = height if height * width <= WHOLE_PIXELS else STRIP
    release = np.empty((height, width, 3), np.uint8)
    for start in range(0, height, strip):
        rows = start, min(start + strip, height)
        surround = drawn(rows, (0, width))
        if grains is not None:
            if start == 0:
                (y2, y3), (x2, x3) = grains.sample
                sample = surround[y2:y3, x2:x3] if strip == height else drawn((y2, y3), (x2, x3))
                grains.match(sample)
            grains.add(surround)
        np.clip(surround, 0, 1, out=surround)
        surround *= 255
        surround += 0.5
        release[rows[0] : rows[1]] = surround  # truncated
    release[inside] = photo[y0:y1, x0:x1][inside]
    return release


def resize(
    picture: np.ndarray,
    side: int,
    box: tuple[int, int, int, int],
    how: Image.Resampling = Image.Resampling.BICUBIC,
) -> np.ndarray:
    """A square picture [S,S,C] float32 at `side` pixels, of which `box` is cut: [h,w,C] float32."""
    result = np.empty((box[3] - box[1], box[2] - box[0], picture.shape[2]), np.float32)
    _resized(picture, side, box, how, lambda _, plane: plane, result)
    return result


def _resized(picture, side: int, box, how: Image.Resampling, combine, result: np.ndarray) -> None:
    """`result` becomes combine(result, resized picture), a channel at a time to spare memory."""
    if picture.shape[0] == side:
        part = picture[box[1] : box[3], box[0] : box[2]]
        result[...] = combine(result, part)
        return
    scale = picture.shape[0] / side
    size = (box[2] - box[0], box[3] - box[1])
    source = tuple(min(value * scale, picture.shape[0]) for value in box)
    for channel in range(picture.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(picture[..., channel], np.float32))
        plane = np.asarray(plane.resize(size, how, box=source))
        result[..., channel] = combine(result[..., channel], plane)


class _Seam:
    """The mismatch between kept skin at the rim and the generated skin there, and what mends it."""

    def __init__(
        self, photo, kept, frame01, frame: Frame, margin_px: float, ita: float | None
    ) -> None:
        self.ita = ita
        side = min(frame.side, WORKING_SIDE)
        pixels, cover = evidence(photo, kept, frame, side)
        whole = (0, 0, side, side)
        drawn = resize(frame01, side, whole)
        known = cover > 0.5
        self.field, self.shift, self.light = None, np.zeros(3, np.float32), np.zeros(3, np.float32)
        # Work in a box around kept that the correction can reach.
        reach = max(REACH * side, 1.0)
        rows, columns = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
        if not len(rows):
            return
        self.place = (rows[0] / side, rows[-1] / side), (columns[0] / side, columns[-1] / side)
        pad = int(np.ceil(reach)) + 2
        box = np.s_[
            max(rows[0] - pad, 0) : rows[-1] + pad + 1,
            max(columns[0] - pad, 0) : columns[-1] + pad + 1,
        ]
        known = known[box]
        depth = max(1, round(min(0.004 * side, margin_px * side / frame.side)))
        rim = known & ~ndimage.binary_erosion(known, iterations=depth, border_value=1)
        if not rim.any():
            return
        real = (pixels[box][rim] / cover[box][rim][:, None] + 1) / 2
        real_lab = rgb_to_lab(real)
        distance = ndimage.distance_transform_edt(~known)
        around = rgb_to_lab(drawn[box][(distance > 0) & (distance <= reach)])
        if skin_like(around).any():
            around = around[skin_like(around)]
        self.skin_lab = np.median(around, axis=0)
        self._common_shift(real_lab, margin_px)
        shift = self.shift + self.light
        off = real_lab - self.skin_lab - shift
        skin = np.linalg.norm(off, axis=-1) <= SKIN_DELTA_E
        depth = ndimage.distance_transform_edt(known)
        core = depth > margin_px * side / frame.side + 1
        features = np.zeros_like(rim)
        if margin_px >= 1 and core.any():
            lesion = rgb_to_lab((pixels[box][core] / cover[box][core][:, None] + 1) / 2)
            way = np.median(lesion, axis=0) - self.skin_lab - shift
            # Skin in shade, or with a beard: plausible as that, and nearer to skin than to the lesion.
            plausible = ((off >= PLAUSIBLE[0]) & (off <= PLAUSIBLE[1])).all(-1)
            plausible &= skin_like(real_lab)  # and no backdrop or hair
            skin |= plausible & (off @ way < SHADE * (way @ way))
            if 0 < np.count_nonzero(~skin) <= CUT * len(skin):
                inner = rgb_to_lab((pixels[box][known] / cover[box][known][:, None] + 1) / 2)
                other = np.zeros_like(known)
                other[known] = np.linalg.norm(inner - self.skin_lab - shift, axis=-1) > SKIN_DELTA_E
                reached = ndimage.binary_propagation(core, mask=core | other)
                features[rim] = ~skin
                features = _without_lesion(features, real_lab[~skin], lesion, reached)
        if not skin.any():
            return
        # Near kept the surround's colour becomes that of the rim's skin, spread outwards by normalised
        # convolution: first at large, then close to the edge what is left of a step. What is drawn there may
        # be a blurred lesion, so its mismatch at the rim says little of what it needs further out.
        of_skin = np.zeros_like(rim)
        of_skin[rim] = skin
        colours = np.zeros((*known.shape, 3), np.float32)
        colours[rim] = real
        mended = self.shifted(drawn[box], (box[0].start, box[1].start), side)
        field = np.zeros_like(colours)
        for width, extent in SEAM_SCALES:
            sigma = max(width * reach, 1.0)
            wanted, weight = _spread_out(colours, of_skin, sigma)
            present, _ = _spread_out(mended + field, ~known, sigma)
            # Where most of the near rim is lesion, there is little to go by.
            trust = weight / np.maximum(_density(rim, sigma), 1e-12)
            fade = np.clip(1 - distance / (extent * reach), 0, 1).astype(np.float32)
            fade = fade * fade * (3 - 2 * fade)
            # Lips, brows and background are no skin that lacks the right colour.
            apart = rgb_to_lab(np.clip(present, 0, 1)) - self.skin_lab - shift
            trust *= np.exp(-0.5 * np.square(np.linalg.norm(apart, axis=-1) / NOT_SKIN))
            field += (wanted - present) * (trust * fade)[..., None]
        # A nostril, a brow that kept ends in the middle of, or drawn lips at kept skin: no picture has an edge that sharp.
        wanted, weight = _spread_out(colours, of_skin | features, 1.0)
        width = max(EDGE * side / WORKING_SIDE, 2.0)
        fade = np.clip(1 - distance / width, 0, 1).astype(np.float32)
        fade *= weight / np.maximum(_density(rim, 1.0), 1e-12)
        field += (wanted - mended - field) * fade[..., None]
        self.field = np.zeros((side, side, 3), np.float32)
        self.field[box] = field

    def _common_shift(self, rim: np.ndarray, margin_px: float) -> None:
        """A shift of all generated skin towards the kept skin, when the rim [N,3] (CIELAB) shows enough of it.

        Without a margin the rim may be lesion all along, so only small differences count. A margin that is no
        plausible skin, but of a skin's hue (a dense beard), still tells whether skin has less colour.
        """
        difference = rim - self.skin_lab
        if margin_px >= 1:
            like = ((difference >= PLAUSIBLE[0]) & (difference <= PLAUSIBLE[1])).all(-1)
        else:
            like = np.linalg.norm(difference, axis=-1) <= SKIN_DELTA_E
        colour_only = like.mean() < 1 / 3
        if colour_only:
            like = skin_like(rim) & (difference[:, 0] > -BEARD)
            if margin_px < 1 or like.mean() < 1 / 3:
                return
        middle = np.median(difference[like], axis=0).astype(np.float32)
        if colour_only:  # and less of it: a lesion may have more
            middle = np.minimum(middle * (0, 1, 1), 0).astype(np.float32)
        self.shift = np.clip(middle, *COMMON)
        if self.ita is not None:
            self.shift = _along_tone(self.shift, self.ita)
        least = LEAST_RED * (self.skin_lab[2] + self.shift[2]) - self.skin_lab[1]
        self.shift[1] = max(self.shift[1], min(least, 0))
        if not colour_only:
            self.light = np.clip(middle - self.shift, -MAX_LIGHT, MAX_LIGHT)

    def shifted(self, picture: np.ndarray, corner: tuple[int, int], side: int) -> np.ndarray:
        """Part [h,w,3] in [0,1] of a frame of `side` with its skin moved; other colours stay.

        corner: (row, column) of the part in the frame.
        """
        if not (self.shift.any() or self.light.any()):
            return picture
        lab = rgb_to_lab(picture)
        # Lightness varies over a face, hue hardly does, but that ears and lips have more blood.
        off = (lab - self.skin_lab) / np.array([30.0, 12.0, 14.0], np.float32)
        off[..., 1:] *= np.where(off[..., 1:] > 0, 0.5, 1)
        weight = np.exp(-0.5 * np.square(off).sum(-1, keepdims=True))
        # Distance from the box around kept, along rows and columns, as a share of the frame.
        away = [
            np.maximum(np.maximum(low - at, at - high), 0)
            for (low, high), at in zip(
                self.place,
                ((c + np.arange(n)) / side for c, n in zip(corner, picture.shape)),
            )
        ]
        near = [np.exp(-0.5 * np.square(d / LIGHT_REACH)).astype(np.float32) for d in away]
        near = near[0][:, None, None] * near[1][:, None]
        by = weight * (self.shift + near * self.light)
        # What is paler than the skin has less colour to lose: a pale forehead would become green.
        left = np.clip(lab[..., 1:] / np.maximum(self.skin_lab[1:], 1.0), 0, 1)
        by[..., 1:] *= np.where(by[..., 1:] < 0, left, 1)
        return lab_to_rgb(lab + by)


def _along_tone(shift: np.ndarray, ita: float) -> np.ndarray:
    """The part of a shift [3] that leaves skin (CIELAB) of a tone in degrees of ITA at it: a declared tone stays declared.

    The tones of one ITA lie on a line, L* = 50 + b* tan(ITA); of it the nearest, in units of SPREAD (`tone`). It is not
    the line of the skin around kept, which light may have made a lighter one.
    """
    line = np.array([np.tan(np.radians(ita)), 1]) / SPREAD
    lightness, yellow = (shift[[0, 2]] / SPREAD @ line) / (line @ line) * line * SPREAD
    return np.array([lightness, shift[1], yellow], np.float32)


def _without_lesion(
    where: np.ndarray, colours: np.ndarray, lesion: np.ndarray, reached: np.ndarray
) -> np.ndarray:
    """The pieces of where [h,w] that are no lesion which the mask left out.

    Such a piece has colours [N,3] of the lesion [M,3] (CIELAB), and is reached [h,w] from it over no skin.
    """
    some = lesion[:: max(1, len(lesion) // 2000)]
    alike = cKDTree(some).query_ball_point(colours, SAME, return_length=True)
    left_out = np.zeros(where.shape)
    left_out[where] = (alike > COMMONLY * len(some)) & reached[where]
    pieces, count = ndimage.label(where, np.ones((3, 3)))
    share = ndimage.mean(left_out, pieces, np.arange(count + 1))
    return where & (share < PIECE)[pieces]


def _density(where: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(where.astype(np.float64), sigma, truncate=6)


def _spread_out(
    values: np.ndarray, where: np.ndarray, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Values [h,w,3] of where [h,w] averaged around every place by normalised convolution, and their weight."""
    weight = _density(where, sigma)
    values = np.where(where[..., None], values, 0.0)
    sums = [ndimage.gaussian_filter(values[..., i], sigma, truncate=6) for i in range(3)]
    return np.stack(sums, -1) / np.maximum(weight, 1e-12)[..., None], weight
