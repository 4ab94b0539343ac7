"""Grain: the surround is as detailed as the kept skin, on skin of every tone and in frames of every size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxderm.frame import Frame
from jaxderm.release.compose import compose
from jaxderm.release.grain import VIEWED

SKIN, DARK = np.array([205, 160, 140]), np.array([70, 48, 40])


def release_of(skin, texture, lesion: float, margin: float):
    """(photo, kept, release) of a square photo: textured skin, a flat lesion, plain generated skin."""
    side = len(texture)
    photo = np.clip(np.round(skin + texture[..., None]), 0, 255).astype(np.uint8)
    y, x = np.ogrid[:side, :side]
    away = np.hypot(y - side / 2, x - side / 2)
    photo[away < lesion] = 30
    kept = away < lesion + margin
    drawn = np.broadcast_to(2 * skin.astype(np.float32) / 255 - 1, (64, 64, 3))
    frame = Frame((0, 0, side, side), 64 / side)
    return photo, kept, compose(photo, kept, drawn, frame, margin, np.random.default_rng(0))


def detail(picture: np.ndarray, where: np.ndarray, shrunk: float = 1.0) -> float:
    """Robust spread of a picture's finest structures, seen smaller by a factor."""
    grey = ndimage.gaussian_filter(picture.mean(-1), 0.5 * shrunk)
    fine = (grey - ndimage.gaussian_filter(grey, 1.2 * shrunk))[where]
    return 1.4826 * float(np.median(np.abs(fine - np.median(fine))))


def ratio(skin, texture, lesion: float = 25, margin: float = 14) -> float:
    """Detail of the surround over that of the photo in the same place."""
    photo, kept, release = release_of(skin, texture, lesion, margin)
    around = ndimage.distance_transform_edt(~kept)
    around = (around > 4) & (around < 3 * lesion)
    shrunk = max(1.0, len(photo) / VIEWED)
    return detail(release, around, shrunk) / detail(photo, around, shrunk)


@pytest.mark.parametrize("skin", [SKIN, DARK])
@pytest.mark.parametrize("amount", [1.5, 4.0])
@pytest.mark.parametrize("sigma", [0.0, 0.7])
def test_grain_follows_the_kept_skin(skin, amount, sigma):
    """Of white noise and of noise as compressed pictures have; dark skin lacks none of its own."""
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(240, 240)), sigma)
    assert 0.8 < ratio(skin, amount * noise / noise.std()) < 1.25


def test_pores_of_a_large_frame_are_not_lost():
    """What is seen of 2,400 px at a width of 1,000 is coarser than the grain of single pixels."""
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(2400, 2400)), 2.0)
    assert 0.7 < ratio(SKIN, 3 * noise / noise.std(), 250, 60) < 1.4


def test_smooth_skin_gets_none():
    photo, kept, release = release_of(SKIN, np.zeros((240, 240)), 25, 14)
    assert detail(release, ndimage.distance_transform_edt(~kept) > 4) < 0.5


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 40), st.floats(1, 60), st.integers(0, 255), st.integers(0, 2**31))
def test_no_margin_and_no_colour_break_it(margin, lesion, grey, seed):
    texture = np.random.default_rng(seed).normal(0, 20, (160, 160))
    photo, kept, release = release_of(np.full(3, grey), texture, lesion, margin)
    np.testing.assert_array_equal(release[kept], photo[kept])
    # No more than so many levels away from what was drawn.
    assert np.abs(release[~kept].astype(float) - grey).max() < 120
