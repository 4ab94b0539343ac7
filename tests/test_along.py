"""Averages along strokes: they go as the strokes do, keep what lies along and lose what lies across."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxderm.release import along
from jaxderm.release.smoothing import blurred

SIZE, LENGTH = 64, 8
Y, X = np.mgrid[:SIZE, :SIZE].astype(np.float32)
INSIDE = (np.abs(X - SIZE / 2) < SIZE / 2 - 16) & (np.abs(Y - SIZE / 2) < SIZE / 2 - 16)


def stripes(degrees: float) -> np.ndarray:
    """Light [S,S] of stripes that run so, down from the right."""
    turn = np.radians(degrees)
    return np.sin((Y * np.cos(turn) - X * np.sin(turn)) / 2).astype(np.float32)


def paths_of(light: np.ndarray) -> list:
    tensors = blurred(along.tensor(light), 3.0)
    return along.paths(np.ones((SIZE, SIZE)), along.directions(tensors), LENGTH)


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 180))
def test_directions_are_those_of_the_stripes(degrees):
    tensors = blurred(along.tensor(stripes(degrees)), 3.0)
    down, right = np.moveaxis(along.directions(tensors)[INSIDE[::2, ::2]], -1, 0)
    turn = np.radians(degrees)
    assert np.abs(down * np.sin(turn) + right * np.cos(turn)).min() > 0.99
    assert along.agreement(tensors)[INSIDE[::2, ::2]].min() > 0.9


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 180), st.integers(0, 99))
def test_stripes_stay_and_specks_on_them_go(degrees, seed):
    light = stripes(degrees)
    specks = np.random.default_rng(seed).normal(0, 0.3, light.shape).astype(np.float32)
    both = paths_of(light)
    mean = lambda v: along.means(v[..., None], np.ones_like(light), both)[..., 0]  # noqa: E731
    assert np.abs(mean(light) - light)[INSIDE].mean() < 0.2
    assert mean(specks)[INSIDE].std() < 0.45 * specks[INSIDE].std()


@settings(max_examples=15, deadline=None)
@given(st.floats(-1, 1), st.integers(0, 99))
def test_what_is_of_one_value_keeps_it_by_any_weights(value, seed):
    weights = np.random.default_rng(seed).uniform(0.01, 1, (SIZE, SIZE)).astype(np.float32)
    values = np.full((SIZE, SIZE, 3), value, np.float32)
    np.testing.assert_allclose(
        along.means(values, weights, paths_of(stripes(30))), values, atol=1e-5
    )


@pytest.mark.parametrize("length", [1, 5])
def test_beyond_the_pixels_that_have_a_path_all_stays(length):
    where = INSIDE.astype(np.float32)
    values = np.random.default_rng(0).normal(0, 1, (SIZE, SIZE, 2)).astype(np.float32)
    ways = along.directions(along.tensor(stripes(60)))
    both = along.paths(where, ways, length)
    assert [len(side) for side in both] == [length + 1] * 2
    out = along.means(values, np.ones_like(where), both)
    np.testing.assert_array_equal(out[~INSIDE], values[~INSIDE])
    assert (out[INSIDE] != values[INSIDE]).any()


def test_paths_end_at_the_border_and_do_not_come_back():
    both = along.paths(np.ones((SIZE, SIZE)), along.directions(along.tensor(stripes(0))), LENGTH)
    forth, back = (np.stack(side) for side in both)
    row = SIZE // 2 * SIZE
    assert set(np.ptp(np.stack([forth, back])[..., row : row + SIZE] // SIZE, axis=1).ravel()) == {
        0
    }
    columns = {tuple(side[:, row + SIZE // 2] % SIZE) for side in (forth, back)}
    middle = SIZE // 2
    assert columns == {
        tuple(range(middle, middle + LENGTH + 1)),
        tuple(range(middle, middle - LENGTH - 1, -1)),
    }
