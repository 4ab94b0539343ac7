"""Light of a portrait on a settled frame: where the face is, of the sex and age, one seed's, nothing at what is kept."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refined import FACE, NOWHERE, frame_of, person

from jaxderm.attributes import LUMA, Attributes, Sex
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates, face_skin_region, like_skin
from jaxderm.models import light as fields
from jaxderm.models.light import AGES, TIP, at_nodes, in_frame, nodes, nose_of, of_person
from jaxderm.release import light
from jaxderm.release.light import lit

SIZE = 256
NOTHING = np.zeros((SIZE, SIZE))
FACTS = Attributes(sex=Sex.FEMALE, age=40.0)
ACROSS, DOWN = face_coordinates(FACE * SIZE, (SIZE, SIZE))


def plain(backdrop: bool = True) -> Exemplar:
    """A head of one colour, before a studio."""
    inside = (np.hypot(ACROSS / 1.1, (DOWN - 0.3) / 1.5) < 1) | ~np.bool_(backdrop)
    picture = np.where(inside[..., None], [205, 160, 140], [80, 120, 160]).astype(np.uint8)
    return dataclasses.replace(person(), picture=picture, skin=inside.astype(np.uint8) * 255)


def change(facts: Attributes = FACTS, mask=NOTHING, seed: int = 0, exemplar=None, at=FACE):
    """Factors on the values of a plain head, [S,S,3]."""
    exemplar = plain() if exemplar is None else exemplar
    frame = frame_of(exemplar)
    out = lit(frame, exemplar, mask, at, facts, np.random.default_rng(seed))
    return (out + 1) / (frame + 1)


def around(planes: np.ndarray, across: float, down: float, reach: float = 0.06) -> float:
    return float((planes @ LUMA)[np.hypot(ACROSS - across, DOWN - down) < reach].mean())


@pytest.fixture
def symmetric(monkeypatch):
    """No light from a side."""
    monkeypatch.setattr(light, "OWN", 0.0)


@pytest.mark.parametrize("sex", [Sex.FEMALE, Sex.MALE, Sex.UNSPECIFIED])
@pytest.mark.parametrize("age", [25.0, 70.0, None])
def test_a_face_gets_a_nose_and_a_chin(symmetric, sex, age):
    """There is shade beside and below a nose and beside a jaw, and none on ridge, cheek and chin."""
    factors = change(Attributes(sex=sex, age=age), exemplar=plain(backdrop=False))
    lightest = around(factors, 0, 0.45)
    for side in (-1, 1):
        assert around(factors, side * 0.2, 0.62) < lightest - 0.05
        assert around(factors, side * 0.75, 1.45) < around(factors, 0, 1.5) - 0.05
    assert lightest > 0.98
    assert around(factors, 0, 1.5) > 0.98


def test_light_without_a_side_is_the_same_on_both(symmetric):
    factors = change(exemplar=plain(backdrop=False))
    # A landmark lies half a pixel beside the middle of its pixel.
    np.testing.assert_allclose(factors, factors[:, ::-1], atol=0.04)


def test_light_comes_from_a_side_of_the_seed():
    """Both sides occur; one cheek is lighter than the other."""
    leanings = []
    for seed in range(12):
        factors = change(seed=seed)
        leanings.append(around(factors, 0.55, 0.5) - around(factors, -0.55, 0.5))
    assert min(leanings) < -0.03 and max(leanings) > 0.03
    np.testing.assert_array_equal(change(seed=3), change(seed=3))
    assert not np.array_equal(change(seed=3), change(seed=4))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(-0.6, 0.6), st.floats(0.0, 1.2))
def test_nothing_changes_at_what_is_kept_and_little_beside_it(seed, across, down):
    away = np.hypot(ACROSS - across, DOWN - down)
    factors = change(mask=(away < 0.15).astype(float), seed=seed)
    np.testing.assert_allclose(factors[away < 0.15], 1, atol=1e-6)
    # A hundredth of the frame off hardly anything.
    near = (away < 0.15 + 0.01 / np.hypot(*np.diff(FACE[[0, 3]], axis=0)[0])) & (away >= 0.15)
    assert np.abs(factors[near] - 1).max() < 0.05


def test_backdrop_and_features_have_no_light_of_the_mean(symmetric):
    factors = change()
    assert np.abs(factors[np.hypot(ACROSS / 1.1, (DOWN - 0.3) / 1.5) > 1.15] - 1).max() < 0.01
    for x, y in FACE[:2]:
        eye = np.hypot(*(np.mgrid[:SIZE, :SIZE] / SIZE - [[[y]], [[x]]]))
        np.testing.assert_allclose(factors[eye < 0.03], 1, atol=1e-3)


def test_backdrops_have_no_light_of_a_side():
    outside = np.hypot(ACROSS / 1.1, (DOWN - 0.3) / 1.5) > 1.15
    assert np.abs(change(seed=3)[outside] - 1).max() < 0.01


@pytest.mark.parametrize("how", ["nowhere", "small", "covered"])
def test_a_face_that_lies_nowhere_stays_as_it_is(how):
    """Also one too small to have cheeks, and one of which all is kept."""
    at = {"nowhere": NOWHERE, "small": 0.5 + (FACE - 0.5) * 0.02}.get(how, FACE)
    mask = np.ones_like(NOTHING) if how == "covered" else NOTHING
    np.testing.assert_array_equal(change(mask=mask, at=at), 1)


def test_a_head_that_is_turned_away_has_no_light_of_those_who_look_at_the_camera(symmetric):
    turned = dataclasses.replace(plain(), nose=FACE[2] + [0.09, 0])
    np.testing.assert_allclose(change(exemplar=turned), 1, atol=1e-6)


def middle_of_shade(tip: float) -> float:
    """How far down the middle of the shade below a nose's tip is."""
    eyes, mouth = FACE[:2].mean(0), FACE[3:].mean(0)
    exemplar = dataclasses.replace(plain(backdrop=False), nose=eyes + tip * (mouth - eyes))
    factors = (change(exemplar=exemplar) @ LUMA)[:, SIZE // 2]
    down = DOWN[:, SIZE // 2]
    shade = np.where(np.abs(down - tip) < 0.3, 1 - factors, 0)
    shade = np.maximum(shade - shade.max() / 2, 0)
    return float((shade * down).sum() / shade.sum())


@pytest.mark.parametrize("tip", [0.55, 0.57, 0.63, 0.65])
def test_shade_goes_along_with_a_nose(symmetric, monkeypatch, tip):
    # This face's mouth is as near to its nose as shade is left out around it.
    monkeypatch.setattr(light, "beside_features", lambda *_: 1.0)
    goes = middle_of_shade(tip) - middle_of_shade(TIP)
    assert goes == pytest.approx(tip - TIP, abs=0.03)


def test_values_stay_in_bounds_and_in_single_precision():
    exemplar = plain()
    frame = np.ones((SIZE, SIZE, 3), np.float32)
    out = lit(frame, exemplar, NOTHING, FACE, FACTS, np.random.default_rng(1))
    assert out.dtype == np.float32
    assert out.max() <= 1 and out.min() >= -1


@settings(max_examples=40, deadline=None)
@given(st.floats(18, 90), st.sampled_from([Sex.FEMALE, Sex.MALE]))
def test_fields_are_mixed_between_ages(age, sex):
    """As those of the nearest age beyond the first and the last, and on the way between two."""
    rng = np.random.default_rng(0)
    some = fields.Light(rng.normal(size=(2, len(AGES), 4, 5, 3)), np.zeros((1, 4, 5)))
    own = some.missing[fields.SEXES.index(sex)]
    share = np.array([np.interp(age, AGES, row) for row in np.eye(len(AGES))])
    np.testing.assert_allclose(of_person(some, sex, age), np.tensordot(share, own, 1), atol=1e-6)
    unknown = of_person(some, Sex.UNSPECIFIED, None)
    np.testing.assert_allclose(unknown, some.missing[:, 1].mean(0), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(0.8, 1.3), st.floats(-0.1, 0.1), st.floats(0.52, 0.68))
def test_a_plane_comes_back_from_the_nodes(turn, scale, aside, tip):
    """What is seen at the nodes lies in a frame where it was, of a face of any size and direction, with any nose."""
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = ((FACE - 0.5) * scale * 0.7 @ turned + 0.5) * SIZE
    across, down = face_coordinates(points, (SIZE, SIZE))
    # As smooth as the light over a face is.
    plane = np.sin(2 * across) * np.cos(1.5 * down)
    back = in_frame(at_nodes(plane, points, (aside, tip))[..., None], points, SIZE, (aside, tip))
    inside = (np.abs(across) < 1.0) & (down > -0.9) & (down < 1.4)
    assert np.abs(back[..., 0] - plane)[inside].max() < 0.05


def test_where_a_nose_is():
    eyes, mouth = FACE[:2].mean(0), FACE[3:].mean(0)
    found = nose_of(eyes + 0.5 * (mouth - eyes) + [0.1 * (mouth - eyes)[1], 0], FACE)
    np.testing.assert_allclose(found, (0.1, 0.5), atol=1e-9)
    assert nose_of(np.full(2, np.nan), FACE) == nose_of(None, FACE) == (0.0, TIP)


def test_the_shipped_fields_are_of_the_nodes_smooth_and_small():
    shipped = light._light()
    shape = nodes()[0].shape
    assert shipped.missing.shape == (2, len(AGES), *shape, 3)
    assert shipped.modes.shape[1:] == shape
    for plane in (*shipped.modes, *shipped.missing.reshape(-1, *shape, 3)):
        assert np.isfinite(plane).all() and np.abs(plane).max() < 0.5
        # A node and the next differ by little: no noise, no scrambled order.
        assert np.abs(np.diff(plane, axis=0)).max() < 0.12
        assert np.abs(np.diff(plane, axis=1)).max() < 0.12
    # The first mode is light from a side, the mean is not.
    first = shipped.modes[0]
    assert np.corrcoef(first.ravel(), -first[:, ::-1].ravel())[0, 1] > 0.9


def test_what_looks_like_skin():
    exemplar = plain()
    frame, cheeks = frame_of(exemplar), face_skin_region(FACE * SIZE, (SIZE, SIZE))
    like, away, middle = like_skin(frame, cheeks)
    inside = exemplar.skin > 0
    assert like[inside].min() > 0.99 and like[~inside].max() < 0.2
    np.testing.assert_allclose(away[inside], 0, atol=1e-6)
    assert middle.shape == (3,)
