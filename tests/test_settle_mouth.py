"""Closed lips of a release meet in one line: no sawtooth, no open corners, and lips beside it as they are."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refined import FACE, NOTHING, SIZE, frame_of, lightness, person

from jaxderm.attributes import LUMA
from jaxderm.release.pyramid import halved
from jaxderm.release.settle import settled
from jaxderm.release.settle_mouth import with_one_line

SIDE = 2 * SIZE  # in which the teeth of a saw are some pixels wide
Y, X = np.mgrid[:SIDE, :SIDE].astype(np.float32) + np.float32(0.5)
MIDDLE, WIDTH = np.array([0.5, 0.63]) * SIDE, 0.2 * SIDE
ALONG, BELOW = (X - MIDDLE[0]) / WIDTH, (Y - MIDDLE[1]) / WIDTH
LIP, SKIN, INNER = (np.array(c, np.float32) / 127.5 - 1 for c in ([190, 110, 105], [205, 160, 140], [80, 35, 30]))  # fmt: skip


def mouth(bent: float = 0.0, tooth: float = 0.0, turned: float = 0.0) -> tuple:
    """(picture of a mouth bent and turned so, whose line has gaps like a saw's, lips, px below its line)."""
    right = ALONG * np.cos(turned) + BELOW * np.sin(turned)
    down = BELOW * np.cos(turned) - ALONG * np.sin(turned) - bent * np.square(right)
    lips = np.clip((1 - np.hypot(right / 0.5, down / 0.17)) * 8, 0, 1).astype(np.float32)
    gaps = np.clip(0.5 + 2 * np.sin(right * 80), 0, 1)
    inside = np.clip((0.45 - np.abs(right)) * 20, 0, 1) * np.exp(-0.5 * np.square(down / 0.03))
    picture = SKIN + lips[..., None] * (LIP - SKIN)
    picture += (lips * inside * (1 - tooth * gaps))[..., None] * (INNER - picture)
    return picture.astype(np.float32), lips, down * WIDTH, right


def depths(picture: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How dark it is over the breadth of the line at places along it."""
    luma = picture @ LUMA
    across = np.abs(down) < 0.12 * WIDTH
    places = np.linspace(-0.25, 0.25, 20)
    return np.array([luma[across & (np.abs(right - at) < 0.03)].mean() for at in places])


@settings(max_examples=15, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(0.4, 0.8), st.floats(-0.3, 0.3))
def test_a_sawtooth_becomes_a_line(bent, tooth, turned):
    picture, lips, down, right = mouth(bent, tooth, turned)
    out = with_one_line(picture, lips, WIDTH)
    before, after = (depths(p, down, right) for p in (picture, out))
    assert after.std() < 0.65 * before.std()
    assert after.mean() < LIP @ LUMA - 0.08  # and is one


@pytest.mark.parametrize("bent", [-0.2, 0.0, 0.2])
def test_a_line_is_no_wider_and_ends_softly(bent):
    picture, lips, down, right = mouth(bent)
    out = with_one_line(picture, lips, WIDTH)
    deep = lambda p: np.maximum(LIP @ LUMA - p @ LUMA, 0)  # noqa: E731
    middle = (np.abs(right) < 0.2) & (np.abs(down) < 0.12 * WIDTH)
    wide = [deep(p)[middle].sum() / np.percentile(deep(p)[middle], 98) for p in (picture, out)]
    assert wide[1] < wide[0]
    corner = (np.abs(np.abs(right) - 0.42) < 0.02) & (np.abs(down) < 2)
    assert deep(out)[corner].mean() < 0.85 * deep(picture)[corner].mean()


def test_what_is_beside_the_line_and_beyond_the_lips_stays():
    picture, lips, down, _ = mouth(0.1, 0.6)
    out = with_one_line(picture, lips, WIDTH)
    beside = np.abs(down) > 0.14 * WIDTH
    np.testing.assert_allclose(out[beside], picture[beside], atol=0.02)
    np.testing.assert_array_equal(with_one_line(picture, np.zeros_like(lips), WIDTH), picture)


def test_a_release_has_the_exemplars_mouth_with_one_line():
    exemplar = person()
    picture, lips, down, right = (halved(part) for part in mouth(0.0, 0.7))
    shown = exemplar.picture / np.float32(127.5) - 1
    shown += lips[..., None] * (picture - shown)
    shown = np.clip(np.round((shown + 1) * 127.5), 0, 255).astype(np.uint8)
    exemplar = dataclasses.replace(exemplar, picture=shown)
    out = settled(frame_of(exemplar), exemplar, NOTHING, FACE)
    before, after = (depths(p, down, right) for p in (frame_of(exemplar), out))
    assert after.std() < 0.5 * before.std()
    assert np.median(lightness(out)[(np.abs(down) < 2) & (np.abs(right) < 0.2)]) < np.median(
        lightness(out)[lips > 0.9]
    )
