"""Photo and mask in (EXIF orientation, ICC to sRGB, 8 bit), lossless PNG out, nothing riding along.

Pixels are never scaled, blended or cropped here; whatever changes a value is named in
`Photo.conversion`, in words that hold for any picture (no profile, device or file name).
"""

import contextlib
import dataclasses
import errno
import os
import struct
import uuid
import zlib

import numpy as np
from PIL import Image

from jaxderm.decode import MAX_PIXELS, decode, dimensions, to_srgb
from jaxderm.errors import InputError

__all__ = [
    "MAX_PIXELS", "Photo", "encode_png", "read_mask", "read_photo", "require_opaque", "write_atomic",
]  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """A picture as every later step sees it; the arrays are read-only.

    pixels [H,W,3] uint8 sRGB; alpha [H,W] uint8, None when opaque; conversion: sentences that name
    what changed pixel values or places; clipped [H,W] bool, pixels that the conversion from the ICC
    profile clipped to the sRGB gamut, None without such a conversion.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    conversion: tuple[str, ...]
    clipped: np.ndarray | None = None


def read_photo(path: str | os.PathLike, data: bytes | None = None) -> Photo:
<<<<<<< HEAD
    """Photo of a JPEG, PNG, TIFF or WebP file (HEIC with pillow-heif), at most MAX_PIXELS.

    16-bit values become round(v / 257); an embedded ICC profile becomes sRGB by the relative
    colorimetric intent, after the step to 8 bit. InputError names the file, the reason, the remedy.
    data: the file's bytes, where they are in memory; then path is only its name in sentences.
=======
    """Photo of a JPEG, PNG, TIFF, WebP, HEIC (extra) or DICOM (extra) file, at most MAX_PIXELS.

    16-bit values become round(v / 257); an embedded ICC profile becomes sRGB by the relative
    colorimetric intent, after the step to 8 bit. data: the file's content where it is in memory, path
    then only names it. InputError names the file, the reason, the remedy.
>>>>>>> case
    """
    picture = decode(path, data)
    pixels, clipped = picture.values, None
    if picture.icc is not None:
        pixels, clipped, note = to_srgb(pixels, picture.icc)
        picture.notes.extend([note] if note else [])
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=-1)
    alpha = picture.alpha
    if alpha is not None and np.all(alpha == 255):
        alpha = None
    pixels = np.ascontiguousarray(pixels)
    for array in (pixels, alpha, clipped):
        if array is not None:
            array.flags.writeable = False
    return Photo(pixels, alpha, tuple(picture.notes), clipped)


def read_mask(
    path: str | os.PathLike,
    size: tuple[int, int],
    allow_empty: bool = False,
    data: bytes | None = None,
) -> np.ndarray:
    """Mask [H,W] bool (True = keep) of a picture file; size is the photo's (height, width).

    Rule: keep where luminance (ITU-R 601) times alpha is at least half of full scale (128 of 255),
    after the mask's own EXIF orientation. Its ICC profile is not applied. InputError for another
    size, and for a mask that keeps nothing unless that is allowed. data: as in `read_photo`.
    """
    picture = decode(path, data)
    values = picture.values
    if values.ndim == 3:
        values = np.asarray(Image.fromarray(values).convert("L"))
    if values.shape != tuple(size):
        raise InputError(
            f"mask '{os.fspath(path)}' has {dimensions(values.shape)} pixels but the photo has "
            f"{dimensions(size)} (width x height, after orientation); save it at the photo's size."
        )
    if picture.alpha is None:
        mask = values >= 128
    else:
        mask = values.astype(np.uint16) * picture.alpha >= 128 * 255
    if not allow_empty and not mask.any():
        raise InputError(
            f"mask '{os.fspath(path)}' keeps nothing; draw the lesion in white (128 or more of "
            "255) on black."
        )
    return mask


def require_opaque(photo: Photo, kept: np.ndarray, name: str) -> None:
    """InputError when the photo called `name` is transparent somewhere in kept [H,W] bool."""
    if photo.alpha is None:
        return
    count = int(np.count_nonzero(photo.alpha[kept] < 255))
    if count:
        raise InputError(
            f"photo '{name}' is transparent in {count} of the kept pixels; save it without an "
            "alpha channel."
        )


def encode_png(pixels: np.ndarray, xmp: bytes | None = None, level: int = 1) -> bytes:
    """PNG bytes of [H,W,3] uint8 sRGB, or of [H,W] uint8 or bool as grey (True = 255).

    Exactly the chunks IHDR, sRGB, iTXt (only with an XMP packet, UTF-8), IDAT, IEND. level is
    zlib's, 0 to 9. (PNG third edition, W3C 2025.)
    """
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise ValueError(f"[H,W,3] or [H,W] uint8 expected, not {pixels.shape} {pixels.dtype}")
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    # Filter "up" on every row, in one numpy call. With run lengths only (Z_RLE) at level 1 this is
    # 3.5 times faster than pillow's level 1 on 12 megapixels, and smaller on photographs.
    lines = np.empty((height, 1 + rows.shape[1]), np.uint8)
    lines[:, 0] = 2
    lines[:1, 1:] = rows[:1]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
    strategy = zlib.Z_RLE if level <= 1 else zlib.Z_DEFAULT_STRATEGY
    packer = zlib.compressobj(level, zlib.DEFLATED, 15, 9, strategy)
    data = packer.compress(lines) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"sRGB", b"\x01")]  # intent 1: relative colorimetric
    if xmp is not None:
        # keyword, then: not compressed, method 0, no language, no translated keyword
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    chunks += [(b"IDAT", data), (b"IEND", b"")]
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, body in chunks:
        check = zlib.crc32(body, zlib.crc32(kind))
        parts += [struct.pack(">I", len(body)), kind, body, struct.pack(">I", check)]
    return b"".join(parts)


def write_atomic(path: str | os.PathLike, data: bytes) -> None:
    """Write all of data to path or nothing: a temporary file in its folder, fsync, rename.

    InputError when the folder is missing or not writable, the disk is full or path is a folder.
    """
    name = os.fspath(path)
    folder = os.path.dirname(name) or "."
    temporary = os.path.join(folder, f".jaxderm-{uuid.uuid4().hex}.tmp")
    try:
        # os.open rather than tempfile: the file gets the user's ordinary permissions (umask).
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with open(os.open(temporary, flags, 0o666), "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, name)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise InputError(_write_sentence(error, name, folder)) from error
        raise


def _write_sentence(error: OSError, name: str, folder: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"'{name}' cannot be written: the folder '{folder}' does not exist; create it first."
    if isinstance(error, IsADirectoryError) or os.path.isdir(name):
        return f"'{name}' cannot be written: it is a folder; give a file name."
    if isinstance(error, NotADirectoryError):
        return f"'{name}' cannot be written: '{folder}' is not a folder."
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return f"'{name}' cannot be written: the folder '{folder}' is not writable; choose another."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"'{name}' cannot be written: the disk is full; free some space or choose another."
    return f"'{name}' cannot be written: {error.strerror or 'unknown error'}."
