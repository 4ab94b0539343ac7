"""Scale of a photograph: read from a ruler by two clicks; a bar that is drawn outside kept."""

import dataclasses
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxderm.errors import InputError

MIN_CLICK_PX = 20.0  # closer clicks cannot be trusted to a tenth
BAR_STEPS_MM = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
BAR_SHARE = 0.25  # of the figure's width, at most


def ruler_scale(clicks: str, length_mm: float, size: tuple[int, int]) -> float:
    """Pixels per cm, rounded to three digits, from two clicks "x,y x,y" on a ruler's marks.

    length_mm lies between the marks; size is the photo's (height, width). InputError for points that
    are not two, not in the photo, or too near each other.
    """
    try:
        points = [tuple(float(v) for v in point.split(",")) for point in clicks.split()]
        (x0, y0), (x1, y1) = points
    except ValueError:
        raise InputError(f"ruler '{clicks}' is not two points; write \"x,y x,y\".") from None
    if not all(0 <= x <= size[1] and 0 <= y <= size[0] for x, y in points):
        raise InputError(
            f"ruler '{clicks}' is not within the photo of {size[1]} x {size[0]} pixels; click again."
        )
    if not (math.isfinite(length_mm) and 0 < length_mm <= 2000):
        raise InputError(
            f"ruler_mm '{length_mm:g}' is not the millimetres between the clicks; give 1 to 2000."
        )
    distance = math.hypot(x1 - x0, y1 - y0)
    if distance < MIN_CLICK_PX:
        raise InputError(
            f"ruler '{clicks}' is {distance:.0f} pixels long; click two marks at least "
            f"{MIN_CLICK_PX:.0f} apart."
        )
    # A rounded fact: the clicks lie outside kept and say no more than this.
    return float(f"{distance / (length_mm / 10):.3g}")


@dataclasses.dataclass(frozen=True)
class ScaleBar:
    """A bar: its length, and the rectangle (x0, y0, x1, y1) of the figure that it and its text take."""

    length_mm: float
    box: tuple[int, int, int, int]


def draw_scale_bar(
    pixels: np.ndarray, kept: np.ndarray, pixels_per_cm: float
) -> tuple[np.ndarray, ScaleBar]:
    """The figure [h,w,3] with a scale bar in the first corner where it covers no kept pixel.

    kept [h,w] bool. InputError where no bar fits.
    """
    height, width = kept.shape
    steps = [mm for mm in BAR_STEPS_MM if mm / 10 * pixels_per_cm <= BAR_SHARE * width]
    unit = max(1, round(min(height, width) / 250))
    size = max(9, 5 * unit + 4)
    font = ImageFont.load_default(size)
    if steps and steps[-1] / 10 * pixels_per_cm >= 8:
        length = steps[-1]
        text = f"{length:g} mm" if length < 10 else f"{length / 10:g} cm"
        left, top, right, bottom = font.getbbox(text)
        long = round(length / 10 * pixels_per_cm)
        pad, thick = 2 * unit, max(2, 2 * unit)
        box_w = max(long, right - left) + 2 * pad
        box_h = (bottom - top) + thick + 3 * pad
        gap = 3 * unit
        corners = [
            (x, y)
            for y in (height - box_h - gap, gap)
            for x in (width - box_w - gap, gap)
            if x >= 0 and y >= 0
        ]
        for x, y in corners:
            if kept[y : y + box_h, x : x + box_w].any():
                continue
            image = Image.fromarray(pixels)
            draw = ImageDraw.Draw(image)
            draw.rectangle((x, y, x + box_w - 1, y + box_h - 1), fill=(255, 255, 255))
            draw.text((x + pad - left, y + pad - top), text, fill=(0, 0, 0), font=font)
            y1 = y + box_h - pad - 1
            draw.rectangle((x + pad, y1 - thick + 1, x + pad + long - 1, y1), fill=(0, 0, 0))
            return np.asarray(image), ScaleBar(length, (x, y, x + box_w, y + box_h))
    raise InputError(
        f"no scale bar fits into this figure of {width} x {height} pixels outside the kept area; "
        "leave --scale_bar away: the legend states the scale."
    )
