"""The pictures an audit compares: untouched, what is done today, and what the facts alone give away."""

import numpy as np
from PIL import Image, ImageDraw

from jaxderm.errors import InputError
from jaxderm.evaluate.cases import Subject, skin_box
from jaxderm.face import face_oval
from jaxderm.release import baselines

Rectangle = tuple[int, int, int, int]

UNTOUCHED, LANDMARKS, KEPT = "untouched", "landmarks", "kept"
# Name -> what it is, as the report says it.
WORDS = {
    UNTOUCHED: "the photograph as it is",
    "eyebar": "a black bar over the eyes",
    "crop": "tight crop round the lesion",
    "blur": "Gaussian blur, sigma 1/64 of the frame",
    "mosaic": "mosaic, cells of 1/32 of the frame",
    "blackout": "whole face black, the lesion kept",
    LANDMARKS: "a grey face drawn at the landmarks, no pixel of the photograph",
    KEPT: "the kept pixels alone on a grey face",
}
BACKGROUND, SKIN, FEATURE = 96, 150, 60


def pictures(subject: Subject) -> dict[str, tuple[np.ndarray, Rectangle]]:
    """{name: (picture [h,w,3] uint8, its rectangle on the photo)} of every name in WORDS that applies.

    A method that needs landmarks is left out where they are unknown.
    """
    x0, y0, x1, y1 = box = skin_box(subject)
    made = {UNTOUCHED: (subject.photo[y0:y1, x0:x1], box)}
    for method in baselines.METHODS:
        try:
            made[method] = baselines.baseline(
                method, subject.photo, subject.kept, subject.frame, subject.landmarks
            )
        except InputError:
            continue
    local = subject.landmarks - np.array([x0, y0], np.float32)
    if subject.is_face and not np.isnan(local).any():
        made[LANDMARKS] = (grey_face(local, (y1 - y0, x1 - x0)), box)
        alone = grey_face(local, (y1 - y0, x1 - x0), features=False)
        inside = subject.kept[y0:y1, x0:x1]
        alone[inside] = subject.photo[y0:y1, x0:x1][inside]
        made[KEPT] = (alone, box)
    return made


def grey_face(landmarks: np.ndarray, shape: tuple[int, int], features: bool = True) -> np.ndarray:
    """A grey oval [H,W,3] uint8 with eyes, nose and mouth at landmarks [5,2] px, all known."""
    grey = np.where(face_oval(landmarks, shape), SKIN, BACKGROUND).astype(np.uint8)
    image = Image.fromarray(np.repeat(grey[..., None], 3, -1))
    if not features:
        return np.array(image)
    draw = ImageDraw.Draw(image)
    between = float(np.linalg.norm(landmarks[1] - landmarks[0]))

    def ellipse(centre: np.ndarray, width: float, height: float, value: int) -> None:
        (x, y), w, h = centre, width * between / 2, height * between / 2
        draw.ellipse((x - w, y - h, x + w, y + h), fill=(value,) * 3)

    for eye in landmarks[:2]:
        ellipse(eye, 0.42, 0.18, 205)
        ellipse(eye, 0.17, 0.17, FEATURE)
        ellipse(eye - [0, 0.3 * between], 0.55, 0.07, FEATURE)
    nose = landmarks[2]
    ellipse(nose, 0.36, 0.2, SKIN - 22)
    middle, half = landmarks[3:].mean(0), (landmarks[4] - landmarks[3]) / 2
    corners = [
        middle - half,
        middle - [0, 0.07 * between],
        middle + half,
        middle + [0, 0.12 * between],
    ]
    draw.polygon([tuple(map(float, corner)) for corner in corners], fill=(FEATURE + 25,) * 3)
    return np.array(image)
