"""Hair of a settled frame, combed: strokes run as its exemplar's strands do, of one hue, with fine strands by the seed.

A refiner makes of rendered strands what it has seen of hair, a stroke here and a knot there: braids beside a face,
carved fringes, stains, black lobes of the shade within hair that hangs to the shoulders. An exemplar is rendered from
strands: it knows where hair is and which way it goes, and averages along that way keep what runs along and lose all
else. Hairlines of renders are cut out; here they are grown.
"""

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA
from jaxderm.data import complexion
from jaxderm.data.exemplars import Exemplar
from jaxderm.release import along
from jaxderm.release.pyramid import halved
from jaxderm.release.smoothing import blurred, ramp, smooth

# Of a face without hair but above its brows, in distances from the eyes to the mouth: middle, half axes, how softly it ends.
FACE, FACE_END = (0.25, (1.05, 1.15)), (0.8, 0.95)
# How high a tip of an ear is between hair and hair, and from where beside a face, in the same.
EAR, BESIDE = 0.45, 1.0
STUDIO = 0.04, 0.16  # blue less red of a frame: hair, and backdrop
# Red less blue, of all colours, by which clothes have less than hair, where they are light enough to have a hue; levels by which
# they are lighter than hair; and from where below the eyes on, in distances from the eyes to the mouth.
OTHER_HUE, LIT, LIGHTER, CLOTHES = (0.08, 0.14), (25.0, 50.0), (20.0, 50.0), (0.8, 1.0)
# Of the frame: how far directions are averaged where they agree, and where they do not; how much they must agree. How much
# the frame's own strokes count beside the exemplar's.
NEAR, FAR, AGREE, OWN = 0.02, 0.06, (0.2, 0.6), 0.5
# Hair of whose strokes no more agree is coiled or cropped, and not combed; and that of which enough do.
COILED = 0.14, 0.2
LONG = 14  # px to either side that is averaged along hair, and that a strand is long
# Shade beside a jaw: share of the hair's middle below which it is one, how much of it goes, and from where below the eyes.
SHADE, LIFTED, JAW = 0.85, 0.8, (-0.2, 0.3)
# Of the way to the hue of all of the hair; and how many times the colour of its middle a lighter place has, at most.
HUE, MOST_COLOUR = 0.6, 1.3
# Percentile of an exemplar's hair that is lit strands; how far apart colours of grey are, of its light; the least light of
# [0,2]; and how many times lighter hair gets by it, and than it, at most.
LIT_STRANDS, GREY, GREY_LIGHT, MOST_LIGHTER, MOST_LIT = 65, 0.2, 0.4, 3.0, 1.5
LEAST = 50  # px of hair that have a middle
# px: what is wider than a strand; contrast of strands.
WIDE, STRANDS = 2.5, 0.075
# Of the frame: how wide a hairline is; where it ends below the eyes, in distances from the eyes to the mouth; how much
# single strands are beyond it, and of hair and them together what is bare and what is not.
HAIRLINE, TEMPLE, SINGLE, GROWN = 0.012, (-0.1, -0.3), 0.1, (0.15, 0.85)


def combed(
    frame: np.ndarray,
    exemplar: Exemplar,
    hair: np.ndarray,
    share: np.ndarray,
    place: tuple[np.ndarray, np.ndarray],
    noise: np.ndarray,
) -> np.ndarray:
    """Frame [S,S,3] in [-1,1] whose hair runs one way at each place, with strands of noise [S,S].

    hair [S,S]: `hair_of` it. share [S,S]: how far from the kept, near which all stays. place: (across, down) as of
    `face.face_coordinates`.
    """
    hair = hair * share
    if hair.sum() < LEAST:
        return frame
    directions, straight = _directions(exemplar.picture @ (LUMA / 127.5), frame @ LUMA, hair)
    if not straight:
        return frame.astype(np.float32)
    reach = ndimage.gaussian_filter(hair, HAIRLINE * len(frame), truncate=3)
    paths = along.paths(np.maximum(hair, reach), directions, LONG)
    skin = exemplar.skin.astype(np.float32) / 255
    # What covers a tip of an ear is hair around it.
    even = along.means(frame, hair * np.maximum(1 - skin, 1e-3), paths)
    even = _evened(even, hair, place[1], exemplar.picture)
    lines = along.means(noise[..., None], np.ones_like(hair), paths)[..., 0]
    lines *= np.sqrt(2 * LONG + 1)
    lines -= ndimage.gaussian_filter(lines, WIDE, truncate=3)
    even = (even + 1) * (1 + STRANDS * lines[..., None]) - 1
    out = frame + (hair * straight)[..., None] * (even - frame)
    share = straight * share * ramp(place[1], *TEMPLE)
    return _with_hairline(out, hair, skin, reach, lines, share).astype(np.float32)


def hair_of(frame, exemplar, place) -> np.ndarray:
    """How much each pixel of a frame [S,S,3] in [-1,1] is hair of its exemplar's head, [S,S] float32; softly ended."""
    across, down = place
    skin = exemplar.skin.astype(np.float32) / 255
    middle, (wide, high) = FACE
    outside = ramp(np.hypot(across / wide, (down - middle) / high), *FACE_END)
    hair = complexion.tufts(exemplar.picture, skin)
    hair *= np.maximum(complexion.above_brows(down), outside)
    hair = ndimage.grey_closing(hair, 3) * _of_one_head(exemplar.picture, hair, down)
    # Tips of ears that stick out of long hair are hair too.
    unit = 1 / max(abs(np.gradient(down[:, 0])).max(), 1e-3)
    tall = 2 * round(EAR * unit / 2) + 1
    over = ndimage.grey_closing(hair, (tall, 1)) * (np.abs(across) > BESIDE)
    hair = np.maximum(hair, over)
    blue = ndimage.gaussian_filter(frame[..., 2] - frame[..., 0], 1.0)
    return ndimage.gaussian_filter(hair * (1 - ramp(blue, *STUDIO)), 1.0).astype(np.float32)


def _with_hairline(frame, hair, skin, reach, lines, share) -> np.ndarray:
    """The frame [S,S,3] whose hair ends on skin over the reach [S,S] of it, strand by strand of lines [S,S]."""
    ends = HAIRLINE * len(frame)
    bare, density = smooth(frame, skin * (1 - hair), ends)
    hairy = smooth(frame, hair, ends)[0]
    grown = ramp(reach + SINGLE * lines, *GROWN)[..., None]
    line = 4 * reach * (1 - reach) * ramp(density, 0.1, 0.3) * share
    return frame + line[..., None] * (bare + grown * (hairy - bare) - frame)


def _of_one_head(picture, tufts, down) -> np.ndarray:
    """Where tufts [S,S] go on from those above the brows, and below a jaw are of their colour: [S,S]. Clothes are not."""
    above = complexion.above_brows(down) > 0.5
    labels, _ = ndimage.label(tufts > 0.5)
    own = np.isin(labels, np.setdiff1d(labels[above], 0))
    surely = own & above
    if not surely.any():
        return np.zeros(tufts.shape, np.float32)
    colours = picture.astype(np.float32)
    red = (colours[..., 0] - colours[..., 2]) / np.maximum(colours.sum(-1), 1)
    light = colours @ LUMA
    other = np.maximum(
        ramp(np.median(red[surely]) - red, *OTHER_HUE) * ramp(light, *LIT),
        ramp(light - np.percentile(light[surely], 95), *LIGHTER),
    )
    other = ndimage.gaussian_filter(other, 1.0)
    return ndimage.grey_dilation(own.astype(np.float32), 3) * (1 - ramp(down, *CLOTHES) * other)


def _directions(shown, drawn, hair) -> np.ndarray:
    """(unit vectors (down, right) [S/2,S/2,2] along strokes of two lumas [S,S] where hair [S,S] is, how straight it is)."""
    size = len(hair)
    inside = halved(ndimage.grey_erosion(hair, 3))[..., None]
    tensor = _of_one_weight(along.tensor(shown)) + OWN * _of_one_weight(along.tensor(drawn))
    tensor *= inside
    near, far = blurred(tensor, NEAR * size / 2), blurred(tensor, FAR * size / 2)
    agree = ramp(along.agreement(near), *AGREE)[..., None]
    tensor = blurred(agree * _of_one_weight(near) + (1 - agree) * _of_one_weight(far), 3.0)
    surely = inside[..., 0] > 0.8
    straight = ramp(np.median(along.agreement(far)[surely]), *COILED) if surely.any() else 0.0
    return along.directions(tensor), float(straight)


def _of_one_weight(tensor) -> np.ndarray:
    """Strong strokes shall not outweigh fine ones."""
    return tensor / np.maximum(tensor[..., :2].sum(-1, keepdims=True), 1e-6)


def _grey_of(colours) -> np.ndarray | None:
    """The colour [3] of hair of colours [N,3], all in [0,2], if that is grey: a refiner dyes it."""
    middle = np.median(colours, axis=0)
    light = np.percentile(colours @ LUMA, LIT_STRANDS)
    if np.ptp(middle) > GREY * light or light < GREY_LIGHT:
        return None
    return middle * light / (middle @ LUMA)


def _evened(frame, hair, down, picture) -> np.ndarray:
    """The frame [S,S,3] with less of the shade that hair has beside a jaw, nearer to one hue; grey as in its exemplar's picture."""
    surely = hair > 0.6
    if surely.sum() < LEAST:
        return frame
    middle = np.median(frame[surely], axis=0) + 1
    light = (frame + 1) @ LUMA
    shaded = np.minimum(light / (SHADE * (middle @ LUMA)), 1)
    gain = ndimage.gaussian_filter(np.maximum(shaded, 0.02) ** -LIFTED, 2.0)
    gain = 1 + ramp(down, *JAW) * (gain - 1)
    # Beside what is black nothing gets lighter than hair.
    gain = np.minimum(gain, np.maximum(SHADE * (middle @ LUMA) / np.maximum(light, 1e-3), 1))
    lifted = (frame + 1) * gain[..., None]
    hue, grey = HUE, _grey_of(picture[surely] / np.float32(127.5))
    if grey is not None:
        lifted *= np.clip(grey @ LUMA / (middle @ LUMA), 1, MOST_LIGHTER)
        most = MOST_LIT * (grey @ LUMA)
        lifted *= np.minimum(most / np.maximum(lifted @ LUMA, most), 1)[..., None]
        middle, hue = grey, 1.0
    light = lifted @ LUMA
    # What is much lighter, as a rim is, has no more colour.
    share = np.minimum(light / (middle @ LUMA), MOST_COLOUR)[..., None]
    of_one_hue = light[..., None] + share * (middle - middle @ LUMA)
    return lifted + hue * (of_one_hue - lifted) - 1
