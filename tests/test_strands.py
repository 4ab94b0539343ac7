"""Hair of a settled frame: it runs as the exemplar's strands do, is of one hue, grows at its line, and is hair only."""

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxderm.attributes import LUMA
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates
from jaxderm.release.smoothing import beside_kept
from jaxderm.release.strands import combed, hair_of

SIZE = 256
NOTHING = np.zeros((SIZE, SIZE))
FACE = np.array([[0.4, 0.45], [0.6, 0.45], [0.5, 0.53], [0.42, 0.63], [0.58, 0.63]]) * SIZE
PLACE = face_coordinates(FACE, (SIZE, SIZE))
ACROSS, DOWN = PLACE
Y, X = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
HAIR, SKIN, STUDIO = [90.0, 65.0, 45.0], [205.0, 160.0, 140.0], [70.0, 120.0, 150.0]
HEAD = np.hypot((X - 0.5) / 0.24, (Y - 0.53) / 0.32) < 1  # a face
LONG = (np.abs(X - 0.5) < 0.4) & ~HEAD  # hair that hangs beside it
INSIDE = ndimage.binary_erosion(LONG, iterations=12)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def stroked(degrees: float) -> np.ndarray:
    """Light [S,S] of strokes that run so, with some grain: around 1."""
    along = np.radians(degrees)
    across = SIZE * (Y * np.cos(along) - X * np.sin(along))
    return 1 + 0.25 * np.sin(across / 1.5) + rng(3).normal(0, 0.04, (SIZE, SIZE))


def person(strokes: np.ndarray | float = 1.0) -> Exemplar:
    """A face within long hair with such strokes before a studio."""
    picture = np.where(LONG[..., None], np.asarray(strokes)[..., None] * HAIR, STUDIO)
    picture[HEAD] = SKIN
    return Exemplar(np.clip(picture, 0, 255).astype(np.uint8), (255 * HEAD).astype(np.uint8))


UPRIGHT = person(stroked(90))


def scaled(picture) -> np.ndarray:
    return np.asarray(picture, np.float32) / 127.5 - 1


def frame_with(hair: np.ndarray) -> np.ndarray:
    """A frame of the person whose hair has such colours [S,S,3] (bytes)."""
    picture = np.where(LONG[..., None], hair, STUDIO)
    picture[HEAD] = SKIN
    return scaled(picture)


def plain() -> np.ndarray:
    return frame_with(np.broadcast_to(HAIR, (SIZE, SIZE, 3)))


def knotted(seed: int = 5) -> np.ndarray:
    """Hair with knots of some pixels."""
    knots = ndimage.gaussian_filter(rng(seed).normal(0, 1, (SIZE, SIZE)), 2.0)
    return frame_with((1 + 0.3 * knots / knots.std())[..., None] * HAIR)


def comb(frame, exemplar=UPRIGHT, mask=NOTHING, seed: int = 0) -> np.ndarray:
    noise = rng(seed).standard_normal((SIZE, SIZE), np.float32)
    hair = hair_of(frame, exemplar, PLACE)
    return combed(frame, exemplar, hair, beside_kept(mask), PLACE, noise)


def luma(frame: np.ndarray) -> np.ndarray:
    return frame @ LUMA


def alike(light: np.ndarray, step: np.ndarray, where: np.ndarray = INSIDE) -> float:
    """How alike places are that lie a step (right, down) px apart."""
    points = np.argwhere(where)[:, ::-1].astype(float)
    here, there = (
        ndimage.map_coordinates(light, (points + k * step)[:, ::-1].T, order=1) for k in (-0.5, 0.5)
    )
    return float(np.corrcoef(here, there)[0, 1])


@pytest.mark.parametrize("degrees", [0, 25, 70, 90, 130])
def test_knots_become_strokes_that_run_as_the_exemplars_strands(degrees):
    way = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    aside = np.array([-way[1], way[0]])
    frame, out = knotted(), comb(knotted(), person(stroked(degrees)))
    assert abs(alike(luma(frame), 6 * way) - alike(luma(frame), 6 * aside)) < 0.2
    assert alike(luma(out), 6 * way) > alike(luma(out), 6 * aside) + 0.4
    assert alike(luma(out), 6 * way) > 0.6  # on, not back


def test_fine_strands_are_the_seeds():
    first, again, other = (comb(plain(), seed=s) for s in (1, 1, 2))
    assert np.array_equal(first, again) and first.dtype == np.float32
    assert not np.array_equal(first[INSIDE], other[INSIDE])
    added = luma(first - plain())[INSIDE]
    assert 0.005 < added.std() < 0.1 and abs(added.mean()) < 0.02


@pytest.mark.parametrize("coiled", [True, False])
def test_coils_are_not_combed(coiled):
    """Their strokes run every way."""
    rough = 1 + rng(7).normal(0, 0.3, (SIZE, SIZE))
    frame = knotted()
    out = comb(frame, person(rough) if coiled else UPRIGHT)
    moved = np.abs(luma(out - frame))[INSIDE].mean()
    assert (moved == 0) if coiled else (moved > 0.05)


def test_what_is_no_hair_stays():
    frame = knotted()
    frame += rng(2).normal(0, 0.05, frame.shape).astype(np.float32)
    out = comb(frame)
    away = ndimage.distance_transform_edt(~LONG)
    assert np.array_equal(out[away > 20], frame[away > 20])
    assert np.abs(out - frame)[away > 9].max() < 0.01
    # A backdrop where the exemplar has hair is the refiner's, and stays.
    hole = np.hypot(X - 0.2, Y - 0.3) < 0.06
    frame[hole] = scaled(STUDIO)
    inner = ndimage.binary_erosion(hole, iterations=5)
    assert np.abs(comb(frame) - frame)[inner].max() < 0.02


def test_brows_and_eyes_are_no_hair():
    picture, skin = UPRIGHT.picture.copy(), UPRIGHT.skin.copy()
    spots = [np.hypot(X - x, (Y - y) * 2) < 0.04 for x in (0.4, 0.6) for y in (0.4, 0.45)]
    spots.append((np.abs(Y - 0.42) < 0.01) & (np.abs(X - 0.5) < 0.12))  # brows that meet hair
    arm = (np.abs(Y - 0.42) < 0.01) & HEAD
    picture[arm], skin[arm] = 20, 0
    for spot in spots:
        picture[spot], skin[spot] = 20, 0
    found = hair_of(plain(), Exemplar(picture, skin), PLACE)
    assert max(found[spot].max() for spot in spots) < 0.01
    assert found[INSIDE].min() > 0.9


def test_what_is_kept_stays_and_lends_the_hair_nothing():
    kept = (np.hypot(X - 0.2, Y - 0.4) < 0.03).astype(np.float32)
    dark, red = plain(), plain()
    red[kept > 0] = scaled([220, 20, 20])
    both = [comb(frame, mask=kept) for frame in (dark, red)]
    assert np.array_equal(both[1][kept > 0], red[kept > 0])
    beyond = ndimage.distance_transform_edt(kept < 0.5) > 5
    lent = (both[1] - both[0])[beyond]
    assert np.abs(lent[..., 0] - lent[..., 2]).max() < 0.03
    assert np.abs(luma(lent)).max() < 0.05


@pytest.mark.parametrize("below", [True, False])
def test_shade_beside_a_jaw_goes_and_dark_hair_on_a_head_stays(below):
    where = (DOWN > 0.8) if below else (DOWN < -0.5)
    hair = np.where(where[..., None], 0.3, 1.0) * HAIR
    out = comb(frame_with(hair))
    inner = ndimage.binary_erosion(where & LONG, iterations=14)
    usual = luma(plain())[INSIDE].mean() + 1
    left = (luma(out)[inner].mean() + 1) / usual
    assert left > 0.55 if below else left < 0.4


def test_a_black_line_beside_a_jaw_gets_no_light_one_beside_it():
    """What is lifted beside black becomes no lighter than what hair is around it."""
    line = (np.abs(X - 0.2) < 0.012) & (DOWN > 0.4)
    beside = (np.abs(X - 0.2) < 0.06) & (DOWN > 0.8) & (DOWN < 1.2) & INSIDE
    hair = np.where(line[..., None], 0.01, 1.0) * HAIR
    out, usual = comb(frame_with(hair)), comb(plain())
    assert luma(out)[beside].max() < luma(usual)[beside].max() + 0.05


def test_a_stain_gets_the_hue_of_the_hair_and_a_pale_rim_no_more_colour_than_it():
    hair = np.broadcast_to(HAIR, (SIZE, SIZE, 3)).copy()
    stain, rim = np.hypot(X - 0.2, Y - 0.3) < 0.08, np.hypot(X - 0.8, Y - 0.3) < 0.08
    hair[stain], hair[rim] = [130, 50, 30], [180, 175, 170]
    frame = frame_with(hair)
    out = comb(frame)

    def colour(picture: np.ndarray, where: np.ndarray) -> float:
        inner = ndimage.binary_erosion(where, iterations=8)
        return float((picture[..., 0] - picture[..., 2])[inner].mean())

    usual = colour(plain(), INSIDE)
    assert colour(out, stain) - usual < 0.6 * (colour(frame, stain) - usual)
    assert colour(out, rim) < 1.2 * usual


@pytest.mark.parametrize(
    "shown, dyed", [([130, 128, 124], True), ([20, 20, 20], False), (HAIR, False)]
)
def test_hair_that_is_grey_is_not_dyed(shown, dyed):
    """Grey of an exemplar comes back with its light; black is no grey."""
    picture = UPRIGHT.picture.copy()
    picture[LONG] = np.clip(stroked(90)[LONG][:, None] * shown, 0, 255)
    frame = plain()
    pale = np.hypot(X - 0.2, Y - 0.3) < 0.05
    frame[pale] = scaled([200, 170, 150])
    out = comb(frame, dataclasses.replace(UPRIGHT, picture=picture))
    where = INSIDE & ~ndimage.binary_dilation(pale, iterations=20)
    middle = (np.median(out[where], axis=0) + 1) * 127.5
    if dyed:
        assert np.ptp(middle) < 8
        np.testing.assert_allclose(middle.mean(), np.mean(shown), rtol=0.25)
        assert luma(out)[INSIDE].max() < 2 * luma(scaled(np.array([shown])))[0] + 1
    else:
        assert abs(middle @ LUMA - np.array(HAIR) @ LUMA) < 6 and np.ptp(middle) > 30


def clothed(colour: list[float], joined: bool) -> tuple[Exemplar, np.ndarray]:
    """(exemplar with clothes of that colour that touch the hair or not, where they are)."""
    clothes = (DOWN > 1.15) & ((np.abs(X - 0.5) < 0.4) if joined else HEAD)
    picture, skin = UPRIGHT.picture.copy(), UPRIGHT.skin.copy()
    picture[clothes], skin[clothes] = colour, 0
    if not joined:
        gap = ndimage.binary_dilation(clothes, iterations=4) & ~clothes
        picture[gap], skin[gap] = SKIN, 255
    return Exemplar(picture, skin), ndimage.binary_erosion(clothes, iterations=6)


@pytest.mark.parametrize(
    "colour, joined", [([60, 120, 60], True), ([207, 150, 104], True), (HAIR, False)]
)
def test_clothes_are_not_combed(colour, joined):
    exemplar, clothes = clothed(colour, joined)
    frame = scaled(exemplar.picture)
    assert clothes.sum() > 200
    assert hair_of(frame, exemplar, PLACE)[clothes].max() < 0.05


def test_dark_shade_within_hair_is_hair():
    exemplar, shade = clothed([8, 8, 8], True)
    found = hair_of(scaled(exemplar.picture), exemplar, PLACE)
    assert found[shade & INSIDE].min() > 0.9


@pytest.mark.parametrize("long", [True, False])
def test_a_tip_of_an_ear_in_long_hair_is_covered_and_that_below_short_hair_is_not(long):
    tip = (X > 0.73) & (X < 0.78) & (np.abs(Y - 0.55) < 0.03)
    picture, skin = UPRIGHT.picture.copy(), UPRIGHT.skin.copy()
    picture[tip], skin[tip] = SKIN, 255
    if not long:
        under = (Y > 0.55) & ~HEAD & ~tip
        picture[under], skin[under] = STUDIO, 0
    exemplar = Exemplar(picture, skin)
    out = comb(scaled(picture), exemplar)
    inner = ndimage.binary_erosion(tip, iterations=2)
    middle = luma(out)[inner].mean()
    between = (luma(scaled(np.array([HAIR])))[0], luma(scaled(np.array([SKIN])))[0])
    part = (middle - between[0]) / (between[1] - between[0])
    assert part < 0.3 if long else part > 0.8


def rows_across(frame: np.ndarray) -> np.ndarray:
    """Luma over a hairline from hair to skin, in its own span: means over columns, [S]."""
    over = luma(frame)[:, round(0.42 * SIZE) : round(0.58 * SIZE)].mean(1)
    return (over - over[30]) / (over[75] - over[30])


def test_a_hairline_is_grown_and_lies_where_it_lay():
    frame = plain()
    before, after = rows_across(frame), rows_across(comb(frame))

    def wide(over: np.ndarray) -> int:
        return int(((over[30:75] > 0.15) & (over[30:75] < 0.85)).sum())

    def middle(over: np.ndarray) -> float:
        return float((1 - over[30:75]).sum())

    assert wide(after) >= wide(before) + 2
    assert abs(middle(after) - middle(before)) < 2.5


def test_below_the_temples_no_hair_grows_on_skin():
    frame, out = plain(), comb(plain())
    cheeks = ndimage.binary_erosion(HEAD, iterations=4) & (DOWN > 0)
    assert np.abs(out - frame)[cheeks].max() < 1e-3


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 99), st.sampled_from([0.05, 0.3]))
def test_the_light_of_hair_stays_where_it_is_even(seed, contrast):
    knots = ndimage.gaussian_filter(rng(seed).normal(0, 1, (SIZE, SIZE)), 1.5)
    frame = frame_with((1 + contrast * knots / knots.std())[..., None] * HAIR)
    out = comb(frame, seed=seed)
    for side in (X < 0.5, X > 0.5):
        where = INSIDE & side & (DOWN < -0.4)
        assert abs(luma(out - frame)[where].mean()) < 0.03


def test_a_person_without_hair_stays():
    bald = dataclasses.replace(UPRIGHT, skin=np.full((SIZE, SIZE), 255, np.uint8))
    frame = knotted()
    assert np.array_equal(comb(frame, bald), frame)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_small_frames_are_taken(side):
    factor = SIZE // side
    small = functools.partial(np.reshape, shape=(side, factor, side, factor, -1))
    picture = small(UPRIGHT.picture.astype(np.float32)).mean((1, 3)).astype(np.uint8)
    skin = small(UPRIGHT.skin.astype(np.float32)).mean((1, 3))[..., 0].astype(np.uint8)
    place = face_coordinates(FACE / factor, (side, side))
    frame = scaled(picture)
    noise = rng().standard_normal((side, side), np.float32)
    exemplar = Exemplar(picture, skin)
    hair = hair_of(frame, exemplar, place)
    out = combed(frame, exemplar, hair, np.ones((side, side)), place, noise)
    assert out.shape == frame.shape and np.isfinite(out).all()
