"""A lesion from one photograph onto a generated person, for teaching: resampled once, marked as simulated.

The letter's figure (Cho 2019). The lesion and a rim of the skin around it are turned, scaled and laid onto an empty
canvas; from there on it is a release like any other, whose kept area is the resampled one.
"""

import dataclasses
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from jaxderm.attributes import BodySite
from jaxderm.errors import InputError
from jaxderm.frame import FACE_EYES, FACE_SIDE, bounding_box, default_margin, grow_mask
from jaxderm.photo import Photo, require_opaque
from jaxderm.release.output import Release

SIDE = 768
FACE_CM = 22.0  # width of a face's frame, assumed where no field is given
WORD = "SIMULATED"
# Places on a face as shares of its frame (x, y); left and right are the patient's.
PLACES = {
    "forehead": (0.5, 0.26), "glabella": (0.5, 0.39), "nose": (0.5, 0.55), "upper_lip": (0.5, 0.65),
    "chin": (0.5, 0.83), "left_cheek": (0.67, 0.6), "right_cheek": (0.33, 0.6),
    "left_temple": (0.77, 0.4), "right_temple": (0.23, 0.4),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Canvas:
    """What a transplanted lesion looks like to a release: photo, mask [S,S] bool, landmarks text, margin.

    placement: what was done, for the manifest.
    """

    photo: Photo
    mask: np.ndarray
    landmarks: str
    margin: int
    placement: dict


def face_landmarks(side: int) -> np.ndarray:
    """Landmarks [5,2] in px of the face whose frame is a canvas of `side`: inverse of `frame.face_box`."""
    d = 1 / FACE_SIDE
    eyes, mouth = FACE_EYES, FACE_EYES + d
    points = [
        (0.5 - d / 2, eyes), (0.5 + d / 2, eyes), (0.5, eyes + 0.45 * d),
        (0.5 - 0.38 * d, mouth), (0.5 + 0.38 * d, mouth),
    ]  # fmt: skip
    return side * np.array(points)


def parse_place(text: str) -> tuple[BodySite, tuple[float, float], str]:
    """(body site, (x, y) as shares of the frame, name) of a place of PLACES, a body site, or "x,y" on a face."""
    name = text.strip().lower().replace(" ", "_").replace("-", "_")
    if name in PLACES:
        return BodySite.FACE, PLACES[name], name
    try:
        x, y = (float(part) for part in name.split(","))
    except ValueError:
        try:
            return BodySite(name), (0.5, 0.5), name
        except ValueError:
            raise InputError(
                f"site '{text}' is unknown; give one of {', '.join(PLACES)}, a body site "
                f"({', '.join(site.value for site in BodySite)}), or x,y as shares of a face's frame."
            ) from None
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise InputError(f"site '{text}' lies outside the frame; give x,y from 0 to 1.")
    return BodySite.FACE, (x, y), f"{x:g},{y:g}"


def place_lesion(
    photo: Photo,
    mask: np.ndarray,
    site: BodySite,
    at: tuple[float, float],
    *,
    rotation: float = 0.0,
    lesion_mm: float | None = None,
    field_cm: float | None = None,
    margin: float | None = None,
    side: int = SIDE,
) -> Canvas:
    """The lesion of a photo under mask [H,W] bool on an empty canvas, its middle at `at` (shares of the side).

    rotation: degrees, anticlockwise; lesion_mm: its longest extent, with field_cm, the canvas's width (a
    face: FACE_CM). Without lesion_mm its pixels keep their size. Resampled once: bicubic, and averaged
    where it shrinks. InputError for a lesion that does not fit.
    """
    rim = default_margin(mask) if margin is None else margin
    pasted = grow_mask(mask, rim)
    require_opaque(photo, pasted, "photo")
    x0, y0, x1, y1 = bounding_box(pasted)
    extent = max(*np.ptp(np.argwhere(mask), axis=0) + 1)
    scale = 1.0
    if lesion_mm is not None:
        if not 0 < lesion_mm < 1000:
            raise InputError(f"lesion_mm '{lesion_mm:g}' is not a size in mm.")
        width = field_cm or (FACE_CM if site is BodySite.FACE else None)
        if width is None:
            raise InputError("lesion_mm needs --field_cm, the width of the picture in cm.")
        scale = lesion_mm / 10 / width * side / extent
    # Output pixel -> source pixel, about the middle of the lesion.
    angle = math.radians(rotation)
    c, s = math.cos(angle) / scale, math.sin(angle) / scale
    rows, columns = np.nonzero(mask)
    middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    target = np.array(at) * side
    turn = np.array([[c, -s], [s, c]])
    origin = middle - turn @ target
    factor = max(1, int(1 / scale))
    box = np.s_[y0:y1, x0:x1]
    # Beyond the pasted area the nearest of its pixels, so that its rim mixes with nothing else.
    nearest = ndimage.distance_transform_edt(
        ~pasted[box], return_distances=False, return_indices=True
    )
    source = photo.pixels[box][tuple(nearest)]
    offset = (origin - [x0, y0]) / factor
    affine = (*(turn[0] / factor), offset[0], *(turn[1] / factor), offset[1])

    def moved(plane: np.ndarray, how: Image.Resampling) -> np.ndarray:
        picture = Image.fromarray(np.pad(plane, [(2, 2)] * 2 + [(0, 0)] * (plane.ndim - 2), "edge"))
        picture = picture.reduce(factor) if factor > 1 else picture
        shifted = list(affine)
        shifted[2] += 2 / factor
        shifted[5] += 2 / factor
        return np.asarray(picture.transform((side, side), Image.Transform.AFFINE, shifted, how))

    def moved_mask(plane: np.ndarray) -> np.ndarray:
        padded = np.pad(plane, 2).astype(np.uint8) * 255
        picture = Image.fromarray(padded)
        picture = picture.reduce(factor) if factor > 1 else picture
        shifted = list(affine)
        shifted[2] += 2 / factor
        shifted[5] += 2 / factor
        how = Image.Resampling.BILINEAR
        return (
            np.asarray(picture.transform((side, side), Image.Transform.AFFINE, shifted, how)) >= 128
        )

    lesion, area = moved_mask(mask[box]), moved_mask(pasted[box])
    area |= lesion
    if not lesion.any() or area[0].any() or area[-1].any() or area[:, 0].any() or area[:, -1].any():
        raise InputError(
            "the lesion does not fit at this place; give another --site, or a smaller --lesion_mm."
        )
    canvas = np.full((side, side, 3), 128, np.uint8)
    canvas[area] = moved(source, Image.Resampling.BICUBIC)[area]
    # Kept is the mask grown again: the largest rim that stays within what was pasted.
    depth = ndimage.distance_transform_edt(~lesion)
    outside = depth[~area]
    grown = max(0, math.ceil(float(outside.min())) - 1) if outside.size else 0
    landmarks = "none"
    if site is BodySite.FACE:
        landmarks = " ".join(f"{x:.1f},{y:.1f}" for x, y in face_landmarks(side))
    placement = {
        "at": [round(float(v), 4) for v in at],
        "rotation_degrees": rotation,
        "scale": round(scale, 6),
        "resampled": "once, bicubic"
        + (f", averaged over {factor} x {factor} pixels" if factor > 1 else ""),
    }
    return Canvas(Photo(canvas, None, photo.conversion), lesion, landmarks, grown, placement)


def simulated(release: Release, placement: dict) -> Release:
    """The release as a teaching picture: WORD burnt into a corner outside kept, and named in the manifest."""
    height, width = release.kept.shape
    font = ImageFont.load_default(size=max(10, round(width / 22)))
    left, top, right, bottom = font.getbbox(WORD)
    pad = max(4, round(width / 90))
    size = (right - left + 2 * pad, bottom - top + 2 * pad)
    # The corner furthest from the kept area.
    y, x = (axis.mean() for axis in np.nonzero(release.kept))
    at = (0 if x > width / 2 else width - size[0], 0 if y > height / 2 else height - size[1])
    if release.kept[at[1] : at[1] + size[1], at[0] : at[0] + size[0]].any():
        raise InputError("no corner is free for the word SIMULATED; give a smaller --lesion_mm.")
    picture = Image.fromarray(release.pixels)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((at[0], at[1], at[0] + size[0] - 1, at[1] + size[1] - 1), fill=(0, 0, 0))
    draw.text((at[0] + pad - left, at[1] + pad - top), WORD, font=font, fill=(255, 255, 255))
    manifest = {**release.manifest, "simulated": True, "transplant": placement}
    return dataclasses.replace(release, pixels=np.array(picture), manifest=manifest)
