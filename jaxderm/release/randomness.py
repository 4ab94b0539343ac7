"""Who the stranger is: z and codes from a digest, so that equal facts do not give equal people."""

import hashlib
import hmac

import numpy as np
from scipy.special import ndtri

Z, CODES, GRAIN, EXEMPLAR, DETAIL, APPEARANCE, SHAPE = (
    b"z", b"codes", b"grain", b"exemplar", b"detail", b"appearance", b"shape",
)  # fmt: skip


def digest(seed: int, kept_pixels: np.ndarray, kept: np.ndarray, candidate: int) -> bytes:
    """SHA-256 of (seed, kept pixels, kept mask, candidate number).

    kept_pixels [N,3] uint8 in raster order, kept [h,w] bool on the release's rectangle.
    """
    hasher = hashlib.sha256(f"jaxderm z {seed} {candidate} {kept.shape}".encode())
    hasher.update(np.ascontiguousarray(kept_pixels).tobytes())
    hasher.update(np.packbits(kept).tobytes())
    return hasher.digest()


def keyed_digest(key: bytes, patient: str, seed: int, candidate: int) -> bytes:
    """HMAC-SHA-256(key, patient id, seed, candidate): one stranger for all photos of a patient."""
    return hmac.new(key, f"jaxderm z {patient} {seed} {candidate}".encode(), "sha256").digest()


def uniform(root: bytes, purpose: bytes, count: int) -> np.ndarray:
    """`count` numbers in (0,1), float64: the SHAKE-256 stream of digest and purpose.

    Hashing and not a library's generator: the stream is the same in every version of it.
    """
    words = np.frombuffer(hashlib.shake_256(root + purpose).digest(8 * count), "<u8")
    return ((words >> 11).astype(np.float64) + 0.5) / 2.0**53


def normal(root: bytes, purpose: bytes, count: int) -> np.ndarray:
    """Standard normal vector [count] float32 of a digest."""
    return ndtri(uniform(root, purpose, count)).astype(np.float32)


def styles(root: bytes, other: bytes | None, count: int) -> np.ndarray:
    """z [2,count] of the coarse and the fine styles: of one digest, or the fine ones of another (style mixing)."""
    return np.stack([normal(of, Z, count) for of in (root, other or root)])


def symmetric(root: bytes, purpose: bytes, count: int) -> np.ndarray:
    """Uniform vector [count] float32 in (-1,1) of a digest."""
    return (2 * uniform(root, purpose, count) - 1).astype(np.float32)


def generator(root: bytes, purpose: bytes) -> np.random.Generator:
    """Generator of noise for a purpose: the surround's grain, its detail, its skin's appearance, its face's shape."""
    return np.random.Generator(
        np.random.PCG64(int.from_bytes(hashlib.sha256(root + purpose).digest()))
    )
