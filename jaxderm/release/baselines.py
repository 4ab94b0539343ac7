"""What is done today, for comparison: eye bar, crop, blur, mosaic, blackout of the face.

All but crop and blackout keep the face. These read pixels outside kept and hide little of the patient; kept
bytes are the photo's here too. Each release says in its manifest and legend that it does not protect.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from jaxderm.errors import InputError
from jaxderm.face import face_oval
from jaxderm.frame import Frame, bounding_box
from jaxderm.release.facts import Case
from jaxderm.release.output import Release, document_of

METHODS = ("eyebar", "crop", "blur", "mosaic", "blackout")
# Rank 1 of dlib's recogniser in a gallery of 102 people, 51 test cases (docs/evaluation.md).
_FOUND = {
    "eyebar": "finds 76 % of the people behind an eye bar",
    "mosaic": "finds 96 % of the people behind such a mosaic",
    "blur": "finds 100 % of the people behind such a blur",
}
BLUR_SIGMA = 12 / 768  # of the frame's side
MOSAIC_CELL = 24 / 768


def warning(method: str) -> str:
    """The sentence that goes with every release by a method of METHODS: it does not protect."""
    if method in _FOUND:
        return (
            f"method {method} does not protect the patient: a stock face recogniser {_FOUND[method]}; "
            "it is for comparison only"
        )
    what = "the cut" if method == "crop" else "the black area"
    return (
        f"method {method} does not protect the patient: whatever {what} leaves is the photograph "
        "itself; it is for comparison only"
    )


def release(case: Case, method: str) -> Release:
    """A case's release by a method of METHODS, with a manifest that names it and warns of it."""
    pixels, rectangle = baseline(method, case.photo, case.kept, case.frame, case.landmarks)
    x0, y0, x1, y1 = rectangle
    kept = case.kept[y0:y1, x0:x1]
    model = {"name": method, "sha256": None}
    case = dataclasses.replace(case, warnings=(*case.warnings, warning(method)))
    return Release(
        pixels, kept, document_of(case, rectangle, kept, model, {"policy": "none"}), case.warnings
    )


def baseline(
    method: str, photo: np.ndarray, kept: np.ndarray, frame: Frame, landmarks: np.ndarray
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """(release [h,w,3] uint8, its rectangle (x0, y0, x1, y1) on the photo) by a method of METHODS."""
    if method == "crop":
        x0, y0, x1, y1 = bounding_box(kept)
        return photo[y0:y1, x0:x1].copy(), (x0, y0, x1, y1)
    x0, y0, x1, y1 = frame.inside(*kept.shape)
    part, inside = photo[y0:y1, x0:x1], kept[y0:y1, x0:x1]
    if method == "blur":
        sigma = max(BLUR_SIGMA * frame.side, 1.0)
        release = np.stack([ndimage.gaussian_filter(part[..., i], sigma) for i in range(3)], -1)
    elif method == "mosaic":
        cell = max(2, round(MOSAIC_CELL * frame.side))
        small = Image.fromarray(part).reduce(cell)
        large = small.resize((small.width * cell, small.height * cell), Image.Resampling.NEAREST)
        release = np.asarray(large)[: part.shape[0], : part.shape[1]].copy()
    elif method == "blackout":
        face = face_oval(landmarks - np.array([x0, y0]), inside.shape)
        if not face.any():
            raise InputError("method blackout needs eyes and mouth; give --landmarks with them.")
        release = np.where(face[..., None], np.uint8(0), part)
    else:
        release = _eye_bar(part, landmarks - np.array([x0, y0]))
    release[inside] = part[inside]
    return release, (x0, y0, x1, y1)


def _eye_bar(part: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    eyes = landmarks[:2]
    if np.isnan(eyes).any():
        raise InputError("method eyebar needs both eyes; give --landmarks with them.")
    along = eyes[1] - eyes[0]
    across = np.array([-along[1], along[0]])
    ends = eyes[0] - 0.45 * along, eyes[1] + 0.45 * along
    corners = [end + sign * 0.22 * across for end, sign in zip(ends * 2, (-1, -1, 1, 1))]
    order = [corners[0], corners[1], corners[3], corners[2]]
    picture = Image.fromarray(part)
    ImageDraw.Draw(picture).polygon([tuple(map(float, point)) for point in order], fill=(0, 0, 0))
    return np.array(picture)
