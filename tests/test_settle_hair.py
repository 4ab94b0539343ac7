"""Settling of hair: what was lost comes back, what was drawn beyond a head goes, and no strokes are left."""

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
    lightness,
    person,
)
from scipy import ndimage

from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates, face_skin_region
from jaxderm.release.settle import settled
from jaxderm.release.settle_hair import with_its_hair


@pytest.mark.parametrize("redone, kept", [(True, False), (False, False), (True, True)])
def test_strokes_of_hair_go_where_it_became_skin(redone, kept):
    """Dark strokes beside a face, made lighter or left as they were; never beside what is kept."""
    exemplar = person()
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    hair = (y > 0.45) & (y < 0.57) & (np.abs(x - 0.2) < 0.09)
    picture, skin = exemplar.picture.copy(), exemplar.skin.copy()
    picture[hair] = 40
    picture[hair & (np.arange(SIZE) % 6 == 0)] = 160
    skin[hair] = 0
    exemplar = Exemplar(picture, skin)
    frame = frame_of(exemplar)
    if redone:
        frame[hair] += 0.6
    mask = hair.astype(np.float32) if kept else NOTHING
    out = settled(frame, exemplar, mask, FACE)
    middle = (y > 0.48) & (y < 0.54) & (np.abs(x - 0.2) < 0.06)
    before, after = (lightness(f)[middle].std() for f in (frame, out))
    assert (after < 0.2 * before) if redone and not kept else (after > 0.9 * before)


def with_a_fringe(level: int) -> tuple[Exemplar, np.ndarray, np.ndarray]:
    """(exemplar with hair of that level, its frame of another hair colour whose fringe became skin, the fringe)."""
    exemplar = person()
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    hair, fringe = (y < 0.32) & (exemplar.skin > 0), (y > 0.24) & (y < 0.32) & (exemplar.skin > 0)
    picture, skin = exemplar.picture.copy(), exemplar.skin.copy()
    picture[hair], skin[hair] = [level, level - 8, level - 15], 0
    exemplar = Exemplar(picture, skin)
    frame = frame_of(exemplar)
    frame[hair] += np.array([0.1, 0.05, 0.0], np.float32)
    frame[fringe] = np.array([205, 160, 140], np.float32) / 127.5 - 1
    return exemplar, frame, fringe & (y > 0.26) & (y < 0.3) & (np.abs(x - 0.5) < 0.2)


@settings(max_examples=15, deadline=None)
@given(st.one_of(st.integers(35, 110), st.integers(215, 240)))
def test_a_fringe_that_became_forehead_comes_back_in_the_colour_of_the_hair(level):
    exemplar, frame, fringe = with_a_fringe(level)
    out = settled(frame, exemplar, NOTHING, FACE)
    stayed = (np.arange(SIZE)[:, None] < 0.2 * SIZE) & (person().skin > 0)
    before, after = ((lightness(f)[fringe] - lightness(f)[stayed].mean()) for f in (frame, out))
    assert abs(before.mean()) > 9
    assert abs(after.mean()) < 3
    beside = settled(frame, exemplar, fringe.astype(np.float32), FACE)
    assert abs(lightness(beside)[fringe].mean() - lightness(frame)[fringe].mean()) < 2


@pytest.mark.parametrize("backdrop", [[60, 80, 110], [100, 140, 170]])
def test_hair_above_a_face_that_became_backdrop_comes_back_and_a_white_parting_is_dimmed(backdrop):
    """Beside the head the backdrop stays, be it as light as skin: hair there would hover."""
    exemplar, frame, _ = with_a_fringe(70)
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    hair, blue = exemplar.skin == 0, np.array(backdrop) / 127.5 - 1
    hole, aside = (hair & (np.hypot(x - at, y - 0.22) < 0.04) for at in (0.5, 0.24))
    picture = exemplar.picture.copy()
    picture[hole] = 200
    exemplar = dataclasses.replace(exemplar, picture=picture)
    frame[hole | aside] = blue
    out = settled(frame.astype(np.float32), exemplar, NOTHING, FACE)
    stayed = hair & (person().skin > 0) & (y < 0.17)
    assert (out[hole][:, 0] > out[hole][:, 2]).mean() > 0.9
    assert np.abs(lightness(out)[hole].mean() - lightness(out)[stayed].mean()) < 17
    assert (out[aside][:, 0] < out[aside][:, 2]).mean() > 0.9


def test_a_studio_that_shows_where_hair_was_lost_is_no_hair():
    """What is no skin of the exemplar and as blue as its backdrop stays as the refiner has it."""
    exemplar, frame, fringe = with_a_fringe(60)
    picture = exemplar.picture.copy()
    picture[(exemplar.skin == 0)] = [60, 80, 100]
    exemplar = dataclasses.replace(exemplar, picture=picture)
    points = FACE * SIZE
    cheeks, (across, _) = (
        face_skin_region(points, (SIZE, SIZE)),
        face_coordinates(points, (SIZE, SIZE)),
    )
    out = with_its_hair(frame, exemplar, cheeks, np.ones((SIZE, SIZE)), points, across)
    assert np.abs(lightness(out) - lightness(frame))[fringe].mean() < 2


def test_shade_in_hair_that_comes_back_is_as_light_as_the_hair():
    """Under a fringe a render's hair is black, which no light of the frame's explains."""
    exemplar, frame, fringe = with_a_fringe(110)
    picture = exemplar.picture.copy()
    dark = fringe & (np.arange(SIZE) < 0.5 * SIZE)
    picture[dark] = 12
    out = settled(frame, dataclasses.replace(exemplar, picture=picture), NOTHING, FACE)
    inside = ndimage.binary_erosion(dark, iterations=2)
    lit = lightness(out)[fringe & ~ndimage.binary_dilation(dark, iterations=4)].mean()
    assert abs(lightness(out)[inside].mean() - lit) < 12


def with_a_head(beside: bool) -> tuple[Exemplar, np.ndarray, np.ndarray]:
    """(exemplar of a face with hair on its head, and beside it or not, before a blue studio; its frame, a little lighter;
    where hair ends)."""
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    face = np.hypot((x - 0.5) / 0.19, (y - 0.55) / 0.26) < 1
    hair = np.hypot((x - 0.5) / 0.22, (y - 0.42) / 0.2) < 1
    hair |= beside & (np.abs(x - 0.5) < 0.35) & (y > 0.3) & (y < 0.8)
    hair &= ~face
    picture = np.empty((SIZE, SIZE, 3), np.uint8)
    picture[:], picture[face], picture[hair] = [70, 110, 140], [205, 160, 140], [70, 55, 45]
    exemplar = Exemplar(picture, face.astype(np.uint8) * 255)
    return (
        exemplar,
        frame_of(exemplar) + np.float32(0.02),
        ndimage.distance_transform_edt(~(hair | face)),
    )


@pytest.mark.parametrize("long", [False, True])
def test_beyond_a_head_and_its_hair_lies_the_backdrop(long):
    """A cap of hair through which the studio shows goes, as far as kept is not near it; shoulders stay."""
    exemplar, frame, away = with_a_head(long)
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    cap = (away > 0.04 * SIZE) & (away < 0.09 * SIZE) & (y < 0.4)
    shoulder = (y > 0.9) & (np.abs(x - 0.5) > 0.35)
    given = frame.copy()
    given[cap | shoulder] -= np.array([0.05, 0.3, 0.5], np.float32)
    out, kept = (settled(given, exemplar, k, FACE) for k in (NOTHING, cap.astype(np.float32)))
    left = np.abs(lightness(out) - lightness(frame))[cap].mean()
    assert np.abs(lightness(given) - lightness(frame))[cap].mean() > 8
    assert left < 5
    for same, where in ((out, shoulder), (kept, cap)):
        assert np.abs(lightness(same) - lightness(given))[where].mean() < 2


@pytest.mark.parametrize("pale", [False, True])
def test_lines_along_a_head_go_and_what_is_no_backdrop_stays(pale):
    """A refiner's rings are of the backdrop's colour, nearly; a collar is not."""
    exemplar, frame, away = with_a_head(False)
    y, _ = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    ring = (away > 4) & (y > 0.88) if pale else (np.abs(away - 0.014 * SIZE) < 1) & (y < 0.6)
    given = frame.copy()
    given[ring] += np.float32(0.8 if pale else 0.1)
    out = settled(given, exemplar, NOTHING, FACE)
    was, now = (np.abs(f - frame)[ring].mean() for f in (given, out))
    assert now > 0.7 * was if pale else now < 0.5 * was


def test_specks_where_hair_ends_are_no_hair():
    exemplar, frame, away = with_a_head(False)
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    rng = np.random.default_rng(3)
    specks = (np.abs(away - 2) < 1) & (y < 0.35) & (rng.random((SIZE, SIZE)) < 0.2)
    given = frame.copy()
    given[specks] = -0.9
    out = settled(given, exemplar, NOTHING, FACE)
    was, now = (np.abs(lightness(f) - lightness(frame))[specks].mean() for f in (given, out))
    assert was > 30 and now < 0.5 * was
