"""What settling is made of: ramps, averages and halves keep float32, and say what they are asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refined import FACE, NOTHING, SIZE, frame_of, person

from jaxderm.attributes import Sex
from jaxderm.face import face_coordinates, mouth_coordinates
from jaxderm.release.pyramid import doubled, halved
from jaxderm.release.settle import settled
from jaxderm.release.smoothing import ramp, smooth, squares


@given(st.floats(-9, 9), st.floats(-9, 9), st.floats(-9, 9))
def test_ramps_go_from_0_to_1_and_leave_float32_as_it_is(x, zero, one):
    if abs(one - zero) < 1e-3:
        return
    share = ramp(x, zero, one)
    assert type(share) is float and 0 <= share <= 1
    assert (ramp(zero, zero, one), ramp(one, zero, one)) == (0, 1)
    values = np.full(3, x, np.float32)
    assert (ramp(values, zero, one) * share).dtype == np.float32


@settings(max_examples=20)
@given(st.integers(1, 9), st.sampled_from([(), (3,)]), st.integers(0, 99))
def test_a_half_has_means_of_four(half, channels, seed):
    picture = np.random.default_rng(seed).normal(size=(2 * half, 2 * half, *channels))
    picture = picture.astype(np.float32)
    out = halved(picture)
    wanted = picture.reshape(half, 2, half, 2, *channels).mean((1, 3))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, wanted, atol=1e-6)
    assert doubled(out).shape == picture.shape


@settings(max_examples=20)
@given(st.integers(0, 99))
def test_averages_of_one_value_are_it_and_lengths_are_theirs(seed):
    weights = np.random.default_rng(seed).uniform(0.1, 1, (24, 24)).astype(np.float32)
    values = np.full((24, 24, 3), 0.4, np.float32)
    mean, density = smooth(values, weights, 2.0)
    np.testing.assert_allclose(mean, values, atol=1e-5)
    assert mean.dtype == density.dtype == np.float32
    np.testing.assert_allclose(squares(values), 0.48, rtol=1e-5)


@pytest.mark.parametrize("coordinates", [face_coordinates, lambda *a: mouth_coordinates(*a)[0]])
def test_places_in_a_face_are_float32(coordinates):
    """Float64 among them made every average of settling twice as slow."""
    assert {c.dtype for c in coordinates(FACE * SIZE, (SIZE, SIZE))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("age, sex", [(20.0, Sex.FEMALE), (60.0, Sex.MALE), (None, Sex.MALE)])
def test_a_settled_frame_is_float32(age, sex):
    exemplar = person()
    out = settled(frame_of(exemplar), exemplar, NOTHING, FACE, age, age is not None, sex)
    assert out.dtype == np.float32
