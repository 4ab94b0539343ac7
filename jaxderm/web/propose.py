"""A lesion's mask proposed from one click, and the tone of clicked skin: named facts, for the user to accept."""

import numpy as np
from PIL import Image
from scipy import ndimage

from jaxderm.attributes import ita_of_lab, rgb_to_lab
from jaxderm.errors import InputError
from jaxderm.release.skin import TONE_GRID, skin_like

WORKING_SIDE = 384
REACH = 0.22  # of the working picture: no lesion is proposed beyond this distance of the click
MIN_CONTRAST = 6.0  # Delta-E between the clicked place and the skin around
MAX_SHARE = 0.12  # of the picture


def propose_mask(photo: np.ndarray, x: float, y: float) -> np.ndarray:
    """Mask [H,W] bool of what stands out at (x, y) of photo [H,W,3] uint8: region growing on colour.

    The colour clicked on against that of the skin in a ring around it; what lies beyond half of the way
    and hangs together with the click. InputError where nothing stands out.
    """
    height, width = photo.shape[:2]
    scale = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BOX))
    lab = rgb_to_lab(small)
    lab = np.stack([ndimage.median_filter(lab[..., i], 3) for i in range(3)], -1)
    row = int(np.clip(y * scale, 0, size[1] - 1))
    column = int(np.clip(x * scale, 0, size[0] - 1))
    rows, columns = np.mgrid[: size[1], : size[0]]
    away = np.hypot(rows - row, columns - column)
    reach = REACH * max(size)
    spot = np.median(lab[away <= max(2.0, 0.008 * max(size))], axis=0)
    best = None
    # The ring must lie outside the lesion, whose size is not known: the smallest that fits is taken.
    for radius in (0.15, 0.3, 0.5, 0.75, 1.0):
        ring = (away > radius * reach * 0.8) & (away <= radius * reach * 1.25)
        skin = ring & skin_like(lab)
        if skin.sum() < 30:
            continue
        around = np.median(lab[skin], axis=0)
        contrast = float(np.linalg.norm(spot - around))
        if contrast < MIN_CONTRAST:
            continue
        along = (lab - around) @ ((spot - around) / contrast**2)
        above = ndimage.binary_opening((along > 0.5) & (away <= reach), iterations=1)
        pieces, _ = ndimage.label(above, np.ones((3, 3)))
        touched = pieces[away <= 3]
        touched = touched[touched > 0]
        if not len(touched):
            continue
        found = ndimage.binary_fill_holes(pieces == np.bincount(touched).argmax())
        if (found & ring).sum() > 0.1 * ring.sum():
            continue  # it runs over the ring: the ring is no skin around it
        best = found
        break
    if best is None or not 6 <= best.sum() <= MAX_SHARE * best.size:
        raise InputError(
            "nothing stands out from the skin at this place; click the middle of the lesion, or paint it."
        )
    soft = Image.fromarray(best.astype(np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.asarray(soft) >= 0.5


def tone_at(photo: np.ndarray, mask: np.ndarray | None, x: float, y: float) -> float:
    """ITA in degrees, rounded to 5, of the skin around (x, y) outside the mask; InputError for no skin."""
    height, width = photo.shape[:2]
    reach = max(3, round(0.02 * max(height, width)))
    top, left = max(0, int(y) - reach), max(0, int(x) - reach)
    part = photo[top : int(y) + reach + 1, left : int(x) + reach + 1]
    if not part.size:
        raise InputError("this place is outside the photograph; click on unaffected skin.")
    lab = rgb_to_lab(part)
    free = skin_like(lab)
    if mask is not None:
        free &= ~mask[top : top + part.shape[0], left : left + part.shape[1]]
    if free.sum() < 0.3 * free.size:
        raise InputError("this place does not have the colour of skin; click on unaffected skin.")
    return float(TONE_GRID * np.round(ita_of_lab(lab[free]) / TONE_GRID))
