"""Skin of a refined frame: no patches, years, hues or flat light.

A part of `settle`. Frames [S,S,3] in [-1,1]; share [S,S]: how far from the kept; cheeks [S,S] bool; landmarks [5,2] px.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA
from jaxderm.face import like_skin
from jaxderm.release.pyramid import doubled, halved
from jaxderm.release.settle_features import EYES, MOUTH, NOSE, beside_features
from jaxderm.release.smoothing import ramp, smooth, squares

# Of the frame: what is smaller (a wrinkle; grain) is no patch, no edge of one.
PATCH, FINE = 0.024, 0.014
# Of [-1,1]: departures from the light over the skin that are surely none, and one.
DEPTH = 0.08, 0.18
LEVELS = 0.06  # what is left of one
ROUNDS = 3  # of the robust fit of that light
# Of [-1,1], from the 5th percentile of luma over cheeks and nose to the 95th, for middle luma, and more the darker it is:
# portraits that may be trained on have 0.60 (very light) to 0.82 (dark), refined frames 0.53 to 0.29. Light skin has
# enough; with as much as portraits have its wrinkles would add years.
SPAN, DARKER, MOST = 0.45, 0.5, 1.6
RELIEF = 0.025  # of the frame: folds of the skin are narrower, the light over a cheek is wider
FOLD = 0.04  # of [-1,1]: how much darker than the skin around a fold may be that is not held to it
# At jaw and neck so much of what is wider than this stays: without it a face has no chin. From where to where it is jaw:
# half axes of an ellipse around the mouth's side of a face, in distances from the eyes to the mouth, and shares of it.
CONTOUR, STAYS = 0.014, 0.25
JAW_FROM, JAW_AXES, JAW = 0.5, (0.85, 1.05), (0.75, 1.0)
OPENING = 0.2  # radius of what is an eye, in distances of the eyes; beside it and beside lips all that is wider than CONTOUR stays
# Of the frame: how far skin is averaged for its hue. Red and blue over luma of a place, less those of the cheeks: of the
# portraits that may be trained on a fifth have no more of that difference on their foreheads, and a third; as much as the
# others have is seen here, since it has an edge. Of the cheeks' luma: what is darker is hair.
HUE, PALER, BLUER, SHADED = 0.02, 0.04, 0.02, (0.55, 0.75)
REDDER, YELLOWER = 0.04, 0.03  # of ears, that glow


def without_patches(frame, exemplar, skin, share, share_dark) -> np.ndarray:
    """Where the change of skin departs from light over it by more than skin does, it is held to LEVELS around it.

    As far as share [S,S] where it is lighter than that, and share_dark where it is darker.
    """
    if skin.mean() < 0.01:
        return frame
    change, skin = halved(frame - exemplar), halved(skin)
    share, share_dark = halved(share), halved(share_dark)
    size = len(change)
    coarse, density = smooth(change, skin, PATCH * size)
    light = _light(coarse, skin)
    patch = ramp(np.sqrt(squares(coarse - light)), *DEPTH)
    # As far as its edge goes.
    edge = PATCH * size / 2
    patch = ndimage.grey_dilation(patch, size=2 * round(edge) + 1)
    patch = ndimage.gaussian_filter(patch, edge)
    dark = ramp((coarse - light) @ LUMA, 0, -DEPTH[0])
    # Not in a gap of hair or a collar.
    patch *= (share + dark * (share_dark - share)) * skin * np.clip(2 * density - 1, 0, 1)
    fine = smooth(change, skin, FINE * size)[0] - light
    depth = np.linalg.norm(fine, axis=-1, keepdims=True)
    excess = fine * (1 - np.minimum(1, LEVELS / np.maximum(depth, 1e-6)))
    return frame - doubled(patch[..., None] * excess)


def _light(change: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """The linear function of place [S,S,3] nearest to a change on the skin, in absolute value."""
    place = np.linspace(-1, 1, len(change), dtype=np.float32)
    y, x = np.meshgrid(place, place, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y], -1)
    some = np.zeros(skin.shape, bool)
    some[::2, ::2] = True  # it is smooth
    some &= skin > 0.5
    if some.sum() < 50:
        return np.zeros_like(change)
    a, b = terms[some].astype(np.float64), change[some].astype(np.float64)
    weight = np.ones(len(a))
    for _ in range(ROUNDS):
        weighed = a * weight[:, None]
        fit = np.linalg.solve(a.T @ weighed + 1e-3 * len(a) * np.diag([0, 1, 1]), weighed.T @ b)
        weight = 1 / np.maximum(np.linalg.norm(b - a @ fit, axis=1), 0.02)
    return (terms @ fit).astype(np.float32)


def without_relief(frame, cheeks, amount, deep, place, landmarks, lips, pores=0.0) -> np.ndarray:
    """The frame less an amount [S,S] of the relief of a face's skin: what is narrower than RELIEF, but for the features.

    And less an amount deep [S,S] of what of it is darker than FOLD. place: (across, down) as of
    `face.face_coordinates`; lips [S,S]: how much of each pixel they are; pores: relief that stays, of the light around.
    """
    size, (across, down) = len(frame), place
    luma = frame @ LUMA
    like = ndimage.grey_erosion(like_skin(frame, cheeks)[0], 3)
    like = ndimage.gaussian_filter(like, 0.006 * size)
    around_them = 1 - beside_features(landmarks, size, EYES + MOUTH)
    there = beside_features(landmarks, size, NOSE) * (1 - lips)
    there *= like * beside_features(landmarks, size, EYES, OPENING)
    around = _averages(luma, like)
    (wide, long), smooth_skin = JAW_AXES, around(RELIEF)
    jaw = np.hypot(halved(across) / wide, np.maximum(halved(down) - JAW_FROM, 0) / long)
    narrow = np.maximum(STAYS * ramp(jaw, *JAW), halved(around_them))
    smooth_skin += narrow * (around(CONTOUR) - smooth_skin)
    light = doubled(smooth_skin)
    relief = over = luma - light
    if pores:
        stays = pores * np.maximum(light + 1, 0.05)
        over = relief - stays * np.tanh(relief / stays)
    less = amount * over + (1 - amount) * deep * np.minimum(relief + FOLD, 0)
    return frame - (there * less)[..., None]


def _averages(luma: np.ndarray, like: np.ndarray) -> Callable[[float], np.ndarray]:
    """Luma [S,S] averaged by how much each pixel is like skin [S,S], over a width of the frame: [S/2,S/2]."""
    of_skin, weight = halved(luma * like), halved(like)

    def around(width: float) -> np.ndarray:
        sigma = width * len(weight)
        sums = ndimage.gaussian_filter(of_skin, sigma, truncate=3)
        return sums / np.maximum(ndimage.gaussian_filter(weight, sigma, truncate=3), 1e-3)

    return around


def with_even_hue(frame, skin, cheeks, landmarks) -> np.ndarray:
    """The frame where no skin is paler, bluer, redder or yellower than the cheeks by more than skin is; its luma stays.

    A forehead that a refiner drew over hair has something of the backdrop's blue, and ears glow.
    """
    size, luma = len(frame), frame @ LUMA
    shades = (share * max(np.median(luma[cheeks]) + 1, 0.05) for share in SHADED)
    weight = skin * beside_features(landmarks, size, EYES + MOUTH) * ramp(luma + 1, *shades)
    density = np.maximum(ndimage.gaussian_filter(weight, HUE * size, truncate=3), 1e-3)

    def around(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(weight * values, HUE * size, truncate=3) / density

    light = np.maximum(around(luma + 1), 0.04)
    added = []
    for channel, least, most in ((0, -PALER, REDDER), (2, -YELLOWER, BLUER)):
        share = around(frame[..., channel] + 1) / light
        apart = share - np.median(share[cheeks])
        added.append((np.clip(apart, least, most) - apart) * light * weight)
    red, blue = added
    green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
    return (frame + np.stack([red, green, blue], -1)).astype(np.float32)


def with_light(frame, cheeks, share) -> np.ndarray:
    """The light over skin with its SPAN on the cheeks, or MOST times what it has; hue stays."""
    low, high = np.percentile((frame @ LUMA)[cheeks], (5, 95))
    like, away, middle = like_skin(frame, cheeks)
    gain = min(max(float((SPAN - DARKER * middle[0]) / max(high - low, 1e-3)), 1), MOST)
    return frame + ((gain - 1) * share * like * away[..., 0])[..., None]
