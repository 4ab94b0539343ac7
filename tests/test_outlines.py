"""Outlines drawn anew: no lines along them, where the frame has them, as sharp; beyond them nothing changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxderm.attributes import LUMA
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates
from jaxderm.release.outlines import backdrop_of, redrawn

SIZE = 256
FACE = np.array([[0.4, 0.45], [0.6, 0.45], [0.5, 0.53], [0.42, 0.63], [0.58, 0.63]]) * SIZE
PLACE = face_coordinates(FACE, (SIZE, SIZE))
DOWN = PLACE[1]
EVERYWHERE = np.ones((SIZE, SIZE), np.float32)
Y, X = np.mgrid[:SIZE, :SIZE] + np.float32(0.5)
SKIN, HAIR, STUDIO = (np.array(c, np.float32) / 127.5 - 1 for c in ([205, 160, 140], [90, 65, 45], [70, 120, 150]))  # fmt: skip
AWAY = np.hypot(X - SIZE / 2, Y - SIZE / 2)


def soft(way: np.ndarray) -> np.ndarray:
    """1 inside, 0 outside, over a pixel to either side; way: px to the outside."""
    return np.clip(0.5 - way / 2, 0, 1)[..., None].astype(np.float32)


def head(radius: float, moved: float = 0.0) -> tuple[np.ndarray, Exemplar]:
    """(frame of a disc of skin before a studio, its exemplar, whose disc is so much smaller)."""
    frame, shown = (STUDIO + soft(AWAY - r) * (SKIN - STUDIO) for r in (radius, radius - moved))
    picture = np.round((shown + 1) * 127.5).astype(np.uint8)
    return frame, Exemplar(picture, (255 * (AWAY < radius - moved)).astype(np.uint8))


def line(at: np.ndarray | float, width: float = 1.2) -> np.ndarray:
    return np.exp(-0.5 * np.square(at / width))[..., None].astype(np.float32)


def of_head(frame, exemplar, share=EVERYWHERE) -> np.ndarray:
    return redrawn(frame, exemplar, np.zeros((SIZE, SIZE), np.float32), share, PLACE)


def beyond(frame: np.ndarray, one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """How far a frame's light is from what lies between two colours, in the mean."""
    luma = (frame @ LUMA)[where]
    low, high = sorted((one @ LUMA, other @ LUMA))
    return float(np.maximum(np.maximum(luma - high, low - luma), 0).mean())


UP = DOWN < 1.0


@settings(max_examples=12, deadline=None)
@given(st.floats(60, 110), st.floats(-4, 4), st.sampled_from([0.4, -0.4]), st.floats(0, 1.5))
def test_a_line_along_a_head_goes_and_the_outline_stays_where_the_frame_has_it(
    radius, moved, light, at
):
    """A light line on the head's side, a dark one on the backdrop's: between the two colours neither is told."""
    clean, exemplar = head(radius, moved)
    frame = clean + light * line(AWAY - radius + np.sign(light) * at)
    out = of_head(frame, exemplar)
    near = (np.abs(AWAY - radius) < 3) & UP
    assert beyond(out, SKIN, STUDIO, near) < 0.7 * beyond(frame, SKIN, STUDIO, near)
    inside = ((out - STUDIO) @ (SKIN - STUDIO) / np.square(SKIN - STUDIO).sum() > 0.5) & UP
    # Half a pixel, and no more than the line's own middle lay to the side.
    assert abs(np.sqrt(inside.sum() / (np.pi * UP[AWAY < radius].mean())) - radius) < 2


def test_a_clean_outline_stays_as_sharp_and_what_is_beyond_it_as_it_is():
    clean, exemplar = head(90)
    grain = np.random.default_rng(0).normal(0, 0.03, (SIZE, SIZE, 1)).astype(np.float32)
    out = of_head(clean + grain, exemplar)
    beyond = np.abs(AWAY - 90) > 7
    np.testing.assert_array_equal(out[beyond], (clean + grain)[beyond])
    near = (np.abs(AWAY - 90) < 4) & UP
    assert np.abs(out - clean)[near].mean() < 0.05
    row = out[SIZE // 2] @ LUMA
    was = clean[SIZE // 2] @ LUMA
    assert np.abs(np.diff(row)).max() > 0.5 * np.abs(np.diff(was)).max()


@pytest.mark.parametrize("where", ["kept", "shoulders", "no backdrop"])
def test_what_is_kept_shoulders_and_heads_before_no_backdrop_stay(where):
    clean, exemplar = head(90)
    frame = clean + 0.4 * line(AWAY - 90)
    share = EVERYWHERE.copy()
    there = np.abs(AWAY - 90) < 3
    if where == "kept":
        share[:, : SIZE // 2] = 0
        there &= X < SIZE / 2 - 8
    elif where == "shoulders":
        there &= DOWN > 1.75
    else:
        frame = frame[..., ::-1].copy()
    assert there.sum() > 100
    np.testing.assert_allclose(of_head(frame, exemplar, share)[there], frame[there], atol=1e-6)


@pytest.mark.parametrize("light", [-0.25, 0.5])
def test_a_line_between_hair_and_neck_goes_and_a_hairline_stays(light):
    """Hair on the image's left of an upright line, skin on its right, all over the frame."""
    way = X - 100
    hair = soft(way)
    clean = SKIN + hair * (HAIR - SKIN)
    frame = clean + light * line(way)
    exemplar = Exemplar(
        np.round((clean + 1) * 127.5).astype(np.uint8), (255 * (way > 0)).astype(np.uint8)
    )
    out = redrawn(frame, exemplar, hair[..., 0], EVERYWHERE, PLACE)
    near = (np.abs(way) < 3) & (DOWN > 0.3)
    assert beyond(out, HAIR, SKIN, near) < 0.5 * beyond(frame, HAIR, SKIN, near)
    above = DOWN < -0.15
    np.testing.assert_allclose(out[above], frame[above], atol=1e-6)


def test_sides_of_one_colour_have_no_outline():
    _, exemplar = head(90)
    frame = STUDIO + 0.4 * line(AWAY - 90) + 0 * X[..., None]
    np.testing.assert_allclose(of_head(frame, exemplar), frame, atol=1e-6)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_small_frames_are_taken(side):
    clean, exemplar = head(90)
    step = SIZE // side
    small = Exemplar(exemplar.picture[::step, ::step], exemplar.skin[::step, ::step])
    place = face_coordinates(FACE / step, (side, side))
    hair = np.zeros((side, side), np.float32)
    out = redrawn(clean[::step, ::step], small, hair, hair + 1, place)
    assert out.shape == (side, side, 3) and out.dtype == np.float32 and np.isfinite(out).all()


def test_a_backdrop_is_blue_and_skin_and_hair_are_none():
    for colour, told in ((STUDIO, 1), (SKIN, 0), (HAIR, 0)):
        frame = np.broadcast_to(colour, (SIZE, SIZE, 3))
        np.testing.assert_allclose(backdrop_of(frame), told, atol=1e-6)
    assert ndimage.label(backdrop_of(head(90)[0]) < 0.5)[1] == 1


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 99))
def test_a_ragged_outline_becomes_smoother(seed):
    clean, exemplar = head(90)
    specks = np.random.default_rng(seed).normal(0, 0.15, (SIZE, SIZE, 1)).astype(np.float32)
    near = (np.abs(AWAY - 90) < 2) & UP
    out = of_head(clean + specks * near[..., None], exemplar)
    assert (out - clean)[near].std() < 0.5 * specks[near].std()


def test_specks_of_the_backdrop_beside_an_outline_fade():
    clean, exemplar = head(90)
    turn = np.arctan2(Y - SIZE / 2, X - SIZE / 2)
    specks = (np.abs(AWAY - 87.6) < 0.5) & (np.sin(24 * turn) > 0.9) & UP
    frame = np.where(specks[..., None], STUDIO, clean)
    left = np.abs(of_head(frame, exemplar) - clean)[specks].mean()
    assert left < 0.68 * np.abs(frame - clean)[specks].mean()


def beside_hair(across: np.ndarray) -> tuple[np.ndarray, Exemplar, np.ndarray]:
    """(frame with dark hair on the image's left, its exemplar, hair [S,S]), by px across the line between hair and face."""
    hair = soft(across)
    clean = (SKIN + hair * (HAIR - SKIN)).astype(np.float32)
    picture = np.round((clean + 1) * 127.5).astype(np.uint8)
    return clean, Exemplar(picture, (255 * (across > 0)).astype(np.uint8)), hair[..., 0]


@settings(max_examples=10, deadline=None)
@given(st.floats(0.15, 0.5), st.floats(2.5, 4))
def test_a_light_line_between_a_face_and_hair_goes(light, at):
    """Wherever in it: what is lighter than the face farther in, and no wider than a line, gets as light as that."""
    way = X - 100
    clean, exemplar, hair = beside_hair(way)
    frame = clean + np.float32(light) * line(way - at)
    out = redrawn(frame, exemplar, hair, EVERYWHERE, PLACE)
    near = (np.abs(way - at) < 2) & (DOWN > 0.3) & (DOWN < 1.1)
    lighter = [np.maximum((f - clean) @ LUMA, 0)[near].mean() for f in (frame, out)]
    assert lighter[1] < 0.35 * lighter[0]


@pytest.mark.parametrize("where", ["far from hair", "wide", "kept", "above"])
def test_other_lines_stay(where):
    way = X - 100
    clean, exemplar, hair = beside_hair(way)
    at = 30 if where == "far from hair" else 5
    lit = line(way - at) if where != "wide" else ((way > 0) & (way < 16))[..., None]
    frame = (clean + np.float32(0.2) * lit).astype(np.float32)
    share = EVERYWHERE * (0 if where == "kept" else 1)
    rows = (DOWN < -0.15) if where == "above" else (DOWN > 0.3) & (DOWN < 1.1)
    out = redrawn(frame, exemplar, hair, share, PLACE)
    assert out.dtype == np.float32
    there = rows & (np.abs(way - at) < (1 if where == "wide" else 3))
    np.testing.assert_allclose(out[there], frame[there], atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.15, 0.35), st.floats(1.5, 3.5))
def test_a_gap_between_hair_and_skin_is_filled_with_hair(deep, at):
    """Narrow and darker than both: it becomes as light as the hair farther in."""
    way = X - 100
    clean, exemplar, hair = beside_hair(way)
    frame = (clean - np.float32(deep) * line(way + at, 1.5)).astype(np.float32)
    out = redrawn(frame, exemplar, hair, EVERYWHERE, PLACE)
    near = (np.abs(way + at) < 2) & (DOWN > 0.3) & (DOWN < 1.6)
    darker = [np.maximum((clean - f) @ LUMA, 0)[near].mean() for f in (frame, out)]
    assert darker[1] < 0.55 * darker[0]
    assert out.dtype == np.float32


@pytest.mark.parametrize("where", ["far from skin", "wide", "kept", "above", "backdrop"])
def test_other_dark_hair_stays(where):
    way = X - 100
    clean, exemplar, hair = beside_hair(way)
    if where == "backdrop":
        clean = (STUDIO + soft(way) * (HAIR - STUDIO)).astype(np.float32)
        exemplar = Exemplar(exemplar.picture, np.zeros_like(exemplar.skin))
    at = -40 if where == "far from skin" else -6
    dark = line(way - at) if where != "wide" else ((way < 0) & (way > -30))[..., None]
    frame = (clean - np.float32(0.2) * dark).astype(np.float32)
    share = EVERYWHERE * (0 if where == "kept" else 1)
    rows = (DOWN < -0.15) if where == "above" else (DOWN > 0.3) & (DOWN < 1.1)
    out = redrawn(frame, exemplar, hair, share, PLACE)
    there = rows & (np.abs(way - at) < (1 if where == "wide" else 2))
    np.testing.assert_allclose(out[there], frame[there], atol=0.02)
