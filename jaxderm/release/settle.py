"""What a refiner leaves on a person that no photograph has: patches, strokes, years, hues, light, eyes, teeth, rims.

A refined frame is its exemplar and a change. Where the change lays hair, shade or pallor over half of a forehead that
the exemplar shows bare, the two mix to a patch; where it makes skin or studio of the exemplar's hair, the hair's strokes
shine through; in the inner face it is mixed with the exemplar's flat light; where an outline moved, its two edges leave
a rim of another hue; a forehead drawn over hair has the backdrop's blue; and its skin has the years of the photographs
that it learnt from, none of which shows a young person. All are told by size and depth, from the frame, the exemplar,
its age and the places of the face and of what is kept: no pixel of a photograph is read.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA, lab_to_rgb, rgb_to_lab
from jaxderm.data import complexion
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates, face_skin_region
from jaxderm.release.pyramid import doubled, halved

# Of the frame: what is smaller (a wrinkle; grain) is no patch, no edge of one.
PATCH, FINE = 0.024, 0.01
# Of [-1,1]: departures from the light over the skin that are surely none, and one.
DEPTH = 0.08, 0.18
LEVELS = 0.06  # what is left of one
NEAR = 0.03  # of the frame: how far skin goes on from the kept
# Of the frame: how much softer an exemplar's hair is shown, and how much of it must have stayed to tell its colour. On the
# way from the hair's luma to the skin's: where hair is hair, and skin, if they are that far apart; how far colours may be.
HAIR_SOFT, ENOUGH = 0.003, 0.0023
BECAME, LEAST_APART, MOST_OTHER = (0.15, 0.4), 0.12, 0.6
# Blue less red of what is no backdrop yet, and is; and how far aside a face has hair above it, in distances from the eyes to
# the mouth.
STUDIO, HEAD = (0.02, 0.12), (0.7, 0.9)
PARTING = 0.8  # of what is lighter than the hair's middle goes: a grey woman's parting is white
ROUNDS = 3  # of the robust fit of that light
# Of a face, in distances from the eyes to the mouth: a collar may lie on what the exemplar shows as skin from there on.
CHIN = 1.45, 1.7
# A circle below the eyes whose strokes are brows, lashes and lips.
INNER, RADIUS = 0.35, 1.1
STROKE = 0.008  # of the frame: how far a stroke reaches
REDONE = 0.15, 0.3  # of [-1,1]: changes that leave strokes in place, and that do not
CONTRAST = 0.03, 0.06  # of [-1,1]: deviations within STROKE that are surely grain, and strokes
WINDOW = 5 / 256  # of the frame: of the median that takes strokes away
# Of [-1,1], from the 5th percentile of luma over cheeks and nose to the 95th, for middle luma, and more the darker it is:
# portraits that may be trained on have 0.60 (very light) to 0.82 (dark), refined frames 0.53 to 0.29. Light skin has
# enough; with as much as portraits have its wrinkles would add years.
SPAN, DARKER, MOST = 0.45, 0.5, 1.6
# Ages up to which most of the skin's relief is taken out, and from which none, and how much that is.
AGES, SMOOTHED = (20.0, 34.0), 0.9
RELIEF = 0.025  # of the frame: folds of the skin are narrower, the light over a cheek is wider
# Luma of dark skin, from the first to the last, of which so much of that less: relief is most of what its light shows.
DARK, EASED = (-0.1, -0.5), 0.2
# The exemplar's hairline leaves lines on a forehead that goes on beyond it: how much of the relief is taken out beside the
# features, and where that begins and is whole, in distances from the eyes to the mouth; none where the old have wrinkles.
LINES, ABOVE, WRINKLED = 0.8, (0.15, -0.1), (50.0, 65.0)
# How far beside lips all is the exemplar's, in widths of the mouth; of the frame: from how far the light on them comes.
BESIDE_LIPS, LIGHT_AROUND = 0.08, 0.035
# Radii around eyes, nose, mouth in distances of the eyes (a little less up and down): their own relief stays.
FEATURES, EDGE = (0.32, 0.32, 0.2, 0.38), 0.12
EYES, MOUTH, EYES_NOSE_MOUTH = (0, 1), (3,), (0, 1, 2, 3)  # places in FEATURES
# L* that nine in ten eyes of portraits that may be trained on do not pass, by the cheeks' L*; what is left of what does.
WHITES, LEFT = (31.0, 0.75), 0.2
# Of luma, and of red and blue less luma: deviations from the skin's median that skin has.
SKIN_WIDTHS = np.array([0.6, 0.2, 0.25], np.float32)
# Of the frame: how far skin is averaged for its hue. Red and blue over luma of a place, less those of the cheeks: a
# forehead has as much less red and more blue in half of the portraits that may be trained on. Of the cheeks' luma: what
# is darker is hair.
HUE, PALER, BLUER, SHADED = 0.02, 0.08, 0.05, (0.55, 0.75)
RIM = 3  # window of the median, in samples of hue, which are two pixels wide as in most JPEG files


def settled(
    frame: np.ndarray,
    exemplar: Exemplar,
    mask: np.ndarray,
    landmarks: np.ndarray,
    age: float | None = None,
    aged: bool = False,
) -> np.ndarray:
    """Frame [S,S,3] in [-1,1] of a refined exemplar without patches, strokes, years and rims; its light a photograph's.

    mask [S,S]: what is kept; near it all is as refined, since it goes on from the kept skin. landmarks [5,2] in [0,1]
    of the frame; where the face lies nowhere, strokes, years and light stay. age: of the person whom the exemplar shall
    show, None unknown; aged: whether the refiner was asked for an older one than declared.
    """
    before = exemplar.picture.astype(np.float32) / 127.5 - 1
    far = ndimage.distance_transform_edt(mask < 0.5) / len(mask) if mask.any() else np.inf
    share = (1 - np.exp(-0.5 * np.square(far / NEAR))) * np.ones_like(frame[..., 0])
    place = face_coordinates(landmarks * len(frame), frame.shape[:2])
    skin = exemplar.skin.astype(np.float32) / 255
    if place is None:
        return _without_rims(_without_patches(frame, before, skin, share))
    across, down = place
    cheeks = face_skin_region(landmarks * len(frame), frame.shape[:2]) & (mask < 0.5)
    if cheeks.sum() >= 50:
        above = _ramp(np.abs(across), *reversed(HEAD))
        frame = _with_its_hair(frame, exemplar, cheeks, share, landmarks * len(frame), above)
    frame = _without_patches(frame, before, skin, share * _ramp(down, *reversed(CHIN)))
    beside = np.hypot(across, down - INNER) / RADIUS
    frame = _without_strokes(frame, before, share * _ramp(beside, 0.95, 1.1))
    if cheeks.sum() >= 50:
        lines = LINES * _ramp(beside, 0.95, 1.1) * _ramp(down, *ABOVE)
        if age is not None:
            lines *= _ramp(age, *reversed(WRINKLED))
        amount = np.maximum(lines, _youth(frame, cheeks, age)) if aged else lines
        frame = _without_relief(frame, cheeks, share * amount, landmarks * len(frame))
        frame = _with_even_hue(
            frame, skin * share * _ramp(down, *reversed(CHIN)), cheeks, landmarks * len(frame)
        )
        frame = _with_light(frame, cheeks, share)
        frame = _with_dim_whites(frame, cheeks, share, landmarks * len(frame))
    frame = _with_its_mouth(frame, exemplar, share, landmarks * len(frame))
    return _without_rims(frame)


def _ramp(x: np.ndarray, zero: float, one: float) -> np.ndarray:
    return np.clip((x - zero) / (one - zero), 0, 1)


def _with_its_hair(frame, exemplar, cheeks, share, landmarks, above) -> np.ndarray:
    """The frame with the exemplar's hair where that became skin, or backdrop above [S,S] the face.

    It is softer than the exemplar's and of the colour of the hair that stayed.
    Foreheads of the photographs are high: a young man with a fringe became a balding one, and what was drawn over the
    fringe a smear.
    """
    size, luma = len(frame), frame @ LUMA
    hair = complexion.hair(exemplar.picture, exemplar.skin / np.float32(255), landmarks)
    soft = HAIR_SOFT * size
    rows = hair.any(1).nonzero()[0]
    if not len(rows):
        return frame
    # As far as anything that is averaged reaches from hair.
    top = np.s_[: rows[-1] + 1 + int(np.ceil(20 * soft))]
    skin, whole = np.median(luma[cheeks]), frame
    frame, luma, hair, share, above = (x[top] for x in (frame, luma, hair, share, above))
    before = exemplar.picture[top].astype(np.float32) / 127.5 - 1
    own = _smooth((before @ LUMA)[..., None], hair, 4 * soft)[0][..., 0]
    apart = skin - own
    towards = ndimage.gaussian_filter(luma, 2 * soft, truncate=3) - own
    towards = towards / np.where(np.abs(apart) < LEAST_APART, np.inf, apart)
    blue = ndimage.gaussian_filter(frame[..., 2] - frame[..., 0], 2 * soft, truncate=3)
    studio = _ramp(blue, *STUDIO)
    # Beside the head a backdrop stays: hair that comes back there hovers in the air.
    lost = np.maximum(_ramp(towards, *BECAME) * (1 - (1 - above) * studio), above * studio)
    stayed = hair * (1 - lost)
    colour = np.zeros(3, np.float32)
    if stayed.sum() > ENOUGH * size**2:
        colour = (stayed[..., None] * (frame - before)).sum((0, 1)) / stayed.sum()
    lost = ndimage.gaussian_filter(lost * _ramp(hair, 0.2, 0.6), 2 * soft, truncate=3)
    its = _blurred(before, soft) + np.clip(colour, -MOST_OTHER, MOST_OTHER)
    if (surely := hair > 0.5).any():
        lighter = ndimage.gaussian_filter(before @ LUMA, soft, truncate=3)
        lighter -= np.median((before @ LUMA)[surely])
        its -= PARTING * np.maximum(lighter, 0)[..., None]
    whole = whole.copy()
    whole[top] += (share * lost)[..., None] * (its - frame)
    return whole


def _without_patches(frame, exemplar, skin, share) -> np.ndarray:
    """Where the change of skin departs from light over it by more than skin does, it is held to LEVELS around it."""
    if skin.mean() < 0.01:
        return frame
    change, skin, share = (halved(x) for x in (frame - exemplar, skin, share))
    size = len(change)
    coarse, density = _smooth(change, skin, PATCH * size)
    light = _light(coarse, skin)
    patch = _ramp(np.linalg.norm(coarse - light, axis=-1), *DEPTH)
    # As far as its edge goes.
    edge = PATCH * size / 2
    patch = ndimage.grey_dilation(patch, size=2 * round(edge) + 1)
    patch = ndimage.gaussian_filter(patch, edge)
    # Not in a gap of hair or a collar.
    patch *= share * skin * np.clip(2 * density - 1, 0, 1)
    fine = _smooth(change, skin, FINE * size)[0] - light
    depth = np.linalg.norm(fine, axis=-1, keepdims=True)
    excess = fine * (1 - np.minimum(1, LEVELS / np.maximum(depth, 1e-6)))
    return frame - doubled(patch[..., None] * excess)


def _smooth(change: np.ndarray, skin: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """(change [S,S,C] averaged over the skin around each place, how much skin is there [S,S])."""
    density = ndimage.gaussian_filter(skin, sigma, truncate=3)
    sums = _blurred(change * skin[..., None], sigma)
    return sums / np.maximum(density, 1e-3)[..., None], density


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(picture, (sigma, sigma, 0), truncate=3)


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


def _without_strokes(frame, exemplar, share) -> np.ndarray:
    """Where the exemplar has strokes and the change redoes what they are of, the median of what is around them."""
    sigma = STROKE * len(frame)
    change = _blurred(halved(frame - exemplar), 0.75 * sigma)
    redone = doubled(np.linalg.norm(change, axis=-1))
    grey = exemplar @ LUMA
    detail = np.square(grey - ndimage.gaussian_filter(grey, sigma, truncate=3))
    contrast = np.sqrt(ndimage.gaussian_filter(detail, sigma, truncate=3))
    weight = _ramp(redone, *REDONE) * _ramp(contrast, *CONTRAST) * share
    weight = ndimage.gaussian_filter(weight, 0.75 * sigma, truncate=3)
    rows, columns = np.nonzero(weight > 0.02)
    half = max(1, round(WINDOW * len(frame)) // 2)
    padded = np.pad(frame, [(half, half), (half, half), (0, 0)], "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * half + 1,) * 2, (0, 1))
    count = (2 * half + 1) ** 2
    around = windows[rows, columns].reshape(len(rows), 3, count)
    middle = np.partition(around, count // 2, axis=-1)[..., count // 2]
    out = frame.copy()
    out[rows, columns] += weight[rows, columns, None] * (middle - out[rows, columns])
    return out


def _with_its_mouth(frame, exemplar, share, landmarks) -> np.ndarray:
    """The frame with the closed lips of its exemplar, in the light of the skin around them: photographs smile.

    A part of their teeth over closed lips is no mouth.
    """
    found = complexion.lips(exemplar.picture, landmarks)
    if found is None:
        return frame
    width = float(np.linalg.norm(landmarks[4] - landmarks[3]))
    beside, light = BESIDE_LIPS * width, LIGHT_AROUND * len(frame)
    # As far as anything that is averaged reaches from lips.
    pad = int(np.ceil(4 * beside + 3 * light)) + 2
    box = tuple(np.s_[max(part.start - pad, 0) : part.stop + pad] for part in found[0])
    mouth = np.zeros(frame.shape[:2], np.float32)
    mouth[found[0]] = found[1]
    mouth = ndimage.grey_dilation(mouth[box], size=2 * round(beside) + 1)
    mouth = ndimage.gaussian_filter(mouth, beside / 2)
    before = exemplar.picture[box].astype(np.float32) / 127.5 - 1
    change = _smooth(frame[box] - before, 1 - mouth, light)[0]
    frame = frame.copy()
    frame[box] += (share[box] * mouth)[..., None] * (before + change - frame[box])
    return frame


def _youth(frame, cheeks, age: float) -> float:
    """How much of its skin's relief a face loses for its age, 0 to SMOOTHED."""
    dark = _ramp(np.median(frame[cheeks] @ LUMA), *DARK)
    return SMOOTHED * _ramp(age, *reversed(AGES)) * (1 - EASED * dark)


def _without_relief(frame, cheeks, amount, landmarks) -> np.ndarray:
    """The frame less an amount [S,S] of the relief of a face's skin: what is narrower than RELIEF, but for the features."""
    size = len(frame)
    luma = frame @ LUMA
    like = ndimage.grey_erosion(_like_skin(frame, cheeks)[0], 3)
    like = ndimage.gaussian_filter(like, 0.006 * size)
    amount = amount * _beside_features(landmarks, size)
    smooth = ndimage.gaussian_filter(luma * like, RELIEF * size, truncate=3)
    smooth /= np.maximum(ndimage.gaussian_filter(like, RELIEF * size, truncate=3), 1e-3)
    return frame - (amount * like * (luma - smooth))[..., None]


def _beside_features(landmarks, size: int, features: Sequence[int] = EYES_NOSE_MOUTH) -> np.ndarray:
    """0 on the features, of which EYES_NOSE_MOUTH are all, 1 beyond: [S,S], of landmarks [5,2] px."""
    apart = np.linalg.norm(landmarks[1] - landmarks[0])
    y, x = np.ogrid[:size, :size]
    beside = np.ones((size, size))
    places = (*landmarks[:3], landmarks[3:].mean(axis=0))
    for k in features:
        away = np.hypot(x - places[k][0], 1.2 * (y - places[k][1])) / apart
        beside *= _ramp(away, FEATURES[k], FEATURES[k] + EDGE)
    return beside


def _with_even_hue(frame, skin, cheeks, landmarks) -> np.ndarray:
    """The frame where no skin is paler and bluer than the cheeks by more than skin is; its luma stays.

    A forehead that a refiner drew over hair has something of the backdrop's blue.
    """
    size, luma = len(frame), frame @ LUMA
    shades = (share * max(np.median(luma[cheeks]) + 1, 0.05) for share in SHADED)
    weight = skin * _beside_features(landmarks, size, EYES + MOUTH) * _ramp(luma + 1, *shades)
    density = np.maximum(ndimage.gaussian_filter(weight, HUE * size, truncate=3), 1e-3)

    def around(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(weight * values, HUE * size, truncate=3) / density

    light = np.maximum(around(luma + 1), 0.04)
    added = []
    for channel, sign, most in ((0, -1, PALER), (2, 1, BLUER)):
        share = around(frame[..., channel] + 1) / light
        apart = sign * (share - np.median(share[cheeks]))
        added.append(-sign * np.maximum(apart - most, 0) * light * weight)
    red, blue = added
    green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
    return (frame + np.stack([red, green, blue], -1)).astype(np.float32)


def _like_skin(frame, cheeks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(How much each pixel looks like the skin of the cheeks [S,S], its looks less the skin's [S,S,3], the skin's [3])."""
    luma = frame @ LUMA
    looks = np.stack([luma, frame[..., 0] - luma, frame[..., 2] - luma], -1)
    middle = np.median(looks[cheeks], axis=0)
    away = looks - middle
    return np.exp(-0.5 * np.square(away / SKIN_WIDTHS).sum(-1)), away, middle


def _with_light(frame, cheeks, share) -> np.ndarray:
    """The light over skin with its SPAN on the cheeks, or MOST times what it has; hue stays."""
    low, high = np.percentile((frame @ LUMA)[cheeks], (5, 95))
    like, away, middle = _like_skin(frame, cheeks)
    gain = np.clip((SPAN - DARKER * middle[0]) / max(high - low, 1e-3), 1, MOST)
    return frame + (share * like * (gain - 1) * away[..., 0])[..., None]


def _with_dim_whites(frame, cheeks, share, landmarks) -> np.ndarray:
    """The frame with eyes no lighter than a photograph's of that skin: in the exposure of dark skin none are white."""
    eyes = share * (1 - _beside_features(landmarks, len(frame), EYES))
    where = eyes > 0
    lab = rgb_to_lab((frame[where] + 1) / 2)
    least, more = WHITES
    most = least + more * np.median(rgb_to_lab((frame[cheeks] + 1) / 2)[:, 0])
    by = (1 - LEFT) * np.maximum(lab[:, 0] - most, 0) * eyes[where]
    # Less light, of the same hue.
    lab *= (1 - by / np.maximum(lab[:, 0], 1))[:, None]
    out = frame.copy()
    out[where] = np.where(by[:, None] > 0, 2 * lab_to_rgb(lab) - 1, frame[where])
    return out


def _without_rims(frame: np.ndarray) -> np.ndarray:
    """The frame with the median of its hue over a few pixels; lightness stays."""
    luma = frame @ LUMA
    hues = halved(frame - luma[..., None])
    red, blue = (doubled(ndimage.median_filter(hues[..., c], RIM)) for c in (0, 2))
    green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
    return np.clip(luma[..., None] + np.stack([red, green, blue], -1), -1, 1)
