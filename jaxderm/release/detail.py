"""Detail of a settled frame: sharper edges, strands in its hair, texture on its skin.

A refined frame mixes two pictures of one person, and settling averages: of the contrast that portraits that may be
trained on, enlarged alike, have in what is finer than 1.4 px, its eyes, mouth, hair and skin have half to two thirds
(docs/training_log.md, "After leg 11, fourteenth"). All is drawn from the frame, its exemplar, the places of the face and of what is kept, and the seed's
generator: no pixel of a photograph is read.
"""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA
from jaxderm.data import complexion
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates, face_skin_region
from jaxderm.release.pyramid import doubled, halved
from jaxderm.release.settle_features import EYES, MOUTH, beside_features, brows_of
from jaxderm.release.settle_skin import like_skin
from jaxderm.release.smoothing import beside_kept, blurred, ramp

LEAST = 50  # px of cheeks and nose by which a skin's look is known
DARK = 0.04  # luma from black: what is darker has no hue that counts
# Takes a pattern of every other pixel, which a network that doubles sides leaves, and hardly anything else.
NOT_EVERY_OTHER = np.array([-1, 4, 10, 4, -1], np.float32) / 16
# Of the distance of the eyes: Gaussian sigmas that bound two bands, of which so much is added.
SHARP, ADDED = (0.0113, 0.0226), (1.7, 0.6)
# Luma of [-1,1]: contrast that surely is no edge, and one. A studio's backdrop has none.
PLAIN = 0.012, 0.03
# How far an edge's surroundings reach, in distances of the eyes; of their range: how far beyond it a sharper edge may go, if
# that is so little (luma), and not at all: outlines would have a rim.
EDGE, BEYOND, RANGES = 0.05, 0.15, (0.3, (1.2, 0.4))
# Of it for brows, whose strokes are a render's, and for skin, whose folds would add years.
BROWS, SKIN = 0.5, 0.6
# Of the frame: how far the direction of strokes is averaged; px: how far a strand goes to either side, and what is wider
# than one; how much all strokes must have one direction; contrast of strands, and that of brows' in theirs.
STROKES, LONG, WIDE, DIRECTED, STRANDS, OF_BROWS = 0.02, 8, 2.5, (0.15, 0.6), 0.12, 0.4
# Of the distance of the eyes: sigmas that bound bands of a skin's texture; standard deviation of each, in shares of the light
# on a place, as far as that is no shine (luma from black).
TEXTURES, CONTRASTS, SHINE = (0.0105, 0.021, 0.042), (0.005, 0.0022), 1.5


def detailed(
    frame: np.ndarray,
    exemplar: Exemplar,
    mask: np.ndarray,
    landmarks: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Frame [S,S,3] in [-1,1], settled, in the detail of a photograph; where the face lies nowhere as it is.

    mask [S,S]: what is kept; landmarks [5,2] in [0,1] of the frame; rng: the seed's.
    """
    size, points = len(frame), landmarks * len(frame)
    place = face_coordinates(points, frame.shape[:2])
    if place is None:
        return frame
    skin = exemplar.skin.astype(np.float32) / 255
    brows = np.clip(3 * brows_of(exemplar, points, place), 0, 1)
    noises = rng.standard_normal((2, size, size), np.float32)
    cheeks = face_skin_region(points, frame.shape[:2]) & (mask < 0.5)
    like, seen = np.zeros_like(skin), cheeks.sum() >= LEAST
    if seen:
        like = skin * like_skin(blurred(frame, 1.0), cheeks)[0]
    light, beside = frame @ LUMA + 1, beside_kept(mask)
    share = (1 - (1 - BROWS) * brows) * (1 - (1 - SKIN) * like)
    added = beside * _sharper(light, points, share)
    if seen:
        hair = ndimage.gaussian_filter(complexion.hair(exemplar.picture, skin, points), 1.0)
        hair = np.maximum(hair, OF_BROWS * brows)
        added += light * _strands(noises[0], exemplar.picture @ (LUMA / 127.5), hair)
        added += _texture(noises[1], light, like, points)
    # Less or more light of one hue: what is taken from all colours alike makes dark lines red.
    return np.clip((frame + 1) * (1 + added / np.maximum(light, DARK))[..., None] - 1, -1, 1)


def _sharper(before, landmarks, share) -> np.ndarray:
    """What makes edges of luma [S,S] sharper, and takes a network's own pattern."""
    apart, luma = float(np.linalg.norm(landmarks[1] - landmarks[0])), before
    for axis in (0, 1):
        luma = ndimage.convolve1d(luma, NOT_EVERY_OTHER, axis)
    narrow, wide = (ndimage.gaussian_filter(luma, s * apart, truncate=3) for s in SHARP)
    added = ADDED[0] * (luma - narrow) + ADDED[1] * (narrow - wide)
    contrast = np.abs(ndimage.gaussian_filter(luma - wide, 0.5, truncate=3))
    added *= ramp(ndimage.maximum_filter(contrast, 5), *PLAIN) * share
    reach = 2 * round(EDGE * apart) + 1
    least, most = ndimage.minimum_filter(luma, reach), ndimage.maximum_filter(luma, reach)
    span = most - least
    spare = BEYOND * np.minimum(span, RANGES[0]) * ramp(span, *RANGES[1])
    return np.clip(luma + added, least - spare, most + spare) - before


def _strands(noise, strokes, hair) -> np.ndarray:
    """Light of strands along the strokes of a picture's luma [S,S], where it is hair [S,S]; around 0.

    Noise averaged along a field of directions (line integral convolution, Cabral and Leedom 1993).
    """
    rows, columns = np.nonzero(hair > 0.02)
    if not len(rows):
        return np.zeros_like(noise)
    size = len(strokes)
    down, right = np.gradient(halved(strokes))
    tensor = blurred(np.stack([right * right, down * down, right * down], -1), STROKES * size / 2)
    xx, yy, xy = np.moveaxis(tensor, -1, 0)
    alike = np.hypot(xx - yy, 2 * xy) / np.maximum(xx + yy, 1e-6)
    # Along strokes, not across.
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    alike, directions = doubled(alike), np.stack([np.sin(angle), np.cos(angle)], -1)
    total = noise[rows, columns]
    for sign in (1, -1):
        at = np.stack([rows, columns], -1).astype(np.float32)
        step = sign * directions[rows // 2, columns // 2]
        for _ in range(LONG):
            at += step
            y, x = np.clip(np.round(at).astype(int), 0, size - 1).T
            total += noise[y, x]
            next_step = directions[y // 2, x // 2]
            # A direction has no sign: go on, not back.
            step = next_step * np.where((next_step * step).sum(-1) < 0, -1, 1)[:, None]
    lines = np.zeros_like(noise)
    lines[rows, columns] = total / np.sqrt(2 * LONG + 1)
    weight = (hair > 0.02).astype(np.float32)
    around = ndimage.gaussian_filter(lines, WIDE) / np.maximum(
        ndimage.gaussian_filter(weight, WIDE), 0.1
    )
    return STRANDS * hair * ramp(alike, *DIRECTED) * weight * (lines - around)


def _texture(noise, light, like, landmarks) -> np.ndarray:
    """Light of a skin's texture, as that of its frame [S,S], on what is like skin [S,S] but for eyes and lips."""
    apart = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    where = like * beside_features(landmarks, len(light), EYES + MOUTH)
    levels = [ndimage.gaussian_filter(noise, s * apart, mode="wrap") for s in TEXTURES]
    texture = np.zeros_like(noise)
    for contrast, fine, coarse in zip(CONTRASTS, levels, levels[1:]):
        band = fine - coarse
        texture += contrast / max(float(band.std()), 1e-6) * band
    return where * texture * np.minimum(light, SHINE)
