"""Pixels of a DICOM photograph; nothing else of the file is kept, and no value of it is printed.

What is read: VL Photographic Image, Dermoscopic Photography, and the Secondary Capture images that
many archives make of photographs; one frame, uncompressed, RLE, JPEG (baseline, lossless), JPEG-LS or
JPEG 2000. Native and JPEG baseline frames are decoded by pydicom, the others by imagecodecs.
"""

from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut, convert_color_space
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)  # fmt: skip

from jaxderm.dicom import silenced
from jaxderm.errors import InputError

VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
KINDS = {
    VL_PHOTOGRAPHIC: "VL Photographic Image",
    "1.2.840.10008.5.1.4.1.1.77.1.7": "Dermoscopic Photography Image",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture Image",
}
LOSSY = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K}
# Transfer syntax -> the function of imagecodecs that decodes one of its frames.
_CODECS = {
    JPEGLossless: "jpeg8_decode",
    JPEGLosslessSV1: "jpeg8_decode",
    JPEGLSLossless: "jpegls_decode",
    JPEGLSNearLossless: "jpegls_decode",
    JPEG2000Lossless: "jpeg2k_decode",
    JPEG2000: "jpeg2k_decode",
    HTJ2KLossless: "htj2k_decode",
    HTJ2KLosslessRPCL: "htj2k_decode",
    HTJ2K: "htj2k_decode",
}
BURNED_IN = "the DICOM file says that text is burnt into its pixels"
_ADVICE = "; have your archive export it uncompressed or as JPEG"


@silenced()
def decode_dicom(
    handle: BinaryIO, name: str, max_pixels: int
) -> tuple[np.ndarray, bytes | None, list[str]]:
    """Values [H,W] or [H,W,3] uint8, ICC profile and conversion notes of an open DICOM file.

    InputError, which names the file by `name` and never quotes what stands in it, for another kind
    of object, several frames, more than max_pixels, and a compression that cannot be read.
    """
    header = pydicom.dcmread(handle, stop_before_pixels=True)
    _check(header, name, max_pixels)
    handle.seek(0)
    dataset = pydicom.dcmread(handle)
    if "PixelData" not in dataset:
        raise InputError(f"'{name}' is a DICOM file without pixels; give the photograph itself.")
    syntax = dataset.file_meta.TransferSyntaxUID
    notes = [f"DICOM, {'lossy' if syntax in LOSSY else 'lossless'} {_syntax_name(syntax)}"] * bool(
        syntax.is_compressed and syntax.is_encapsulated
    )
    if str(dataset.get("BurnedInAnnotation", "NO")) == "YES":
        notes.append(BURNED_IN)
    values = _frame(dataset, syntax, name)
    photometric = dataset.PhotometricInterpretation
    if photometric == "PALETTE COLOR":
        values = apply_color_lut(values, dataset)[..., :3]
        notes.append("palette to RGB")
        bits = 8 * values.dtype.itemsize
    else:
        bits = int(dataset.BitsStored)
    if photometric == "MONOCHROME1":
        values = (1 << bits) - 1 - values
    if bits != 8:
        full = (1 << bits) - 1
        values = ((values.astype(np.uint32) * 255 + full // 2) // full).astype(np.uint8)
        notes.append(f"{bits} bit to 8 bit, rounded")
    if values.ndim == 2:
        notes.append("grey to RGB")
    profile = dataset.get("ICCProfile")
    return np.ascontiguousarray(values, np.uint8), bytes(profile) if profile else None, notes


def _check(header: pydicom.Dataset, name: str, max_pixels: int) -> None:
    """Refuse by kind, frames, size, shape and compression, before any pixel is read."""
    kind = UID(str(header.get("SOPClassUID", "")))
    if kind not in KINDS:
        words = kind.name if kind.is_valid and kind.name != kind else "no photograph"
        raise InputError(
            f"'{name}' is a DICOM file of another kind ({words}); give a VL Photographic Image, a "
            "Dermoscopic Photography or a Secondary Capture image."
        )
    frames = int(header.get("NumberOfFrames") or 1)
    if frames != 1:
        raise InputError(f"'{name}' holds {frames} frames; export the one picture to be used.")
    rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    if not rows * columns:
        raise InputError(f"'{name}' is a DICOM file without pixels; give the photograph itself.")
    if rows * columns > max_pixels:
        raise InputError(
            f"'{name}' has {columns} x {rows} pixels, more than {max_pixels // 1_000_000} "
            "megapixels; crop or reduce it first."
        )
    ratio = header.get("PixelAspectRatio")
    if ratio and len(ratio) == 2 and int(ratio[0]) != int(ratio[1]):
        raise InputError(f"'{name}' has pixels that are not square; export it with square ones.")
    photometric = str(header.get("PhotometricInterpretation", ""))
    known = ("RGB", "PALETTE COLOR", "MONOCHROME1", "MONOCHROME2", "YBR_FULL", "YBR_FULL_422",
             "YBR_ICT", "YBR_RCT")  # fmt: skip
    if photometric not in known or int(header.get("PixelRepresentation") or 0):
        raise InputError(
            f"'{name}' has signed pixels or a colour space that is not read; export it as RGB."
        )
    syntax = header.file_meta.get("TransferSyntaxUID")
    readable = (*_CODECS, RLELossless, JPEGBaseline8Bit, JPEGExtended12Bit)
    if syntax is None or (syntax.is_encapsulated and syntax not in readable):
        raise InputError(
            f"'{name}' is compressed in a way that is not read ({_syntax_name(syntax)}){_ADVICE}."
        )


def _syntax_name(syntax: UID | None) -> str:
    if syntax is None:
        return "no transfer syntax is named"
    return syntax.name if syntax.name != syntax else "an unknown transfer syntax"


def _frame(dataset: pydicom.Dataset, syntax: UID, name: str) -> np.ndarray:
    """The one frame [H,W] or [H,W,3], RGB or grey, in the type it is stored in."""
    if syntax not in _CODECS:
        try:
            values = dataset.pixel_array  # YBR becomes RGB here
        except (NotImplementedError, RuntimeError, AttributeError, ValueError) as error:
            # What a decoder complains of may quote the file: only its kind is told.
            raise InputError(
                f"'{name}' cannot be decoded ({_syntax_name(syntax)}: damaged, or a variant that is "
                f"not read){_ADVICE}."
            ) from error
        return (
            values[0] if values.ndim == 4 or (values.ndim == 3 and values.shape[2] > 4) else values
        )
    import imagecodecs  # slow to import

    data = next(generate_frames(dataset.PixelData, number_of_frames=1))
    try:
        values = getattr(imagecodecs, _CODECS[syntax])(data)
    except (RuntimeError, ValueError, AttributeError) as error:
        raise InputError(
            f"'{name}' cannot be decoded ({_syntax_name(syntax)}: damaged, or a variant that is not "
            f"read){_ADVICE}."
        ) from error
    if values.shape[:2] != (dataset.Rows, dataset.Columns):
        raise InputError(f"'{name}' is damaged: its pixels are not of the size that it names.")
    # A JPEG 2000 decoder has undone the colour transform that YBR_ICT and YBR_RCT name.
    if dataset.PhotometricInterpretation in ("YBR_FULL", "YBR_FULL_422"):
        values = convert_color_space(values, "YBR_FULL", "RGB")
    return values
