"""Proportions: a stranger's features moved by the seed, where a case has landmarks they stay."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import bank_arrays

from jaxderm.attributes import Attributes, BodySite, Field, Sex, Source
from jaxderm.data.exemplars import DRAWS, Bank
from jaxderm.data.proportions import (
    MET,
    MOUTH,
    NOSE,
    NOSE_MET,
    NOSE_SPARE,
    NUMBERS,
    PROPORTIONS,
    UNTOLD,
    away_from,
    moved,
    nose_met,
    nose_shown,
    ordinary,
    proportions,
)
from jaxderm.face import face_coordinates
from jaxderm.train.grids import FRONTAL

FACE = Attributes(Sex.FEMALE, 40.0, 20.0, BodySite.FACE, field=Field.WHOLE_SITE)
PHOTO = dataclasses.replace(FACE, source=Source.PHOTO)
POINTS = FRONTAL.astype(float)
HEIGHT = np.linalg.norm(POINTS[3:].mean(0) - POINTS[:2].mean(0))
SIZE = 128
numbers = st.lists(st.floats(0.001, 0.999), min_size=NUMBERS, max_size=NUMBERS).map(np.array)
extremes = st.lists(st.sampled_from([0.001, 0.999]), min_size=NUMBERS, max_size=NUMBERS).map(
    np.array
)
sexes = st.sampled_from(list(Sex))


def at(displacement: np.ndarray, point: np.ndarray) -> np.ndarray:
    x, y = np.clip((point * len(displacement)).astype(int), 0, len(displacement) - 1)
    return displacement[y, x]


@settings(max_examples=40, deadline=None)
@given(st.one_of(numbers, extremes), sexes)
def test_eyes_and_mouth_corners_stay(some, sex):
    by = proportions(some, dataclasses.replace(PHOTO, sex=sex))
    displacement = moved(by, POINTS, SIZE)
    assert np.abs(displacement).max() > 0
    for point in POINTS[[0, 1, 3, 4]]:
        assert np.linalg.norm(at(displacement, point)) < 0.04 * HEIGHT
    # Nor does anything far from the face go anywhere.
    assert np.abs(displacement[:2, :2]).max() < 0.02


@pytest.mark.parametrize("sex", Sex)
def test_nothing_is_folded_over(sex):
    """Not with all of them at one end or the other of what they may be."""
    places = (np.arange(SIZE) + 0.5) / SIZE
    still, facts = np.stack(np.meshgrid(places, places), -1), dataclasses.replace(PHOTO, sex=sex)
    for ends in itertools.product((0.0, 1.0), repeat=NUMBERS):
        by = proportions(np.array(ends), facts)
        # A nose that ends elsewhere has no length of its own.
        met = by | {"nose_length": 0.0, MET: NOSE_MET[int(by["nose_length"] > 0)]}
        for one in (by, met):
            grid = still + moved(one, POINTS, SIZE)
            # Of x and y along y and along x.
            (down_x, across_x), (down_y, across_y) = (
                np.gradient(grid[..., k] * SIZE) for k in (0, 1)
            )
            assert (across_x * down_y - down_x * across_y).min() > 0.01, ends


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points - 0.5) @ rotation.T + 0.5


@settings(max_examples=10, deadline=None)
@given(numbers)
def test_a_head_upside_down_has_the_same_proportions(some):
    by = proportions(some, PHOTO)
    upright, over = (moved(by, turned(POINTS, d), SIZE) for d in (0, 180))
    np.testing.assert_allclose(over, -upright[::-1, ::-1], atol=1e-4)


@pytest.mark.parametrize("name", PROPORTIONS)
def test_each_moves_what_it_is_called_after(name):
    """A feature is larger, higher or longer in the picture, so comes from nearer to its middle."""
    flat = dict.fromkeys(PROPORTIONS, 0.0)
    displacement = moved({**flat, name: PROPORTIONS[name].most}, POINTS, SIZE)
    across, down = face_coordinates(POINTS * SIZE, (SIZE, SIZE))
    # Off the middle of those that grow or turn about it.
    beside = {"brow_tilt": (0.4, 0), "eye_size": (0.17, 0), "eye_opening": (0, -0.12)}
    beside |= {"eye_tilt": (0.17, 0), "lip_height": (0, 0.12)}
    axis = {"jaw_width": 0, "nose_width": 0, "eye_size": 0}.get(name, 1)
    # Wider, larger: from nearer to the middle; brows up: from below; nose and chin down: from above.
    sign = {"brow_height": 1, "brow_tilt": 1, "eye_opening": 1, "eye_tilt": 1}.get(name, -1)
    u, v = np.add(PROPORTIONS[name].at, beside.get(name, 0))
    pixel = np.unravel_index(np.argmin(np.hypot(across - u, down - v)), across.shape)
    assert sign * displacement[pixel][axis] > 0.008 * HEIGHT
    others = np.abs(displacement).max(-1) > 0.3 * np.abs(displacement).max()
    assert others.mean() < 0.5


def test_only_faces_have_them_and_only_the_photographed_a_middle_of_their_own():
    some = np.full(NUMBERS, 0.5)
    assert proportions(some, dataclasses.replace(FACE, site=BodySite.ARM)) is None
    for facts in (
        FACE,  # stays as rendered
        dataclasses.replace(PHOTO, age=6.0),
        dataclasses.replace(FACE, sex=Sex.MALE),
        dataclasses.replace(PHOTO, age=6.0, sex=Sex.MALE),
        dataclasses.replace(PHOTO, sex=Sex.UNSPECIFIED),
    ):
        assert not any(proportions(some, facts).values())
    women, men = (
        proportions(some, dataclasses.replace(PHOTO, sex=s)) for s in (Sex.FEMALE, Sex.MALE)
    )
    assert any(women.values()) and any(men.values()) and women != men
    # A reader takes men with large eyes and high brows for women.
    for name in ("eye_size", "eye_opening", "brow_height"):
        assert men[name] < 0
    # Rendered men have jaws as wide as their heads, and women lips as high as a nose is wide.
    assert men["jaw_width"] < -0.05 and women["lip_height"] < -0.1
    with pytest.raises(ValueError):
        proportions(some[:-1], FACE)


@pytest.mark.parametrize(
    "at, name",
    [(2, "nose_length"), (2, "nose_width"), (0, "eye_size"), (1, "eye_tilt"), (0, "brow_height")],
)
def test_a_feature_at_the_kept_stays(at, name):
    by = {**dict.fromkeys(PROPORTIONS, 0.1)}
    v, u = (np.mgrid[:64, :64] + 0.5) / 64
    point = POINTS[at] - ([0, 0.36 * HEIGHT] if name == "brow_height" else 0)
    kept = (np.hypot(u - point[0], v - point[1]) < 0.04).astype(np.float32)
    held = away_from(kept, by, POINTS)
    assert held[name] == 0
    assert held["chin_length"] == held["jaw_width"] == 0.1
    assert away_from(np.zeros((64, 64)), by, POINTS) == by


def test_lips_are_free_nearer_to_the_kept_than_brows_are():
    """A lesion on a cheek leaves a mouth of the patient's own only where it is beside the mouth."""
    by, corner = dict.fromkeys([*PROPORTIONS, MOUTH], 0.1), POINTS[4]
    v, u = (np.mgrid[:64, :64] + 0.5) / 64
    held = {}
    for far in (0.05, 0.4):
        kept = np.hypot(u - corner[0] - far * HEIGHT - 0.03, v - corner[1]) < 0.03
        held[far] = away_from(kept.astype(np.float32), by, POINTS)
    assert held[0.05][MOUTH] < 0.02 and held[0.4][MOUTH] == 0.1
    above = POINTS[0] - [0, 0.36 * HEIGHT + 0.4 * HEIGHT + 0.03]
    kept = (np.hypot(u - above[0], v - above[1]) < 0.03).astype(np.float32)
    assert 0 < away_from(kept, by, POINTS)["brow_height"] < 0.1


def test_unknown_landmarks_move_nothing():
    points = POINTS.copy()
    points[3] = np.nan
    assert not moved(proportions(np.full(NUMBERS, 0.9), PHOTO), points, SIZE).any()


def test_a_face_is_drawn_by_its_own_and_a_patient_keeps_them():
    bank = Bank(bank_arrays())
    mask = np.zeros((64, 64), np.float32)
    mask[38:42, 38:42] = 1
    draws = np.random.default_rng(3).uniform(1e-9, 1, DRAWS)
    choice = bank.choose(PHOTO, POINTS, mask, draws)
    still = bank.draw(dataclasses.replace(choice, features=None), PHOTO, POINTS, 64).picture
    own = bank.draw(choice, PHOTO, POINTS, 64).picture
    assert (own != still).any()
    # Another frame of the same patient.
    elsewhere = bank.choose(PHOTO, 0.9 * POINTS + 0.05, 0 * mask, draws, steady=True)
    here = bank.choose(PHOTO, POINTS, 0 * mask, draws, steady=True)
    # How far a nose is moved to end where it shall depends on where the picture lies.
    assert elsewhere.features | {MET: 0} == here.features | {MET: 0}
    other = np.random.default_rng(4).uniform(1e-9, 1, DRAWS)
    assert bank.choose(PHOTO, POINTS, mask, other).features != choice.features
    arm = dataclasses.replace(PHOTO, site=BodySite.ARM)
    assert bank.choose(arm, np.full((5, 2), np.nan), mask, draws).features is None


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.1, 0.2), st.floats(-60, 60))
def test_a_nose_ends_where_the_patients_does_if_some_of_it_is_kept(longer, degrees):
    upright = POINTS + [0, -0.03]
    upright[2] = upright[:2].mean(0) + 0.45 * (upright[3:].mean(0) - upright[:2].mean(0))
    points = turned(upright, degrees)
    axis = points[3:].mean(0) - points[:2].mean(0)
    tip = points[2] + longer * axis
    kept = np.zeros((SIZE, SIZE), np.float32)
    x, y = (points[2] * SIZE).astype(int)
    still = dict.fromkeys(PROPORTIONS, 0.0)
    assert nose_met(still, kept, points, tip, FACE)[MET] == 0
    kept[y - 2 : y + 3, x - 2 : x + 3] = 1
    by = nose_met(still, kept, points, tip, FACE)
    assert by == nose_met(still, kept, points, tip, PHOTO)
    np.testing.assert_allclose(nose_shown(by, tip, points), points[2], atol=1e-6)
    displacement = moved(by, points, SIZE)
    assert np.linalg.norm(points[2] + at(displacement, points[2]) - tip) < 0.02 * HEIGHT
    # Eyes and mouth do not go along.
    for point in (*points[:2], *points[3:], points[3:].mean(0)):
        assert np.linalg.norm(at(displacement, point)) < 0.02 * HEIGHT


def test_of_an_unknown_nose_nothing_is_met():
    kept, points = np.ones((64, 64), np.float32), POINTS.copy()
    still = dict.fromkeys(PROPORTIONS, 0.0)
    assert nose_met(still, kept, points, np.full(2, np.nan), PHOTO)[MET] == 0
    unknown = points.copy()
    unknown[2] = np.nan
    assert nose_met(still, kept, unknown, POINTS[2], PHOTO)[MET] == 0
    # Away from the kept it ends where portraits' do, wherever the patient's may be.
    by = nose_met(still, 0 * kept, unknown, POINTS[2], PHOTO)
    assert by == nose_met(still, 0 * kept, points, POINTS[2], PHOTO) and by[MET] != 0


@settings(max_examples=25, deadline=None)
@given(st.floats(0.4, 0.75), st.floats(-60, 60), numbers)
def test_a_photographed_nose_is_about_as_long_as_portraits_are_whatever_the_exemplars(
    down, degrees, some
):
    points = turned(POINTS, degrees)
    eyes = points[:2].mean(0)
    axis = points[3:].mean(0) - eyes
    tip, kept = eyes + down * axis, np.zeros((SIZE, SIZE), np.float32)
    drawn = proportions(some, PHOTO)
    by = nose_met(drawn, kept, points, tip, PHOTO)
    shown = (nose_shown(by, tip, points) - eyes) @ axis / (axis @ axis)
    wanted = NOSE + NOSE_SPARE * drawn["nose_length"] / PROPORTIONS["nose_length"].most
    # At least a third of the way (what lies lower shares less of the move), or as far as nothing folds.
    assert abs(shown - wanted) < max(0.7 * abs(down - wanted), abs(down - wanted) - 0.09) + 1e-3
    # The exemplar's tip is what is shown there.
    place = nose_shown(by, tip, points)
    assert np.linalg.norm(place + at(moved(by, points, SIZE), place) - tip) < 0.04 * HEIGHT
    # A render's and a child's keep their own.
    for facts in (FACE, dataclasses.replace(PHOTO, age=9.0)):
        assert nose_met(drawn, kept, points, tip, facts) == drawn | {MET: 0.0}


NOTHING_KEPT = np.zeros((64, 64), np.float32)


def long_face(times: float, degrees: float = 0.0, nose: float = 0.0) -> np.ndarray:
    """Landmarks whose distance from the eyes to the mouth is that times what it is in FRONTAL."""
    points = POINTS.copy()
    eyes = points[:2].mean(0)
    points[2:, 1] = eyes[1] + times * (points[2:, 1] - eyes[1])
    points[2, 0] += nose
    return turned(points, degrees)


def length_of(points: np.ndarray) -> float:
    apart = np.linalg.norm(points[3:].mean(0) - points[:2].mean(0))
    return apart / np.linalg.norm(points[1] - points[0])


def width_of(points: np.ndarray) -> float:
    return np.linalg.norm(points[4] - points[3]) / np.linalg.norm(points[1] - points[0])


def wide_mouth(times: float, points: np.ndarray) -> np.ndarray:
    """A face with a mouth of that times its width."""
    points = points.copy()
    points[3:] = points[3:].mean(0) + times * (points[3:] - points[3:].mean(0))
    return points


MEASURES = {
    length_of: lambda times: long_face(times),
    width_of: lambda times: wide_mouth(times, POINTS),
}
OF = {length_of: UNTOLD[0], width_of: UNTOLD[1]}


def share_of_ordinary(times: float, measure=length_of) -> np.ndarray:
    """A face of that times the length that is ordinary for the facts, or with such a mouth."""
    at_ease = measure(ordinary(POINTS, FACE, NOTHING_KEPT))
    return MEASURES[measure](times * at_ease / measure(POINTS))


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.99, 0.99), st.floats(-0.99, 0.99), st.floats(-60, 60))
def test_ordinary_lengths_and_widths_are_not_told_apart(longer, wider, degrees):
    at_ease = ordinary(POINTS, FACE, NOTHING_KEPT)
    times = [
        np.exp(share * OF[of]) * of(at_ease) / of(POINTS)
        for of, share in ((length_of, longer), (width_of, wider))
    ]
    face = turned(wide_mouth(times[1], long_face(times[0])), degrees)
    shown = ordinary(face, FACE, NOTHING_KEPT)
    for of in MEASURES:
        assert of(shown) == pytest.approx(of(at_ease), 1e-6)
    # Where it lies, how large and how tilted it is, is as it was.
    np.testing.assert_array_equal(shown[:2], face[:2])
    tilt = [np.arctan2(*(points[4] - points[3])) for points in (face, shown)]
    assert tilt[0] == pytest.approx(tilt[1], abs=1e-9)


@pytest.mark.parametrize("of", [length_of, width_of])
@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 0.6), st.sampled_from([-1, 1]))
def test_what_a_turn_of_the_head_or_a_smile_makes_of_them_stays_beyond_that(of, beyond, sign):
    face = share_of_ordinary(np.exp(sign * (OF[of] + beyond)), of)
    shown = of(ordinary(face, FACE, NOTHING_KEPT)) / of(share_of_ordinary(1.0, of))
    assert np.log(shown) == pytest.approx(sign * beyond, abs=1e-6)


def test_a_head_turned_aside_and_a_mouth_at_what_is_kept_stay():
    aside, rest = wide_mouth(1.1, long_face(1.1, nose=0.09)), [0, 1, 3, 4]
    np.testing.assert_allclose(ordinary(aside, FACE, NOTHING_KEPT)[rest], aside[rest], atol=1e-9)
    face, kept = wide_mouth(1.1, long_face(1.1)), NOTHING_KEPT.copy()
    assert not np.allclose(ordinary(face, FACE, kept), face)
    x, y = (face[3] * 64).astype(int)
    kept[y - 2 : y + 3, x - 2 : x + 3] = 1
    np.testing.assert_allclose(ordinary(face, FACE, kept)[rest], face[rest], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.2, 0.9), st.floats(-0.3, 0.3), st.floats(0.9, 1.1), st.floats(-60, 60))
def test_the_tip_of_a_grown_nose_is_where_portraits_have_it(down, across, longer, degrees):
    face = long_face(longer)
    eyes, axis = face[:2].mean(0), face[3:].mean(0) - face[:2].mean(0)
    face[2] = eyes + down * axis + across * np.array([axis[1], -axis[0]])
    face = turned(face, degrees)

    def place(points: np.ndarray) -> np.ndarray:
        eyes, axis = points[:2].mean(0), points[3:].mean(0) - points[:2].mean(0)
        beside = np.array([axis[1], -axis[0]])
        return np.array([axis, beside]) @ (points[2] - eyes) / (axis @ axis)

    shown = ordinary(face, FACE, NOTHING_KEPT)
    assert place(shown)[0] == pytest.approx(NOSE, abs=1e-6)
    # A head that is turned stays so.
    times = length_of(shown) / length_of(face)
    assert place(shown)[1] * times == pytest.approx(across, abs=1e-6)
    child = ordinary(face, dataclasses.replace(FACE, age=6.0), NOTHING_KEPT)
    assert place(child)[0] == pytest.approx(down, abs=1e-6)


@pytest.mark.parametrize("of, share", [(length_of, 1.0), (width_of, 0.9)])
def test_children_have_shorter_faces_and_smaller_mouths_and_men_longer_and_wider_ones(of, share):
    found = [
        of(
            ordinary(
                share_of_ordinary(share, of), dataclasses.replace(FACE, age=a, sex=s), NOTHING_KEPT
            )
        )
        for a, s in ((3.0, Sex.MALE), (12.0, Sex.MALE), (40.0, Sex.FEMALE), (40.0, Sex.MALE))
    ]
    assert (np.diff(found) > 0.02).all()


def test_landmarks_that_are_no_face_stay():
    """Eyes on the mouth, both eyes or corners in one place: nothing is divided by their distance."""
    upon = POINTS.copy()
    upon[3:] = upon[:2]
    one, mouth = POINTS.copy(), POINTS.copy()
    one[1], mouth[4] = one[0], mouth[3]
    for points in (upon, one, mouth):
        np.testing.assert_array_equal(ordinary(points, FACE, NOTHING_KEPT), points)
    still = dict.fromkeys(PROPORTIONS, 0.0)
    met = nose_met(still, np.ones((64, 64), np.float32), upon, POINTS[2], PHOTO)
    assert met == still | {MET: 0.0}


@pytest.mark.parametrize("missing", [[0], [3], [0, 1, 2, 3, 4]])
def test_unknown_landmarks_and_other_sites_stay(missing):
    hand = dataclasses.replace(FACE, site=BodySite.HAND)
    np.testing.assert_array_equal(ordinary(POINTS, hand, NOTHING_KEPT), POINTS)
    some = long_face(1.1)
    some[missing] = np.nan
    np.testing.assert_array_equal(ordinary(some, FACE, NOTHING_KEPT), some)
