"""The figure files of a release: PNG, and TIFF with the print resolution as a tag; never resampled."""

import io

import numpy as np

import jaxderm
from jaxderm.decode import srgb_profile
from jaxderm.photo import encode_png
from jaxderm.release.manifest import xmp

MIN_SIDE = 1000  # px; below, a printed figure looks soft
XMP_TAG = 700


def figure_png(pixels: np.ndarray) -> bytes:
    """PNG with the label "composite with generated media"."""
    return encode_png(pixels, xmp())


def figure_tiff(pixels: np.ndarray, dpi: int) -> bytes:
    """LZW TIFF with the resolution as a tag, the sRGB profile and the same label."""
    import tifffile  # slow to import

    stream, label = io.BytesIO(), xmp()
    tifffile.imwrite(
        stream,
        pixels,
        photometric="rgb",
        compression="lzw",
        resolution=(dpi, dpi),
        resolutionunit="INCH",
        iccprofile=srgb_profile(),
        software=f"jaxderm {jaxderm.__version__}",
        metadata=None,
        extratags=[(XMP_TAG, 1, len(label), label, True)],
    )
    return stream.getvalue()


def size_warning(pixels: np.ndarray, dpi: int) -> str | None:
    """A sentence when the figure is small for print."""
    height, width = pixels.shape[:2]
    if min(height, width) >= MIN_SIDE:
        return None
    return (
        f"the figure has {width} x {height} pixels, under {MIN_SIDE}: at {dpi} dpi it prints "
        f"{2.54 * width / dpi:.1f} cm wide; it is not enlarged, take a closer photograph"
    )
