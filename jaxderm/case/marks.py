"""Marks on a figure, all outside kept: the outline of what is real, and words on a strip below."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage


def draw_outline(pixels: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The figure [h,w,3] uint8 with a white line and a black one around kept [h,w] bool.

    The lines touch kept: all that they enclose is the photograph's.
    """
    width = max(1, round(min(kept.shape) / 400))
    ball = ndimage.generate_binary_structure(2, 2)
    middle = ndimage.binary_dilation(kept, ball, iterations=width)
    outer = ndimage.binary_dilation(middle, ball, iterations=width)
    marked = pixels.copy()
    marked[middle & ~kept] = 255
    marked[outer & ~middle] = 0
    return marked


def add_strip(pixels: np.ndarray, text: str) -> np.ndarray:
    """The figure [h,w,3] with words on a white strip below it, which is widened where they need it."""
    height, width = pixels.shape[:2]
    size = max(12, round(width / 30))
    font = ImageFont.load_default(size)
    wide = max(width, round(font.getlength(text)) + size)
    page = Image.new("RGB", (wide, height + round(1.6 * size)), (255, 255, 255))
    page.paste(Image.fromarray(pixels))
    ImageDraw.Draw(page).text(
        (size // 2, height + round(0.2 * size)), text, fill=(176, 0, 0), font=font
    )
    return np.asarray(page)
