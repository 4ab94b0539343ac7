"""How eyes differ: the colour of irises and the height of lids are modes, on both sides alike; glasses, light and smiles are none."""

import numpy as np
import pytest

from jaxderm.models.appearance import FINER, eye_of, nodes, of_one_side, on_both_sides
from jaxderm.train.eyes import EYES, eyes_of, without_glasses

ACROSS, DOWN = nodes(FINER)


def ring(beside: float, below: float, wide: float) -> np.ndarray:
    """On both sides."""
    away = np.hypot(np.abs(ACROSS) - beside, DOWN - below)
    return np.exp(-0.5 * np.square(away / wide))


def faces(*of: tuple[np.ndarray, np.ndarray], count: int = 60) -> np.ndarray:
    """Planes [N,3,h,w]: sums of numbers [N] or [N,3] of planes [h,w], and noise."""
    rng = np.random.default_rng(0)
    total = rng.normal(0, 0.004, (count, 3, *ACROSS.shape))
    for numbers, plane in of:
        total += np.reshape(numbers, (count, -1, 1, 1)) * plane
    return total


@pytest.fixture
def numbers():
    return np.random.default_rng(1).standard_normal((3, 60))


def test_the_colour_of_irises_is_a_mode_and_so_are_lids(numbers):
    """In their hue and of one deviation each."""
    blue, lids, _ = numbers
    hue = blue[:, None] * np.array([0.0, 0.05, 0.15])
    iris, lid = ring(0.49, 0, 0.05), ring(0.49, -0.1, 0.04)
    modes = eyes_of(faces((hue, iris), (0.08 * lids, lid)))
    assert modes.shape == (EYES, 3, *of_one_side(iris).shape)
    found = on_both_sides(modes[:2])
    np.testing.assert_array_equal(found, found[..., ::-1])
    pupil, above = (np.hypot(ACROSS - 0.49, DOWN - d) < 0.03 for d in (0, -0.1))
    red, green, blue = np.abs(found[:, :, pupil].mean(-1)).max(0)
    assert blue > 1.3 * green > 1.3 * red
    rim = of_one_side(eye_of()) < 0.02
    assert rim.any() and np.abs(modes[..., rim]).max() < 1e-3
    assert 0.03 < blue < 0.2 and 0.04 < np.abs(found[:, 0, above].mean(-1)).max() < 0.12


def test_light_from_the_front_smiles_and_what_is_one_sided_are_no_eyes(numbers):
    """Nor is anything beyond them."""
    light, smile, side = numbers
    gaze = np.sign(ACROSS) * ring(0.49, 0, 0.05)
    shine = np.exp(-0.5 * np.square(np.hypot(ACROSS, DOWN) / 0.8))
    mouth = ring(0.2, 1.0, 0.1)
    modes = eyes_of(faces((0.1 * light, shine), (0.3 * smile, mouth), (0.3 * side, gaze)))
    assert np.abs(modes).max() < 0.03


def test_glasses_are_no_eyes(numbers):
    """Of who wears them nothing is seen, on the bridge or below."""
    wears = np.arange(60) % 2 == 0
    frame = (np.abs(np.hypot(np.abs(ACROSS) - 0.49, DOWN - 0.05) - 0.3) < 0.03) * 1.0
    bridge = ((np.abs(ACROSS) < 0.2) & (np.abs(DOWN) < 0.02)) * 1.0
    for part in (frame, bridge):
        planes = faces((-0.5 * wears, part))
        found = without_glasses(planes.mean(1))
        assert found.sum() == 27 and not found[wears].any()
        assert np.abs(eyes_of(planes)).max() < 0.03


def test_one_face_is_enough_to_be_without_glasses():
    assert without_glasses(np.zeros((1, *ACROSS.shape))).tolist() == [True]


def test_what_lies_on_one_side_lies_on_both():
    plane = np.random.default_rng(0).normal(size=(2, *ACROSS.shape)) * eye_of()
    whole = on_both_sides(of_one_side(plane))
    left = ACROSS[0] < 0
    np.testing.assert_array_equal(whole[..., left], plane[..., left])
    np.testing.assert_array_equal(whole, whole[..., ::-1])
    assert not whole[..., ACROSS[0] == 0].any()
    # Lids and what is below, no brow and no nose.
    assert eye_of()[np.hypot(np.abs(ACROSS) - 0.49, DOWN) < 0.15].min() == 1
    assert not eye_of()[(DOWN < -0.28) | (np.abs(ACROSS) < 0.005)].any()
