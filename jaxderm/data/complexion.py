"""Complexion of a rendered person in a frame: skin of a tone, lips and hair that go with it, brows that end softly."""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import Attributes, Sex, lab_to_rgb, rgb_to_lab
from jaxderm.data import pigment
from jaxderm.face import face_coordinates, face_skin_region, mouth_coordinates

SOFT = 0.7  # px: how softly skin ends
# Half axes of a mouth in widths of it, and by how much of a* less than the skin something there is no lips.
MOUTH, LESS_RED = (0.6, 0.42), 8.0
LIPS = 0.7  # of the change of melanin that lips share
# Shape of a closed mouth in widths of it: half width, upper and lower lip; how far around it the skin is that lips are
# redder than, in that shape; softness of what is measured; and a* that shows.
HALF, UPPER, LOWER, AROUND, GRAIN, LEAST_RED = 0.58, 0.26, 0.44, 1.4, 0.03, 2.5
BETWEEN = 30.0  # L* less than the skin's: the line where lips meet
# L* of skin, and what lips are less it (CIELAB), as in portraits that may be trained on but for lipstick; the compositing
# takes yellow from the skin and not from them. Rendered women's lips were painted, and men's hardly redder than the skin.
SKINS = 35.0, 65.0
LIP_COLOURS = {
    Sex.FEMALE: ((-3.0, 8.0, -5.0), (-10.0, 11.0, -5.0)),
    Sex.MALE: ((0.0, 4.0, -4.0), (-5.0, 7.0, -4.0)),
}
NATURAL = 0.8  # of the way to it: people differ
SHINE, DULL = 6.0, 0.3  # L* more than its lips that a mouth shines by, and what is left of more
# Of a mouth's width: half of how wide a light on the line between lips is, and one on a lip, which is no redder than skin.
GLOSS, WET = 0.06, 0.18
# Red less blue of hair: not at all of the first, surely from the second on; and where brows end, in distances from the eyes
# to the mouth.
BACKDROP, ABOVE_BROWS = (-28, -10), (-0.42, -0.52)
# ITA below which hair is not fair, and as far as which it is less so; chroma that grey has not, and hair with some strands
# of it; L* of dark hair.
DARK_TONES, GREY, GREYISH, HAIR_LIGHT = (-10.0, -30.0), 6.0, 15.0, 8.0
# From when on an exemplar may be grey: whom a release shows is then 45 (`synthesize.likeness_of`).
GREY_YEARS = {Sex.MALE: 35.0, Sex.FEMALE: 49.0, Sex.UNSPECIFIED: 45.0}
# L* of the least grey; hair beside a face, in distances from the eyes to the mouth, across and down; share of it that
# cropped hair has not.
GREY_LIGHT, BESIDE, CROPPED = 25.0, ((0.95, 1.5), (-0.5, 0.9)), 0.15
# Of the frame, and how much of hair and skin together is surely an edge of both; from where it is below the brows.
STRANDS, BELOW_BROWS = (0.0055, 8.0), 0.35
# Of the frame, half of how wide strands over a cheek are that are single; how far aside from a nose they hang, below and
# above where below the eyes, in distances from the eyes to the mouth: there are brows and eyes.
GAP, BELOW_EYES, BESIDE_NOSE = 0.016, 0.2, (0.65, 0.88)
# Of the frame; and where brows are, in distances from the eyes to the mouth: across, down, half axes.
BROW_SOFT, BROWS = 0.004, ((0.52, -0.34), (0.6, 0.22))


def toned(
    frame: np.ndarray, skin: np.ndarray, landmarks: np.ndarray, ita: float | None
) -> np.ndarray:
    """Frame [S,S,3] uint8 with melanin added to or taken from its skin and a face's lips until its ITA is that in degrees.

    skin [S,S] in [0,1]; landmarks [5,2] in [0,1] of the frame, NaN unknown. None, or hardly any skin: as it is.
    """
    shape = frame.shape[:2]
    region = face_skin_region(landmarks * shape[0], shape) & (skin > 0.5)
    if region.sum() < 50:
        region = skin > 0.5
    if ita is None or region.sum() < 50:
        return frame
    lab = rgb_to_lab(frame)
    middle = np.median(lab[region], axis=0)
    gain, added = pigment.gain(middle, ita)
    # A picture's skin ends softly; what says where it is knows whole pixels.
    skin = ndimage.gaussian_filter(np.maximum(skin, LIPS * _lips(lab, middle, landmarks)), SOFT)
    touched = skin > 0.01
    share = skin[touched]
    linear = pigment.LINEAR[frame[touched]] * np.exp(share[:, None] * np.log(gain))
    bright = np.clip((lab[..., 0][touched] - middle[0]) / 100, 0, 0.3)
    linear += (pigment.GLOSS * max(added, 0) * bright * share)[:, None]
    result = frame.copy()
    result[touched] = np.round(255 * pigment.srgb_of_linear(linear))
    return result


def _lips(lab: np.ndarray, skin: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """How much each pixel of a frame (CIELAB) is lips, [S,S]: at the mouth, and as red as the skin [3] or more.

    They have the skin's melanin and more blood (`render.skin`); teeth have neither.
    """
    corners = landmarks[3:] * len(lab)
    if not np.isfinite(corners).all():
        return np.zeros(lab.shape[:2], np.float32)
    width = max(float(np.linalg.norm(corners[1] - corners[0])), 1.0)
    along = (corners[1] - corners[0]) / width
    y, x = np.ogrid[: lab.shape[0], : lab.shape[1]]
    x, y = x - corners[:, 0].mean(), y - corners[:, 1].mean()
    u, v = x * along[0] + y * along[1], y * along[0] - x * along[1]
    mouth = np.hypot(u / MOUTH[0], v / MOUTH[1]) < width
    return mouth * np.clip((lab[..., 1] - skin[1]) / LESS_RED + 1, 0, 1).astype(np.float32)


def lips(frame: np.ndarray, landmarks: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray] | None:
    """(Box of a mouth, how much each of its pixels is lips [h,w]) of a rendered face [S,S,3] uint8; landmarks [5,2] px.

    They are what is redder than the skin around, in the shape of a mouth, with lights on the lower. None where none show.
    """
    place = mouth_coordinates(landmarks - 0.5, frame.shape[:2])
    if place is None:
        return None
    (along, below), width = place
    mouth = np.where(
        below > 0, np.hypot(along / HALF, below / LOWER), np.square(along / HALF) - below / UPPER
    )
    box = ndimage.find_objects((mouth < AROUND).astype(np.int8))
    if not box:
        return None
    mouth = mouth[box[0]]
    redness = rgb_to_lab(frame[box[0]])[..., 1]
    redness = ndimage.gaussian_filter(redness, GRAIN * width)
    around, inside = (mouth > 1) & (mouth < AROUND), mouth < 1
    if min(around.sum(), inside.sum()) < 20:
        return None
    more = redness - np.median(redness[around])
    most = np.percentile(more[inside], 85)
    if most < LEAST_RED:
        return None
    share = np.clip((more / most - 0.3) / 0.4, 0, 1) * np.clip((1.1 - mouth) / 0.2, 0, 1)
    # Above lies the dip of the upper lip.
    wet = ndimage.grey_closing(share, (1, 2 * round(WET * width) + 1))
    return box[0], np.where(below[box[0]] > 0, wet, share)


def natural_lips(frame: np.ndarray, landmarks: np.ndarray, sex: Sex) -> np.ndarray:
    """Frame [S,S,3] uint8 whose lips differ from a face's skin as unpainted lips do; landmarks [5,2] in [0,1] of it."""
    landmarks = landmarks * len(frame)
    skin = face_skin_region(landmarks, frame.shape[:2])
    found = lips(frame, landmarks) if skin.sum() >= 50 else None
    if found is None:
        return frame
    box, share = found
    lab = rgb_to_lab(frame[box])
    middle = np.median(rgb_to_lab(frame[skin]), axis=0)
    surely = (share > 0.8) & (lab[..., 0] > middle[0] - BETWEEN)
    if surely.sum() < 10:
        return frame
    darker, lighter = LIP_COLOURS.get(sex, np.mean(list(LIP_COLOURS.values()), axis=0))
    colour = [np.interp(middle[0], SKINS, pair) for pair in zip(darker, lighter)]
    now = np.median(lab[surely], axis=0)
    # Rendered lips are as wet as with gloss; a light on the line between them is narrower than teeth.
    width = 2 * round(GLOSS * np.linalg.norm(landmarks[4] - landmarks[3])) + 1
    bright = np.maximum(lab[..., 0] - now[0] - SHINE, 0)
    narrow = lab[..., 0] - ndimage.grey_opening(lab[..., 0], (1, width))
    between = ndimage.grey_closing(share, width) * np.minimum(narrow, bright)
    shine = (1 - DULL) * np.maximum(share * bright, between)
    lab[..., 1:] += (shine / np.maximum(bright, SHINE))[..., None] * (now[1:] - lab[..., 1:])
    lab[..., 0] -= shine
    dull = np.where(shine[..., None] > 0, np.round(255 * lab_to_rgb(lab)), frame[box])
    result = frame.copy()
    result[box] = _recoloured(
        dull.astype(np.uint8), share, now, now + NATURAL * (middle + colour - now)
    )
    return result


def hair(frame: np.ndarray, skin: np.ndarray, landmarks: np.ndarray) -> np.ndarray | None:
    """How much each pixel of a rendered face's frame [S,S,3] uint8 is hair above the brows, [S,S]; None where no face is.

    skin [S,S] in [0,1]; landmarks [5,2] px. A studio's backdrop is bluer than hair.
    """
    place = face_coordinates(landmarks - 0.5, frame.shape[:2])
    return None if place is None else tufts(frame, skin) * above_brows(place[1])


def tufts(frame: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """How much each pixel of a rendered face's frame [S,S,3] uint8 is neither skin nor a studio's blue backdrop, [S,S]."""
    redder = frame[..., 0].astype(np.float32) - frame[..., 2]
    return (1 - skin) * np.clip((redder - BACKDROP[0]) / (BACKDROP[1] - BACKDROP[0]), 0, 1)


def above_brows(down: np.ndarray) -> np.ndarray:
    """1 from above the brows of a face on, 0 below them, [S,S]; down as of `face.face_coordinates`."""
    return np.clip((down - ABOVE_BROWS[0]) / (ABOVE_BROWS[1] - ABOVE_BROWS[0]), 0, 1)


def haircut(frame: np.ndarray, skin: np.ndarray, landmarks: np.ndarray) -> tuple[bool, bool]:
    """(Whether the hair of a rendered face is cropped, whether it is grey); skin, landmarks as in `hair`."""
    place = face_coordinates(landmarks - 0.5, frame.shape[:2])
    if place is None:
        return False, False
    (across, down), found = place, tufts(frame, skin)
    beside = beside_face(across, down)
    cropped = beside.any() and found[beside].mean() < CROPPED
    surely = found * above_brows(down) > 0.8
    if surely.sum() < 50:
        return bool(cropped), False
    middle = np.median(rgb_to_lab(frame[surely]), axis=0)
    return bool(cropped), bool(np.hypot(*middle[1:]) < GREYISH and middle[0] > GREY_LIGHT)


def beside_face(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Where the hair of a head hangs that is not cropped, [S,S] bool; across and down as of `face.face_coordinates`."""
    (near, far), (upper, lower) = BESIDE
    return (np.abs(across) > near) & (np.abs(across) < far) & (down > upper) & (down < lower)


def may_be_grey(facts: Attributes) -> bool:
    """Whether the hair of an exemplar of the facts may be grey."""
    return facts.age is not None and facts.age >= GREY_YEARS[facts.sex]


def dark_hair(
    frame: np.ndarray, skin: np.ndarray, landmarks: np.ndarray, facts: Attributes
) -> np.ndarray:
    """Frame [S,S,3] uint8 in which people of dark skin have no fair hair, and no grey before their time.

    skin, landmarks as in `toned`. A bank has few of them, so that some are of another tone or age.
    """
    where = None if facts.ita is None else hair(frame, skin, landmarks * len(frame))
    if where is None or facts.ita >= DARK_TONES[0] or (surely := where > 0.8).sum() < 50:
        return frame
    middle = np.median(rgb_to_lab(frame[surely]), axis=0)
    grey = np.hypot(*middle[1:]) < GREY and may_be_grey(facts)
    if grey or middle[0] <= HAIR_LIGHT:
        return frame
    share = where * np.interp(facts.ita, DARK_TONES[::-1], (1, 0))
    return _recoloured(frame, share, middle, middle * HAIR_LIGHT / middle[0])


def _recoloured(
    picture: np.ndarray, share: np.ndarray, now: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """Picture [h,w,3] uint8 dyed, as far as share [h,w], so that the colour now becomes the wanted one, [3] CIELAB."""
    both = pigment.linear_of_srgb(255 * lab_to_rgb(np.stack([now, wanted])))
    before, after = np.maximum(both, 1e-3)
    gain = np.exp(share[..., None] * np.log(after / before))
    return np.round(255 * pigment.srgb_of_linear(pigment.LINEAR[picture] * gain)).astype(np.uint8)


def soft_strands(frame: np.ndarray, skin: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Frame [S,S,3] uint8 with what hair hangs over a face's skin below its brows averaged over STRANDS; as `toned`.

    A render's strands are of the width of a pixel, and a cheek's edge would have teeth once it is enlarged.
    """
    place = face_coordinates(landmarks * len(frame) - 0.5, frame.shape[:2])
    if place is None:
        return frame
    width = STRANDS[0] * len(frame)
    beside = ndimage.gaussian_filter(tufts(frame, skin), 2 * width)
    share = np.clip(STRANDS[1] * beside * ndimage.gaussian_filter(skin, 2 * width), 0, 1)
    share *= 1 - above_brows(place[1] - BELOW_BROWS)
    soft = ndimage.gaussian_filter(frame.astype(np.float32), (width, width, 0), truncate=3)
    return np.round(frame + share[..., None] * (soft - frame)).astype(np.uint8)


def bare_cheeks(
    frame: np.ndarray, skin: np.ndarray, landmarks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(Frame [S,S,3] uint8, its skin [S,S] in [0,1]) with skin where single strands hang over a cheek; as `toned`.

    A refiner, and whoever sees what it makes of them, takes them for bruises.
    """
    size = len(frame)
    place = face_coordinates(landmarks * size - 0.5, frame.shape[:2])
    if place is None:
        return frame, skin
    across, down = place
    width = 2 * round(GAP * size) + 1
    away = np.where(down > BELOW_EYES, *BESIDE_NOSE)
    there = (np.abs(across) > away) * (1 - above_brows(down))
    between = (ndimage.grey_closing(skin, width) - skin) * there
    if not between.any():
        return frame, skin
    reach, (rows, columns) = GAP * size, np.nonzero(between)
    margin = int(np.ceil(3 * reach)) + int(np.ceil(4 * SOFT)) + 1  # as far as averages reach
    box = tuple(slice(max(at.min() - margin, 0), at.max() + margin + 1) for at in (rows, columns))
    between = ndimage.gaussian_filter(between[box], SOFT)
    part, own = frame[box], skin[box]
    sums = ndimage.gaussian_filter(part * own[..., None], (reach, reach, 0), truncate=3)
    bare = sums / np.maximum(ndimage.gaussian_filter(own, reach, truncate=3), 1e-3)[..., None]
    share = np.clip(2 * between, 0, 1)[..., None]
    frame, skin = frame.copy(), skin.copy()
    frame[box] = np.round(part + share * (bare - part))
    skin[box] = np.maximum(own, between)
    return frame, skin


def soft_brows(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Frame [S,S,3] uint8 with what is around the brows of a face averaged over BROW_SOFT; landmarks [5,2] in [0,1] of it.

    A render's brows are strokes of the width of a pixel: bars with teeth once they are enlarged.
    """
    size = len(frame)
    place = face_coordinates(landmarks * size - 0.5, frame.shape[:2])
    if place is None:
        return frame
    across, down = place
    (x, y), (wide, high) = BROWS
    share = np.clip(3 - 3 * np.hypot((np.abs(across) - x) / wide, (down - y) / high), 0, 1)
    rows, columns = share.any(1).nonzero()[0], share.any(0).nonzero()[0]
    if not len(rows):
        return frame
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    part = frame[box].astype(np.float32)
    sigma = BROW_SOFT * size
    smooth = ndimage.gaussian_filter(part, (sigma, sigma, 0), truncate=3)
    result = frame.copy()
    result[box] = np.round(part + share[box][..., None] * (smooth - part))
    return result
