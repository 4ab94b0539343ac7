"""Looks of lesions: bounded, local, deterministic, the same at every resolution."""

import numpy as np
import pytest

from jaxderm.attributes import BodySite
from jaxderm.data import lesion_looks
from jaxderm.render import lesions
from jaxderm.render.description import Lesion
from jaxderm.render.sampler import LESIONS, SITES

FIELDS = ("melanin", "haemoglobin", "venous", "height", "scale", "gloss", "coverage")


def plane(size: int, half_cm: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals of a flat patch of skin, pixel centres."""
    at = ((np.arange(size) + 0.5) / size * 2 - 1) * half_cm
    x, y = np.meshgrid(at, at)
    points = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1)
    return points, np.broadcast_to([0.0, 0.0, 1.0], points.shape)


@pytest.mark.parametrize("kind", lesion_looks.KINDS)
def test_a_look_is_local_bounded_and_deterministic(kind):
    for seed in range(4):
        lesion = Lesion(kind, 1.0, seed, (0.0, 0.0))
        points, normals = plane(64, 2.5)
        for melanin in (0.1, 0.8):
            made = lesions.paint(lesion, points, normals, melanin, 5 / 64)
            again = lesions.paint(lesion, points, normals, melanin, 5 / 64)
            outside = made.coverage == 0
            assert outside.any() and (made.coverage > 0.3).any()
            for name in FIELDS:
                values = getattr(made, name)
                assert values.shape == (len(points),) and np.isfinite(values).all()
                assert not values[outside].any(), f"{name} changes skin outside the mask"
                np.testing.assert_array_equal(values, getattr(again, name))
            for name in ("scale", "gloss", "coverage"):
                assert 0 <= getattr(made, name).min() and getattr(made, name).max() <= 1
            assert np.abs(made.melanin).max() < 1 and np.abs(made.height).max() < 1


@pytest.mark.parametrize("kind", LESIONS)
def test_a_look_does_not_depend_on_the_number_of_pixels(kind):
    lesion = Lesion(kind, 1.0, 3, (0.0, 0.0))
    coarse = lesions.paint(lesion, *plane(64, 2.0), 0.3, 4 / 64)
    fine = lesions.paint(lesion, *plane(128, 2.0), 0.3, 4 / 128)
    small = fine.coverage.reshape(64, 2, 64, 2).mean((1, 3)).ravel()
    assert np.abs(small - coarse.coverage).mean() < 0.03


def test_skin_behind_a_lesion_is_another_place():
    points, normals = plane(32, 1.5)
    lesion = Lesion("naevus", 0.6, 1, (0.0, 0.0))
    assert lesions.paint(lesion, points, normals, 0.3).coverage.any()
    assert not lesions.paint(lesion, points, -normals, 0.3).coverage.any()
    assert not lesions.paint(lesion, points - [0, 0, 3.0], normals, 0.3).coverage.any()


@pytest.mark.parametrize("site", SITES)
def test_kinds_are_drawn_in_their_sizes_sites_and_ages(site: BodySite):
    rng = np.random.default_rng(0)
    for years in (2.0, 15.0, 70.0):
        for _ in range(60):
            kind, radius = lesion_looks.draw_kind(rng, site, years, LESIONS)
            known = lesion_looks.KINDS[kind]
            assert site in known.sites and years >= known.from_years
            assert known.radius_cm[0] <= radius <= known.radius_cm[1]
            assert 0.15 <= radius <= 4.0  # 3 mm to 8 cm


def test_light_lesions_are_lighter_and_dark_ones_darker():
    points, normals = plane(48, 1.2)

    def melanin(kind):
        made = lesions.paint(Lesion(kind, 1.0, 2, (0.0, 0.0)), points, normals, 0.5, 0.05)
        return made.melanin[made.coverage > 0.9].mean()

    assert melanin("vitiligo") < -0.3 < 0.1 < melanin("naevus") and melanin("melanoma") > 0.05
