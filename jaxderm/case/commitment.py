"""Commitment to original, mask and release; and how far a changed file still agrees with the release.

At submission the editor is given HMAC-SHA-256(key, original, mask, release) with a fresh 256-bit key
that stays in the sealed case: it tells nothing, and cannot be met by other pictures afterwards.
"""

import dataclasses
import hashlib
import hmac
import secrets

import numpy as np
from PIL import Image
from scipy import ndimage

SCHEME = "HMAC-SHA-256 over original, mask and release (pixels), jaxderm case 1"
SSIM_SIGMA = 1.5
SIMILAR, ALIKE = 0.90, 0.60


def new_commitment_key() -> bytes:
    """256 random bits."""
    return secrets.token_bytes(32)


def commit(key: bytes, original: np.ndarray, mask: np.ndarray, release: np.ndarray) -> str:
    """Commitment in hex to original [H,W,3] uint8, mask [H,W] bool and release [h,w,3] uint8.

    Each is hashed with its name and shape, so that no two triples are written alike.
    """
    mac = hmac.new(key, SCHEME.encode() + b"\0", "sha256")
    for name, array in (("original", original), ("mask", mask.astype(bool)), ("release", release)):
        data = np.ascontiguousarray(array)
        head = f"{name} {data.shape} {data.dtype.str}\n".encode()
        mac.update(head + hashlib.sha256(data.tobytes()).digest())
    return mac.hexdigest()


def figure_code(key: bytes, release: np.ndarray) -> str:
    """Eight letters that stand for one figure: what the patient has seen is what is released."""
    data = np.ascontiguousarray(release)
    head = f"jaxderm figure {data.shape}\n".encode()
    digest = hmac.new(key, head + hashlib.sha256(data.tobytes()).digest(), "sha256")
    text = digest.hexdigest()[:8].upper()
    return f"{text[:4]}-{text[4:]}"


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Structural similarity in [-1,1] of a file to the release: whole, kept area, surroundings."""

    whole: float
    kept: float
    surround: float
    difference: float  # mean absolute difference, levels of 255
    scale: float  # of the file's width to the release's

    @property
    def words(self) -> str:
        """What it means; never a proof."""
        figures = (
            f"similarity {self.whole:.3f} (kept area {self.kept:.3f}, surroundings "
            f"{self.surround:.3f}), mean difference {self.difference:.1f} of 255 levels, width "
            f"{100 * self.scale:.0f} %"
        )
        if min(self.kept, self.surround) >= SIMILAR:
            meaning = "as the release after lossy compression or scaling would be"
        elif self.kept >= SIMILAR or self.whole >= ALIKE:
            meaning = "related to the release, but changed beyond compression and scaling"
        else:
            meaning = "not like this release"
        return f"{figures}: {meaning}; similarity is no proof"


def similarity(file: np.ndarray, release: np.ndarray, kept: np.ndarray) -> Similarity | None:
    """How far file [h',w',3] agrees with release [h,w,3] (kept [h,w] bool), on the smaller grid.

    None where the two have other proportions: then it is a crop or another picture. SSIM of
    luminance with a Gaussian window of 1.5 px (Wang et al. 2004).
    """
    height, width = kept.shape
    scale = file.shape[1] / width
    if abs(file.shape[0] - scale * height) > 1.5 + 0.01 * height * scale:
        return None
    size = (min(width, file.shape[1]), min(height, file.shape[0]))
    a, b = (_luminance(_resized(picture, size)) for picture in (file, release))
    inside = np.asarray(Image.fromarray(kept).resize(size, Image.Resampling.NEAREST))
    map_ = _ssim(a, b)

    def mean(where: np.ndarray) -> float:
        return float(map_[where].mean()) if where.any() else 1.0

    return Similarity(
        float(map_.mean()), mean(inside), mean(~inside), float(np.abs(a - b).mean()), scale
    )


def _resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _luminance(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def _ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    def blurred(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values, SSIM_SIGMA, truncate=3.5)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = blurred(a), blurred(b)
    va, vb = blurred(a * a) - ma * ma, blurred(b * b) - mb * mb
    both = blurred(a * b) - ma * mb
    return ((2 * ma * mb + c1) * (2 * both + c2)) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
