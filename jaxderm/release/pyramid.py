"""Half a picture's side and back: what is smooth is found there in a quarter of the time."""

import numpy as np
from PIL import Image


def halved(picture: np.ndarray) -> np.ndarray:
    """[S,S] or [S,S,C] -> half the side (S is even), means of four pixels."""
    rows = picture[::2] + picture[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) / np.float32(4)


def doubled(picture: np.ndarray) -> np.ndarray:
    """[S,S] or [S,S,C] -> float32 of twice the side, linear in between."""
    if picture.ndim == 3:
        return np.stack([doubled(plane) for plane in np.moveaxis(picture, -1, 0)], -1)
    side = 2 * len(picture)
    plane = Image.fromarray(np.ascontiguousarray(picture, np.float32))
    return np.asarray(plane.resize((side, side), Image.Resampling.BILINEAR))
