"""From a picture file to oriented 8-bit values, with what was converted on the way; refusals in words."""

import contextlib
import dataclasses
import io
import os
import struct
import warnings
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms

from jaxderm.errors import InputError

MAX_PIXELS = 100_000_000
READABLE = "JPEG, PNG, TIFF, WebP or DICOM"

# First bytes of a file -> its kind; the first group is read, the second only named in the refusal.
_PILLOW_FORMATS = {
    "JPEG": ("JPEG", "MPO"),
    "PNG": ("PNG",),
    "TIFF": ("TIFF",),
    "WebP": ("WEBP",),
}
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (8, b"WEBP", "WebP"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (4, b"ftypavif", "AVIF"),
    (128, b"DICM", "DICOM"),
    *((4, b"ftyp" + brand, "HEIC") for brand in (b"hei", b"hev", b"mif1", b"msf1")),
)


@dataclasses.dataclass
class Picture:
    """A decoded, oriented file: values [H,W] or [H,W,3], alpha [H,W] uint8, ICC bytes, notes."""

    values: np.ndarray
    alpha: np.ndarray | None
    icc: bytes | None
    notes: list[str]


def dimensions(shape: tuple[int, ...]) -> str:
    """Width x height of an array's shape, in words."""
    return f"{shape[1]} x {shape[0]}"


def _open_file(name: str) -> BinaryIO:
    """An open, non-empty regular file; InputError otherwise."""
    try:
        if os.path.isdir(name):
            raise InputError(f"'{name}' is a folder; give a picture file.")
        if os.path.exists(name) and not (os.path.isfile(name) and os.path.getsize(name)):
            raise InputError(f"'{name}' is empty or not a file; give a {READABLE} file.")
        return open(name, "rb")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"'{name}' does not exist; check the name.") from None
    except PermissionError:
        raise InputError(f"'{name}' may not be read; change its permissions.") from None
    except OSError as error:
        raise InputError(f"'{name}' cannot be opened: {error.strerror}.") from None


def _kind(head: bytes, name: str) -> str:
    """JPEG, PNG, TIFF, WebP or HEIC by the first bytes of a file; InputError for others."""
    found = (kind for at, mark, kind in _SIGNATURES if head[at : at + len(mark)] == mark)
    kind = next(found, None)
    if kind is None:
        raise InputError(f"'{name}' is not a picture that can be read; give a {READABLE} file.")
    if kind not in (*_PILLOW_FORMATS, "HEIC", "DICOM"):
        raise InputError(f"'{name}' is a {kind} file, which is not read; save it as {READABLE}.")
    return kind


def _pillow_formats(kind: str, name: str) -> tuple[str, ...]:
    if kind != "HEIC":
        return _PILLOW_FORMATS[kind]
    try:
        import pillow_heif
    except ImportError:
        raise InputError(
            f"'{name}' is a HEIC picture; run `pip install jaxderm[heic]`, or save it as JPEG."
        ) from None
    pillow_heif.register_heif_opener()
    return ("HEIF",)


def decode(path: str | os.PathLike, data: bytes | None = None) -> Picture:
    """Decoded picture of a file, oriented by its EXIF; InputError for all that is refused.

<<<<<<< HEAD
    data: the file's bytes, where they are in memory; then path is only its name in sentences.
    """
    name = os.fspath(path)
    with _open_file(name) if data is None else io.BytesIO(data) as handle, warnings.catch_warnings():
=======
    data: the file's content where it is in memory; path is then only its name.
    """
    name = os.fspath(path)
    opened = _open_file(name) if data is None else io.BytesIO(data)
    with opened as handle, warnings.catch_warnings():
>>>>>>> case
        # Pillow warns at 89 megapixels; the limit here is MAX_PIXELS.
        warnings.simplefilter("ignore")
        head = handle.read(160)
        handle.seek(0)
        kind = _kind(head, name)
        try:
            if kind == "DICOM":
                return _decode_dicom(handle, name)
            image = Image.open(handle, formats=_pillow_formats(kind, name))
            _check_header(image, kind, name)
            return _decode_image(image, handle, kind, head, name)
        except InputError:
            raise
        except Image.DecompressionBombError:
            raise InputError(_too_large(name)) from None
        except Exception as error:
            # Decoders raise nearly every built-in exception on damaged bytes; a half-read picture
            # must never get through, and the user needs a sentence, not a traceback.
            raise InputError(
                f"'{name}' is a truncated or damaged {kind}, or one of a kind that is not read "
                "(float, more than 16 bits); export it again as 8- or 16-bit RGB or grey."
            ) from error


def _decode_dicom(handle: BinaryIO, name: str) -> Picture:
    try:
        from jaxderm.dicom.read import decode_dicom
    except ModuleNotFoundError as error:
        if error.name != "pydicom":
            raise
        raise InputError(
            f"'{name}' is a DICOM file; run `pip install jaxderm[dicom]`, or save it as PNG."
        ) from None
    values, icc, notes = decode_dicom(handle, name, MAX_PIXELS)
    return Picture(values, None, icc, notes)


def _too_large(name: str, size: tuple[int, int] | None = None) -> str:
    has = f"has {size[0]} x {size[1]} pixels, " if size else "has "
    limit = MAX_PIXELS // 1_000_000
    return f"'{name}' {has}more than {limit} megapixels; crop or reduce it first."


def _check_header(image: Image.Image, kind: str, name: str) -> None:
    """Refuse, before any pixel is decoded, by size, number of pictures and colour space."""
    if image.width * image.height > MAX_PIXELS:
        raise InputError(_too_large(name, image.size))
    # The extra pictures of a JPEG or HEIC (previews, depth, gain maps) are never shown as pages.
    pages = getattr(image, "n_frames", 1)
    if kind in ("TIFF", "WebP", "PNG") and pages > 1:
        raise InputError(f"'{name}' holds {pages} pictures; save the one picture to be used.")
    if image.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        raise InputError(
            f"'{name}' is in {image.mode}, a colour space that is not read; save it as RGB."
        )
    if image.mode in ("F", "I", "I;16S", "I;16BS"):
        raise InputError(
            f"'{name}' has float, signed or 32-bit values; save it as 8- or 16-bit RGB or grey."
        )


def _decode_image(
    image: Image.Image, handle: BinaryIO, kind: str, head: bytes, name: str
) -> Picture:
    orientation = _orientation(image)
    icc = image.info.get("icc_profile") or None
    notes = []
    deep = head[24] == 16 if kind == "PNG" else kind == "TIFF" and 16 in image.tag_v2.get(258, ())
    if deep:
        if kind == "PNG":
            values, alpha = _deep_png(image, handle)
        else:
            values, alpha = _deep_tiff(handle, name)
        notes.append("16 bit to 8 bit, rounded v/257")
    else:
        image.load()
        values, alpha = _split(image, name)
        if kind == "TIFF":  # pillow turns TIFFs itself and then forgets the tag, or leaves both
            done = orientation != 1 and _orientation(image) == 1
            notes.extend([_turned(orientation)] if done else [])
            orientation = 1 if done else orientation
        if image.mode in ("P", "PA"):
            notes.append("palette to RGB")
        elif image.mode == "1":
            notes.append("1 bit to 8 bit")
    if values.ndim == 2:
        notes.append("grey to RGB")
    if alpha is not None:
        notes.append("alpha channel dropped")
    if orientation != 1:
        values = _turn(values, orientation)
        alpha = None if alpha is None else _turn(alpha, orientation)
        notes.append(_turned(orientation))
    return Picture(values, alpha, icc, notes)


def _turned(orientation: int) -> str:
    return f"EXIF orientation {orientation} applied"


def _orientation(image: Image.Image) -> int:
    """EXIF or TIFF orientation 1..8; 1 when absent, unreadable or HEIC's (its decoder turns it)."""
    try:
        value = image.getexif().get(0x0112, 1)
    except (struct.error, KeyError, TypeError, ValueError, SyntaxError):
        return 1
    return value if value in range(1, 9) else 1


def _turn(values: np.ndarray, orientation: int) -> np.ndarray:
    """[H,W,...] as it is meant to be seen; orientation 1..8 (EXIF 3.0, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    vertical = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    horizontal = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(values[vertical, horizontal])


def _split(image: Image.Image, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Values [H,W] or [H,W,3] and alpha of a loaded 8-bit pillow image; no blending."""
    grey = image.mode in ("1", "L", "LA", "La")
    if not grey and image.mode not in ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa"):
        raise InputError(f"'{name}' has pixels of kind {image.mode}; save it as 8-bit RGB or grey.")
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        whole = np.asarray(image.convert("RGBA"))
        values = whole[..., 0] if grey else whole[..., :3]
        return np.ascontiguousarray(values), np.ascontiguousarray(whole[..., 3])
    return np.array(image.convert("L" if grey else "RGB")), None


# round(v / 257) of every 16-bit value; alpha is rounded down, so that only full scale is opaque.
_BYTE_OF_WORD = ((np.arange(65536) + 128) // 257).astype(np.uint8)
_ALPHA_OF_WORD = (np.arange(65536) // 257).astype(np.uint8)


def _deep_png(image: Image.Image, handle: BinaryIO) -> tuple[np.ndarray, np.ndarray | None]:
    """Values and alpha of a 16-bit PNG; pillow 13 would cut 16-bit RGB to its high bytes."""
    import imagecodecs  # slow to import and needed for 16-bit files only

    image.load()  # pillow checks that the file is whole
    handle.seek(0)
    words = imagecodecs.png_decode(handle.read())
    values, alpha = _eight_bit(words)
    key = image.info.get("transparency")
    if key is not None and alpha is None:  # one value or colour stands for "transparent"
        hit = words == np.asarray(key, np.uint16)
        alpha = np.where(hit if words.ndim == 2 else hit.all(-1), 0, 255).astype(np.uint8)
    return values, alpha


def _deep_tiff(handle: BinaryIO, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Values and alpha of a 16-bit grey or RGB TIFF."""
    import tifffile  # slow to import and needed for 16-bit files only

    handle.seek(0)
    with tifffile.TiffFile(handle) as file:
        page = file.pages[0]
        if page.dtype != np.uint16 or int(page.photometric) not in (0, 1, 2):
            raise InputError(f"'{name}' is not grey or RGB; save it as 8- or 16-bit RGB or grey.")
        ends = [at + count for at, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if 0 in page.databytecounts or max(ends) > handle.seek(0, os.SEEK_END):
            raise ValueError("strips are missing")  # tifffile would fill them with zeros
        words = page.asarray()
        words = np.moveaxis(words, 0, -1) if page.axes == "SYX" else words
        if page.axes not in ("YX", "YXS", "SYX") or words.shape[2:] not in (
            (),
            (2,),
            (3,),
            (4,),
        ):
            raise InputError(f"'{name}' has channels beyond RGB and alpha; save it as RGB or grey.")
        if words.ndim == 3 and words.shape[2] in (2, 4) and 0 in page.extrasamples:
            words = words[..., :-1]  # a sample that is not alpha
        values, alpha = _eight_bit(words)
        return (255 - values if int(page.photometric) == 0 else values), alpha  # 0: white is zero


def _eight_bit(words: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Values [H,W] or [H,W,3] uint8 and alpha of uint16 [H,W] or [H,W,1..4]."""
    if words.ndim == 2:
        return _BYTE_OF_WORD[words], None
    channels = words.shape[2]
    values = _BYTE_OF_WORD[words[..., 0] if channels < 3 else words[..., :3]]
    return values, _ALPHA_OF_WORD[words[..., -1]] if channels in (2, 4) else None


def to_srgb(values: np.ndarray, icc: bytes) -> tuple[np.ndarray, np.ndarray | None, str | None]:
    """Pixels in sRGB, where they were clipped, and the manifest's sentence (None = as it was).

    values [H,W] or [H,W,3] uint8. A profile that is sRGB to within one level everywhere leaves the
    pixels as they are. Clipped: at 0 or 255, and more than 2 levels off when converted back.
    """
    note = "ICC profile to sRGB, relative colorimetric"
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        mode = {"GRAY": "L", "RGB": "RGB"}[profile.profile.xcolor_space.strip()]
        if mode == "L" and values.ndim == 3:
            raise ValueError("a grey profile in a colour picture")
        if mode == "RGB" and values.ndim == 2:
            values = np.repeat(values[..., None], 3, axis=-1)
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        probe = _probe(mode)
        converted = _transform(probe, profile, srgb, mode, "RGB")
        if np.abs(converted.astype(int) - probe.reshape(1, probe.shape[1], -1)).max() <= 1:
            return values, None, None
        if mode == "L":  # greys stay grey: nothing leaves the gamut
            return converted[0][values], np.zeros(values.shape, bool), note
        after = _transform(values, profile, srgb, "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError, TypeError):
        return values, None, "embedded ICC profile unusable, ignored"
    if np.array_equal(after, values):
        return values, None, None
    # What was clipped cannot be turned back; only pixels at the gamut's edge need the trial.
    clipped = ((after == 0) | (after == 255)).any(axis=-1)
    if clipped.any():
        with contextlib.suppress(ImageCms.PyCMSError):  # a profile of one direction: count them all
            back = _transform(after[clipped][None], srgb, profile, "RGB", "RGB")[0]
            clipped[clipped] = np.abs(back.astype(int) - values[clipped]).max(axis=-1) > 2
    return after, clipped, note


def srgb_profile() -> bytes:
    """The sRGB ICC profile of Little CMS, with its date of creation blanked: equal in every run."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:84] + bytes(16) + profile[100:]  # date, ID


def _transform(
    values: np.ndarray,
    source: ImageCms.ImageCmsProfile,
    target: ImageCms.ImageCmsProfile,
    mode: str,
    target_mode: str,
) -> np.ndarray:
    """Values of one profile in another: relative colorimetric, no black point compensation."""
    # Little CMS would put a coarse table in the place of a grey profile's curve.
    flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.HIGHRESPRECALC
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(source, target, mode, target_mode, intent, flags)
    return np.array(ImageCms.applyTransform(Image.fromarray(values), transform))


def _probe(mode: str) -> np.ndarray:
    """All greys and, for RGB, a lattice of 17 levels a channel, as one row of pixels."""
    greys = np.arange(256, dtype=np.uint8)
    if mode == "L":
        return greys[None]
    levels = np.minimum(np.arange(17) * 16, 255).astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 3)
    return np.concatenate([np.repeat(greys[:, None], 3, 1), lattice])[None]
