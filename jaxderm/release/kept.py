"""How much of the face itself stays: what the kept pixels may give away."""

import dataclasses

import numpy as np

from jaxderm.face import face_oval

FACE_WARNING = 0.10  # share of the face
FEATURE_WARNING = 0.25  # share of an eye or of the mouth
WORKING_REACH = 256  # px from the middle of the face


@dataclasses.dataclass(frozen=True)
class KeptOnFace:
    """Shares in [0,1] that kept covers: of the face, of each eye (image left, image right), of the mouth."""

    face: float
    eyes: tuple[float, float]
    mouth: float

    @property
    def warning(self) -> str | None:
        """A sentence with the numbers, when they are large enough to identify somebody."""
        shown = sum(share >= FEATURE_WARNING for share in self.eyes)
        parts = [f"{shown} of 2 eyes"] if shown else []
        parts += ["the mouth"] if self.mouth >= FEATURE_WARNING else []
        if not parts and self.face < FACE_WARNING:
            return None
        shows = " and ".join([f"{100 * self.face:.0f} % of the face", *parts])
        return f"the kept area shows {shows} and may itself identify the patient"


def kept_on_face(kept: np.ndarray, landmarks: np.ndarray) -> KeptOnFace | None:
    """What kept [H,W] bool covers of the face of landmarks [5,2] px; None where a point is unknown.

    An eye is an ellipse of 0.5 x 0.3 inter-ocular distances, the mouth one of 1.2 x 0.5 of its width.
    """
    landmarks = np.asarray(landmarks, np.float64)
    if np.isnan(landmarks[[0, 1, 3, 4]]).any():
        return None
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    reach = 1.9 * float(np.linalg.norm(mouth - eyes))
    if reach < 1:
        return None
    # Around the face only, on a grid that is fine enough for shares: a photo may have 100 megapixels.
    low = np.maximum(np.floor((eyes + mouth) / 2 - reach), 0).astype(int)
    high = np.maximum(np.ceil((eyes + mouth) / 2 + reach), 0).astype(int)
    step = max(1, int(reach) // WORKING_REACH)
    kept = kept[low[1] : high[1] : step, low[0] : high[0] : step]
    landmarks = (landmarks - low) / step
    face = face_oval(landmarks, kept.shape)
    if not face.any():
        return None
    between = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    eyes = tuple(
        _covered(kept, point, landmarks[1] - landmarks[0], 0.25 * between, 0.15 * between)
        for point in landmarks[:2]
    )
    width = landmarks[4] - landmarks[3]
    wide = float(np.linalg.norm(width))
    mouth = _covered(kept, landmarks[3:].mean(0), width, 0.6 * wide, 0.25 * wide)
    return KeptOnFace(float((kept & face).sum() / face.sum()), eyes, mouth)


def _covered(
    kept: np.ndarray, centre: np.ndarray, along: np.ndarray, half_width: float, half_height: float
) -> float:
    """Share of an ellipse along a direction that kept covers; 0 where it lies outside the photo."""
    if not along.any() or min(half_width, half_height) < 0.5:
        return 0.0
    c, s = along / np.linalg.norm(along)
    reach = max(half_width, half_height) + 1
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.maximum(np.ceil(centre + reach), 0).astype(int)
    kept, centre = kept[low[1] : high[1], low[0] : high[0]], centre - low
    y, x = (axis.astype(np.float32) for axis in np.ogrid[: kept.shape[0], : kept.shape[1]])
    dx, dy = x - centre[0], y - centre[1]
    inside = ((c * dx + s * dy) / half_width) ** 2 + ((c * dy - s * dx) / half_height) ** 2 < 1
    count = int(inside.sum())
    return float((inside & kept).sum() / count) if count else 0.0
