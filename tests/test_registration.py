"""Registration of planes at one grid: a known flow is found, whatever light, size and what does not count."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxderm.models import registration
from jaxderm.models.appearance import nodes
from jaxderm.models.registration import FARTHEST, Level, flow_to, moved, of_one_contrast
from jaxderm.train.registered import LEVELS

SHAPE = nodes()[0].shape
EVERYWHERE = np.ones(SHAPE, np.float32)
STILL = np.zeros((2, *SHAPE), np.float32)
INSIDE = np.s_[25:-25, 25:-25]
register = jax.jit(lambda *given: flow_to(*given, LEVELS))
contrast = jax.jit(of_one_contrast)


def texture(seed: int) -> np.ndarray:
    """Blots of some nodes: a picture with something everywhere."""
    noise = np.random.default_rng(seed).standard_normal(SHAPE)
    plane = ndimage.gaussian_filter(noise, 3) + ndimage.gaussian_filter(noise, 8) * 2
    return (0.2 * plane / plane.std()).astype(np.float32)


def some_flow(seed: int, amount: float) -> np.ndarray:
    noise = np.random.default_rng([seed, 1]).standard_normal((2, *SHAPE))
    flow = ndimage.gaussian_filter(noise, (0, 20, 20))
    return (amount * flow / np.abs(flow).max()).astype(np.float32)


def pair(seed: int, amount: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(template, plane, the flow from one to the other), of one contrast."""
    plane, flow = texture(seed), some_flow(seed, amount)
    template = moved(plane[None], flow)[0]
    return *(np.asarray(contrast(p, EVERYWHERE)) for p in (template, plane)), flow


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.5, 4.0))
def test_a_smooth_flow_is_found(seed, amount):
    template, plane, flow = pair(seed, amount)
    found = np.asarray(register(template, plane, EVERYWHERE, STILL))
    away = np.hypot(*(found - flow))[INSIDE]
    assert np.median(away) < 0.3 and np.percentile(away, 95) < 0.3 + 0.25 * amount
    assert np.hypot(*found).max() <= FARTHEST * 1.001


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.5, 2.0), st.floats(-1, 1))
def test_light_and_contrast_of_a_plane_do_not_count(seed, gain, offset):
    plane = texture(seed)
    one, other = (contrast(p, EVERYWHERE) for p in (plane, gain * plane + offset))
    np.testing.assert_allclose(one, other, atol=0.5)
    assert np.corrcoef(np.ravel(one), np.ravel(other))[0, 1] > 0.99


def test_a_plane_is_registered_to_itself_without_a_step():
    plane = np.asarray(contrast(texture(0), EVERYWHERE))
    assert np.abs(register(plane, plane, EVERYWHERE, STILL)).max() < 1e-3


@pytest.mark.parametrize("counts", [True, False])
def test_what_has_no_weight_pulls_nothing(counts):
    """A blot that one of both lacks, as a lesion is."""
    template, plane, flow = pair(3, 2.0)
    plane, weight = plane.copy(), EVERYWHERE.copy()
    plane[60:80, 40:60] = 2.5
    if not counts:
        weight[58:82, 38:62] = 0
    found = np.asarray(register(template, plane, weight, STILL))
    away = np.hypot(*(found - flow))[52:88, 32:68]
    assert (np.median(away) > 0.8) == counts
    # Beyond a place that does not count the flow is its surroundings'.
    assert counts or np.median(away) < 0.5


def test_of_one_contrast_leaves_out_what_has_no_weight():
    plane, weight = texture(1), EVERYWHERE.copy()
    weight[:, :50] = 0
    other = plane.copy()
    other[:, :50] = 7.0
    one, other = (np.asarray(contrast(p, weight)) for p in (plane, other))
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert not one[:, :50].any()


def test_many_pairs_are_registered_as_each_alone():
    pairs = [pair(seed, 2.0) for seed in range(3)]
    templates, planes, _ = (np.stack(column) for column in zip(*pairs))
    together = jax.jit(jax.vmap(register, (0, 0, None, None)))(templates, planes, EVERYWHERE, STILL)
    for k, (template, plane, _) in enumerate(pairs):
        alone = register(template, plane, EVERYWHERE, STILL)
        np.testing.assert_allclose(together[k], alone, atol=1e-3)


def test_a_flow_that_is_begun_goes_on_from_there():
    """A step to the side too wide to be found from nothing."""
    plane = np.asarray(contrast(texture(5), EVERYWHERE))
    template = np.roll(plane, -8, axis=1)
    levels = (Level(3.5, 1.8, 0.5),)
    begun = STILL.copy()
    begun[1] = 7.0
    near, far = (
        np.asarray(flow_to(template, plane, EVERYWHERE, flow, levels)) for flow in (begun, STILL)
    )
    assert np.abs(near[1][INSIDE] - 8).mean() < 0.3
    assert np.abs(far[1][INSIDE] - 8).mean() > 5 * np.abs(near[1][INSIDE] - 8).mean()


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_averaged_over_a_window(seed):
    """As strong as both planes are, it leaves the flow less than a node off."""
    template, plane, flow = pair(seed, 2.0)
    rng = np.random.default_rng(seed)
    noisy = [p + rng.standard_normal(SHAPE).astype(np.float32) for p in (template, plane)]
    found = np.asarray(register(*noisy, EVERYWHERE, STILL))
    assert np.median(np.hypot(*(found - flow))[INSIDE]) < 0.85


def test_no_place_goes_farther_than_the_farthest():
    plane = np.asarray(contrast(texture(5), EVERYWHERE))
    begun = STILL.copy()
    begun[1] = 14.0
    template = np.roll(plane, -14, axis=1)
    found = np.asarray(register(template, plane, EVERYWHERE, begun))
    assert np.hypot(*found).max() <= FARTHEST * 1.001


def test_averages_keep_what_is_even():
    even = np.full((2, *SHAPE), 3.0, np.float32)
    np.testing.assert_allclose(registration.smoothed(even, 5.0), 3.0, rtol=1e-5)
