"""A person of plain colours, refined, for tests of settling."""

import dataclasses

import numpy as np

from jaxderm.attributes import LUMA, rgb_to_lab
from jaxderm.data.exemplars import Exemplar

SIZE = 128
NOTHING = np.zeros((SIZE, SIZE))
NOWHERE = np.full((5, 2), np.nan)
FACE = np.array([[0.4, 0.45], [0.6, 0.45], [0.5, 0.53], [0.42, 0.63], [0.58, 0.63]])


def person(seed: int = 0) -> Exemplar:
    """Smooth skin of one hue in a disc, a darker surround."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    skin = np.hypot(x, y) < 0.4
    picture = np.where(skin[..., None], [205, 160, 140], [60, 70, 90])
    picture = picture + rng.integers(-3, 4, (SIZE, SIZE, 1))
    return Exemplar(picture.astype(np.uint8), skin.astype(np.uint8) * 255)


def frame_of(exemplar: Exemplar) -> np.ndarray:
    return exemplar.picture.astype(np.float32) / 127.5 - 1


def lightness(frame: np.ndarray) -> np.ndarray:
    return rgb_to_lab(np.clip((frame + 1) / 2, 0, 1))[..., 0]


def tinted(frame: np.ndarray, where: np.ndarray, by: float) -> np.ndarray:
    """The frame with less red and more blue by so much of its luma, which stays."""
    luma = (frame @ LUMA + 1) * where * by
    red, blue = -luma, luma
    green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
    return (frame + np.stack([red, green, blue], -1)).astype(np.float32)


def of_exemplar(exemplar: Exemplar, frame: np.ndarray) -> Exemplar:
    """The exemplar with such a picture: what it shows itself is no patch."""
    picture = np.clip((frame + 1) * 127.5, 0, 255).round().astype(np.uint8)
    return dataclasses.replace(exemplar, picture=picture)


def hues(frame: np.ndarray) -> np.ndarray:
    """Red and blue over luma, [S,S,2]."""
    return (frame[..., [0, 2]] + 1) / (frame @ LUMA + 1)[..., None]
