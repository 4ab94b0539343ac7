"""Texture of skin: noise of the strength, the scale and the direction that portraits have at each place, by sex and age."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxderm.models.appearance import FINER, nodes
from jaxderm.models.texture import (
    APART,
    DIRECTIONS,
    WAVELENGTHS,
    answers,
    bands,
    drawn,
    overlaps,
)
from jaxderm.train.texture import STRONGEST, strengths_of

ACROSS, DOWN = nodes(FINER)
FEW = ACROSS[::APART, ::APART].shape
COUNT = len(WAVELENGTHS), DIRECTIONS


def only(band: int, direction: int, strength: float = 1.0) -> np.ndarray:
    power = np.zeros((*COUNT, *FEW), np.float32)
    power[band, direction] = strength
    return power


@pytest.mark.parametrize("band", range(COUNT[0]))
@pytest.mark.parametrize("direction", range(COUNT[1]))
def test_noise_has_its_strength_its_scale_and_its_direction(band, direction):
    noise = drawn(only(band, direction, 0.02), np.random.default_rng(0))
    assert noise.shape == ACROSS.shape and noise.dtype == np.float32
    assert noise.std() == pytest.approx(0.02, rel=0.15)
    spectrum = np.abs(np.fft.fft2(noise)) ** 2
    down, across = np.meshgrid(*(np.fft.fftfreq(n) for n in noise.shape), indexing="ij")
    often = (spectrum * np.hypot(down, across)).sum() / spectrum.sum()
    assert often == pytest.approx(1 / WAVELENGTHS[band], rel=0.25)
    angle = np.angle((spectrum * np.exp(2j * np.arctan2(down, across))).sum()) / 2
    apart = (angle - direction * np.pi / DIRECTIONS + np.pi / 2) % np.pi - np.pi / 2
    assert abs(apart) < 0.1


def test_it_is_strong_only_where_it_is_and_one_seed_gives_one():
    power = only(0, 1, 0.02)
    power[..., : FEW[1] // 2] = 0
    noise = drawn(power, np.random.default_rng(4))
    middle = ACROSS.shape[1] // 2
    assert noise[:, : middle - APART].std() < 1e-6 and noise[:, middle + APART :].std() > 0.015
    np.testing.assert_array_equal(noise, drawn(power, np.random.default_rng(4)))
    assert not np.array_equal(noise, drawn(power, np.random.default_rng(5)))
    assert not drawn(0 * power, np.random.default_rng(4)).any()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, COUNT[0] - 1), st.integers(0, COUNT[1] - 1))
def test_what_bands_pass_of_each_other_is_known(seed, band, direction):
    """Without their means, which no band passes."""
    noise = drawn(only(band, direction), np.random.default_rng(seed))
    passed = answers(noise + 3)[..., 40:-40, 40:-40]
    row = overlaps()[band * DIRECTIONS + direction].reshape(COUNT)
    np.testing.assert_allclose((passed**2).mean((2, 3)), row, rtol=0.5, atol=0.06 * row.max())
    assert not bands()[..., 0, 0].any()


def faces(ages: np.ndarray, strength) -> np.ndarray:
    """Luma [N,h,w] whose texture, of one band and direction, is as strong as `strength` says of an age."""
    return np.stack(
        [
            drawn(only(0, 2, strength(age)), np.random.default_rng(k)) + 0.1 * np.tanh(DOWN)
            for k, age in enumerate(ages)
        ]
    )


def test_how_strong_it_is_is_told_by_age():
    """The other bands and directions have hardly any, however much of it passes them."""
    ages = np.linspace(20, 80, 40)
    luma = faces(ages, lambda age: 0.004 * np.exp((age - 20) / 60))
    terms = np.stack([np.ones(40), np.zeros(40), (ages - 50) / 20, *np.zeros((4, 40))], 1)
    asked = [np.array([1, 0, (age - 50) / 20, 0, 0, 0, 0]) for age in (25.0, 50.0, 75.0)]
    found = strengths_of(luma, np.ones_like(luma), terms, asked)
    assert found.shape == (3, *COUNT, *FEW) and found.dtype == np.float32
    inside = np.s_[..., 6:-6, 6:-6]
    for of, age in zip(found, (25.0, 50.0, 75.0)):
        much = 0.004 * np.exp((age - 20) / 60)
        own = of[0, 2][inside]
        assert own.mean() == pytest.approx(much, rel=0.3)
        assert np.delete(of.reshape(-1, *FEW), 2, 0)[inside].mean() < 0.25 * own.mean()


def test_what_is_no_skin_is_none():
    """Hair beside a cheek is not its relief, nor is one face of many."""
    ages = np.full(40, 50.0)
    luma = faces(ages, lambda _: 0.004)
    hair = ACROSS > 0.5
    rough = luma + hair * 20 * faces(ages, lambda _: 0.01)
    rough[:3] *= 10  # three of them have glasses, say
    terms = np.stack([np.ones(40), *np.zeros((6, 40))], 1)
    skin = np.repeat((ACROSS < 0.45)[None] * 1.0, 40, 0)
    asked = [terms[0]]
    found = strengths_of(rough, skin, terms, asked)[0, 0, 2]
    few = ACROSS[::APART, ::APART]
    there = found[6:-6][:, (few[0] > -0.9) & (few[0] < 0.3)]
    assert there.mean() == pytest.approx(0.004, rel=0.5)
    edge = found[6:-6][:, (few[0] > 0.3) & (few[0] < 0.45)]
    assert edge.max() < 0.007 and edge[:, -1].mean() > 0.0021  # as near the hair as skin is told
    everywhere = strengths_of(rough, np.ones_like(skin), terms, asked)[0, 0, 2]
    assert everywhere[6:-6][:, few[0] > 0.7].mean() > 3 * there.mean()
    assert everywhere.max() <= STRONGEST
