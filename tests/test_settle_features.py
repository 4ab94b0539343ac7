"""Settling of eyes, nose and mouth: a pupil with one light, a nose that stands out, closed lips, no specks."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refined import (
    FACE,
    NOTHING,
    SIZE,
    frame_of,
    hues,
    lightness,
    of_exemplar,
    person,
)

from jaxderm.attributes import LUMA
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates, face_skin_region
from jaxderm.release.settle import settled
from jaxderm.release.settle_features import IRIS, brows_of, with_brows


def with_a_smile() -> tuple[Exemplar, np.ndarray, np.ndarray, np.ndarray]:
    """(exemplar with closed lips, its frame with some of a photograph's teeth on them and more light, lips, teeth)."""
    exemplar = person()
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    away = np.hypot((x - 0.5) / 0.09, (y - 0.63) / 0.03)
    picture = exemplar.picture.copy()
    picture[away < 1] = [170, 95, 95]
    exemplar = dataclasses.replace(exemplar, picture=picture)
    frame, teeth = frame_of(exemplar) + np.float32(0.1), away < 0.5
    frame[teeth] += 0.38 * (np.array([0.9, 0.9, 0.8], np.float32) - frame[teeth])
    return exemplar, frame, away < 0.9, teeth


def test_closed_lips_show_no_teeth_and_have_the_light_of_the_skin():
    exemplar, frame, lips, teeth = with_a_smile()
    out = settled(frame, exemplar, NOTHING, FACE)
    assert lightness(frame)[teeth].mean() > lightness(frame)[lips & ~teeth].mean() + 8
    wanted = lightness(frame_of(exemplar) + 0.1)
    np.testing.assert_allclose(lightness(out)[lips], wanted[lips], atol=3)


def test_a_mouth_at_what_is_kept_stays_as_refined():
    exemplar, frame, lips, teeth = with_a_smile()
    out = settled(frame, exemplar, lips.astype(np.float32), FACE)
    assert np.abs(lightness(out) - lightness(frame))[teeth].max() < 3


def with_eyes(level: int, white: int = 245) -> tuple[Exemplar, np.ndarray, np.ndarray]:
    """(exemplar of skin of that level, its frame with eyes' whites, where these are)."""
    exemplar = person()
    picture = exemplar.picture.copy()
    picture[exemplar.skin > 0] = np.clip(np.array([1.0, 0.75, 0.65]) * level, 0, 255).astype(
        np.uint8
    )
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    eyes = np.zeros((SIZE, SIZE), bool)
    for ex, ey in FACE[:2]:
        eyes |= np.hypot(x - ex, 1.5 * (y - ey)) < 0.03
    picture[eyes] = white
    exemplar = dataclasses.replace(exemplar, picture=picture)
    return exemplar, frame_of(exemplar), eyes


@settings(max_examples=6, deadline=None)
@given(st.integers(2, 5), st.floats(-0.9, 0.0))
def test_eyes_have_a_dark_pupil_and_one_small_light(wide, iris):
    """Whatever light a render's eye has on it, and as long as kept is not near."""
    exemplar, size = person(), 256
    picture = np.kron(exemplar.picture, np.ones((2, 2, 1), np.uint8))
    exemplar = Exemplar(picture, np.kron(exemplar.skin, np.ones((2, 2), np.uint8)))
    frame = frame_of(exemplar)
    y, x = np.mgrid[:size, :size] + 0.5
    points, radius = FACE * size, 0.09 * 0.2 * size
    away = [np.hypot(x - px, y - py) for px, py in points[:2]]
    for a in away:
        frame[a < 1.2 * radius] = iris
        frame[a < wide / 2] = 0.95
    out = settled(frame, exemplar, np.zeros((size, size)), points / size)
    kept = settled(frame, exemplar, (np.minimum(*away) < 2).astype(np.float32), points / size)
    luma = out @ LUMA
    for (px, py), a in zip(points[:2], away):
        pupil = (a < 0.4 * radius) & (y > py + 0.1 * radius)
        assert luma[pupil].mean() < max(iris - 0.3 * (iris + 1), -0.75)
        half = (luma[a < 0.45 * radius].max() + iris) / 2
        light = np.argwhere((a < 0.45 * radius) & (luma > half))
        assert 1 <= len(light) <= 4
        up, left = light.mean(0) + 0.5 - (py, px)
        assert up < 0 and left < 0  # where the light comes from
        assert np.abs((kept - frame) @ LUMA)[a < 2].mean() < 0.05


@pytest.mark.parametrize("level, brown", [(45, True), (70, True), (150, False), (220, False)])
def test_grey_irises_of_dark_skin_become_brown_and_whites_and_lids_stay(level, brown):
    size = 256
    y, x = np.mgrid[:size, :size] + 0.5
    skin = np.round(np.array([1.0, 0.72, 0.6]) * level)
    picture = np.broadcast_to(skin, (size, size, 3)).copy()
    points, radius = FACE * size, IRIS * 0.2 * size
    iris, white = np.zeros((2, size, size), bool)
    for px, py in points[:2]:
        away = np.hypot(x - px, y - py)
        white |= np.hypot((x - px) / 2, y - py) < radius
        iris |= (away < radius) & (y > py - 0.5 * radius)  # half under a lid
    picture[white], picture[iris] = 0.5 * level + 60, 0.4 * level + 20
    shown = np.full((size, size), 255, np.uint8)
    exemplar = Exemplar(np.round(picture).astype(np.uint8), shown)
    frame, nothing = frame_of(exemplar), np.zeros((size, size))
    out = settled(frame, exemplar, nothing, FACE, 60.0)
    kept = settled(frame, exemplar, iris.astype(np.float32), FACE, 60.0)
    ring = iris & (np.minimum(*(np.hypot(x - px, y - py) for px, py in points[:2])) < 0.8 * radius)
    beside = white & ~iris & (np.minimum(*(np.abs(x - px) for px in points[:2, 0])) > 1.4 * radius)
    redness = [hues(f)[ring, 0].mean() for f in (out, kept)]
    assert (redness[0] > 1.15) if brown else (redness[0] < 1.1)
    assert redness[1] < 1.1
    assert hues(out)[beside, 0].mean() < 1.14
    if brown:
        assert lightness(out)[ring].mean() < lightness(out)[beside].mean() - 10


@pytest.mark.parametrize("age, gone", [(18.0, True), (40.0, False)])
def test_specks_beside_young_lips_and_eyes_go_and_the_lips_stay(age, gone):
    exemplar, frame, lips, _ = with_a_smile()
    y, x = np.mgrid[:SIZE, :SIZE]
    specks = (x % 4 == 0) & (y % 4 == 0)
    below = (np.abs(x / SIZE - 0.5) < 0.05) & (y / SIZE > 0.675) & (y / SIZE < 0.7)
    below |= (np.abs(x / SIZE - 0.4) < 0.04) & (y / SIZE > 0.495) & (y / SIZE < 0.52)
    frame[specks & below] -= 0.25
    out = settled(frame, of_exemplar(exemplar, frame_of(exemplar)), NOTHING, FACE, age, True)
    deep, left = (
        (lightness(f)[below & ~specks].mean() - lightness(f)[below & specks].mean())
        for f in (frame, out)
    )
    assert (left < 0.5 * deep) if gone else (left > 0.6 * deep)
    assert lightness(out)[lips].mean() < lightness(out)[below].mean() - 8


def browed(level: float = 0.25) -> tuple[Exemplar, np.ndarray, np.ndarray]:
    """(exemplar whose brows have that share of its skin's light, inner halves of these, outer ones)."""
    exemplar = dataclasses.replace(person(), skin=np.full((SIZE, SIZE), 255, np.uint8))
    picture = np.full_like(exemplar.picture, (205, 160, 140))
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    aside = np.abs(x - 0.5)
    brow = (np.abs(y - 0.385) < 0.015) & (aside > 0.05) & (aside < 0.14)
    picture[brow] = (picture[brow] * level).astype(np.uint8)
    return (
        dataclasses.replace(exemplar, picture=picture),
        brow & (aside < 0.09),
        brow & (aside > 0.1),
    )


def of_the_light(frame: np.ndarray, where: np.ndarray) -> float:
    """Luma there over that of plain skin."""
    luma = frame @ LUMA + 1
    return float(luma[where].mean() / np.median(luma))


@pytest.mark.parametrize("age, aged", [(20.0, True), (50.0, False), (None, False)])
def test_brows_that_a_refiner_left_in_part_are_whole(age, aged):
    exemplar, inner, outer = browed()
    exemplar = dataclasses.replace(exemplar, skin=np.where(inner | outer, 0, exemplar.skin))
    frame = frame_of(exemplar)
    frame[outer] += 0.75 * (np.array([0.35, 0.45, 0.1], np.float32) - frame[outer])
    out = settled(frame, exemplar, NOTHING, FACE, age, aged)
    assert of_the_light(frame, outer) > 0.8
    assert of_the_light(out, outer) < of_the_light(out, inner) + 0.25 < 0.75


def test_green_brows_become_brown():
    exemplar, inner, outer = browed()
    frame, points = frame_of(exemplar), FACE * SIZE
    frame[outer] += 0.75 * (np.array([0.35, 0.45, 0.1], np.float32) - frame[outer])
    cheeks = face_skin_region(points, frame.shape[:2])
    brows = brows_of(exemplar, points, face_coordinates(points, frame.shape[:2]))
    out = with_brows(frame, brows, cheeks, np.ones((SIZE, SIZE), np.float32), points)
    skin = np.median(hues(frame).reshape(-1, 2), axis=0)
    assert (hues(frame)[outer, 0] < skin[0] - 0.1).all()
    assert np.median(hues(out)[outer, 0]) > skin[0] - 0.03
    np.testing.assert_allclose(out[brows == 0], frame[brows == 0])


@settings(max_examples=8, deadline=None)
@given(st.floats(0.05, 0.2))
def test_brows_are_not_black(level):
    exemplar, inner, outer = browed(level)
    out = settled(frame_of(exemplar), exemplar, NOTHING, FACE, 50.0)
    assert of_the_light(out, inner | outer) > level + 0.08


def test_brows_at_what_is_kept_stay_as_refined():
    exemplar, inner, outer = browed()
    frame = frame_of(exemplar)
    frame[outer] += 0.75 * (np.array([0.5, 0.4, 0.1], np.float32) - frame[outer])
    out = settled(frame, exemplar, (inner | outer).astype(np.float32), FACE, 50.0)
    assert abs(of_the_light(out, outer) - of_the_light(frame, outer)) < 0.02


def test_fair_brows_of_the_young_stay():
    """What is narrow on young skin goes, but not beside brows."""
    exemplar, inner, outer = browed(0.8)
    out = settled(frame_of(exemplar), exemplar, NOTHING, FACE, 20.0, True)
    assert of_the_light(out, inner | outer) < 0.93
