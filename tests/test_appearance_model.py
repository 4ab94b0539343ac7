"""Appearance of faces: people between the ages, planes at nodes and back in a frame, what ships."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refined import FACE
from scipy import ndimage

from jaxderm.attributes import Sex
from jaxderm.face import face_coordinates
from jaxderm.models import appearance as model
from jaxderm.models.appearance import (
    AGES,
    FINER,
    SEXES,
    SPARSE,
    at_nodes,
    begun,
    in_frame,
    nodes,
    of_person,
    one_half,
    with_other_side,
)
from jaxderm.models.texture import DIRECTIONS, WAVELENGTHS
from jaxderm.release import appearance

SIZE = 256
SHIPPED = appearance.appearance()


@settings(max_examples=40, deadline=None)
@given(st.floats(10, 95), st.sampled_from(SEXES))
def test_people_are_mixed_between_ages(age, sex):
    """On the way between two, on the same line a little beyond the first and the last."""
    rng = np.random.default_rng(0)
    halves = rng.normal(size=(2, len(AGES), 3, 4, 5))
    some = SHIPPED._replace(people=halves)
    people = with_other_side(halves)
    np.testing.assert_array_equal(people, people[..., ::-1])
    np.testing.assert_array_equal(one_half(people), halves)
    own = people[SEXES.index(sex)]
    at = np.clip(age, model.YOUNGEST, model.OLDEST)
    k = int(at >= AGES[1])
    slope = (own[k + 1] - own[k]) / (AGES[k + 1] - AGES[k])
    np.testing.assert_allclose(
        of_person(some, sex, age), own[k] + (at - AGES[k]) * slope, atol=1e-5
    )
    unknown = of_person(some, Sex.UNSPECIFIED, None)
    np.testing.assert_allclose(unknown, people[:, 1].mean(0), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(0.8, 1.3), st.floats(-4, 4), st.floats(-4, 4))
def test_a_plane_comes_back_from_the_nodes(turn, scale, rows, columns):
    """What is seen at the nodes along a flow lies in a frame where it was, of a face of any size and direction."""
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = ((FACE - 0.5) * scale * 0.7 @ turned + 0.5) * SIZE
    across, down = face_coordinates(points, (SIZE, SIZE))
    plane = np.sin(2 * across) * np.cos(1.5 * down)
    marks = SHIPPED.marks.astype(float)
    own = marks.copy()
    own[2] += [rows, columns]
    flow = begun(own, marks)
    seen, _ = at_nodes(plane[..., None], points)
    there = model.sampled(seen, np.indices(flow.shape[1:]) + flow)
    finer = ndimage.zoom(there, (1, *((FINER * (n - 1) + 1) / n for n in there.shape[1:])), order=1)
    back, again = np.moveaxis(in_frame([there, finer], flow, points, SIZE), -1, 0)
    inside = (np.abs(across) < 1.0) & (down > -0.9) & (down < 1.4)
    assert np.abs(back - plane)[inside].max() < 0.06
    np.testing.assert_allclose(again[inside], back[inside], atol=1e-3)


def test_a_flow_is_begun_by_marks_and_stays_where_they_are_unknown():
    marks = SHIPPED.marks.astype(float)
    own = marks + [2.0, -1.0]
    own[2] = np.nan
    flow = begun(own, marks)
    for k, (row, column) in enumerate(np.round(marks).astype(int)):
        if k != 2:
            assert flow[0, row, column] == pytest.approx(2, abs=0.7)
            assert flow[1, row, column] == pytest.approx(-1, abs=0.4)
    assert np.abs(flow[:, -1]).max() < 0.2
    assert not begun(np.full((7, 2), np.nan), marks).any()


def test_middles_of_brows():
    brows = np.zeros((60, 80))
    brows[20:24, 10:20], brows[28:32, 55:65] = 1, 0.8
    across = np.broadcast_to(np.arange(80) - 39.5, brows.shape)
    np.testing.assert_allclose(model.middles(brows, across), [[14.5, 21.5], [59.5, 29.5]])
    brows[28:32] = 0
    assert np.isnan(model.middles(brows, across)[1]).all()


def test_what_is_beyond_a_picture_is_not_inside():
    points = FACE * SIZE - [0.45 * SIZE, 0]
    _, inside = at_nodes(np.zeros((SIZE, SIZE, 1)), points)
    across, _ = nodes()
    assert not inside[across < -0.9].any() and inside[across > 0.2].any()


def test_the_shipped_appearance_is_of_the_nodes_and_no_noise():
    shape, finer = nodes()[0].shape, nodes(FINER)[0].shape
    people, darker = with_other_side(SHIPPED.people), with_other_side(SHIPPED.darker)
    assert people.shape == (2, len(AGES), 3, *finer) and darker.shape == (3, *finer)
    assert model.on_both_sides(SHIPPED.eyes).shape[1:] == (3, *finer)
    assert SHIPPED.textures.shape[:4] == (2, len(AGES), len(WAVELENGTHS), DIRECTIONS)
    assert 0 <= SHIPPED.textures.min() and SHIPPED.textures.max() <= 0.03
    cheek = SHIPPED.textures[..., 20, 6].mean((2, 3))
    assert cheek[1, 2] > cheek[1, 0] + 1e-3  # of the old men it is stronger
    sparse = tuple((n + 1) // SPARSE for n in shape)
    assert SHIPPED.skin.shape == SHIPPED.template.shape == shape
    assert SHIPPED.modes.shape[1:] == sparse
    assert SHIPPED.shapes.shape[1:] == SHIPPED.wider.shape == (2, *sparse)
    for plane in (*SHIPPED.modes, *darker, *people.reshape(-1, *finer)):
        assert np.isfinite(plane).all() and np.abs(plane).max() < 2.5
        # A node and the next differ by little: no noise, no scrambled order.
        for axis in (0, 1):
            assert np.abs(np.diff(plane, axis=axis)).mean() < 0.05
    assert SHIPPED.skin.min() >= 0 and SHIPPED.skin.max() <= 1
    assert not SHIPPED.skin[[0, -1]].any() and not SHIPPED.skin[:, [0, -1]].any()
    # The first mode is light from a side; the middle of two eyes is where marks say.
    first = SHIPPED.modes[0]
    assert np.corrcoef(first.ravel(), -first[:, ::-1].ravel())[0, 1] > 0.9
    across, down = nodes()
    for row, column in SHIPPED.marks[:2]:
        eye = np.hypot(down - down[round(row), 0], across - across[0, round(column)]) < 0.08
        around_eye = np.hypot(down - 0.3, across - across[0, round(column)]) < 0.08
        assert SHIPPED.template[eye].mean() < SHIPPED.template[around_eye].mean() - 1
