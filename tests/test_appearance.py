"""The face of a portrait on a settled frame: where the face is, of sex, age and seed, nothing at what is kept."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refined import FACE, NOWHERE, frame_of, person
from scipy import ndimage

from jaxderm.attributes import LUMA, Attributes, Sex
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates
from jaxderm.models import appearance as model
from jaxderm.models.appearance import (
    SEXES,
    mouth_of,
    nodes,
)
from jaxderm.release import appearance
from jaxderm.release.appearance import portrayed

SIZE = 256
NOTHING = np.zeros((SIZE, SIZE))
FACTS = Attributes(sex=Sex.FEMALE, age=40.0)
ACROSS, DOWN = face_coordinates(FACE * SIZE, (SIZE, SIZE))
HEAD = np.hypot(ACROSS / 1.1, (DOWN - 0.3) / 1.5)
SHIPPED = appearance.appearance()


def plain(backdrop: bool = True) -> Exemplar:
    """A head of one colour, before a studio."""
    inside = (HEAD < 1) | ~np.bool_(backdrop)
    picture = np.where(inside[..., None], [205, 160, 140], [80, 120, 160]).astype(np.uint8)
    return dataclasses.replace(person(), picture=picture, skin=inside.astype(np.uint8) * 255)


def change(facts: Attributes = FACTS, mask=NOTHING, seed: int = 0, exemplar=None, at=FACE):
    """Factors on the values of a plain head, [S,S,3]."""
    exemplar = plain() if exemplar is None else exemplar
    frame = frame_of(exemplar)
    out = portrayed(frame, exemplar, mask, at, facts, np.random.default_rng(seed))
    return (out + 1) / (frame + 1)


def around(planes: np.ndarray, across: float, down: float, reach: float = 0.06) -> float:
    return float((planes @ LUMA)[np.hypot(ACROSS - across, DOWN - down) < reach].mean())


@pytest.fixture
def ordinary(monkeypatch):
    """Nobody differs from the mean of all."""
    for name in ("OWN", "EYES_OWN"):
        monkeypatch.setattr(appearance, name, 0.0)
    monkeypatch.setattr(appearance, "TEXTURE", (0.0, 0.0))


@pytest.mark.parametrize("sex", [Sex.FEMALE, Sex.MALE, Sex.UNSPECIFIED])
@pytest.mark.parametrize("age", [25.0, 70.0, None])
def test_a_face_gets_a_nose_lids_and_a_chin(ordinary, sex, age):
    """There is shade beside and below a nose, beside eyes and beside a jaw; ridge, cheek and chin are light."""
    factors = change(Attributes(sex=sex, age=age), exemplar=plain(backdrop=False))
    lightest = around(factors, 0, 0.45)
    for side in (-1, 1):
        assert around(factors, side * 0.2, 0.62) < lightest - 0.05
        assert around(factors, side * 0.26, -0.02) < lightest - 0.1
        assert around(factors, side * 0.85, 1.45) < around(factors, 0, 1.5) - 0.05
    assert around(factors, 0, 1.5) > 0.95


def test_the_old_have_folds_that_the_young_have_not(ordinary):
    def fold(age):
        factors = change(Attributes(sex=Sex.MALE, age=age))
        line = [around(factors, 0.3 + 0.05 * k, 0.72, 0.03) for k in range(7)]
        return max(line) - min(line)

    assert fold(78.0) > fold(25.0) + 0.02


@pytest.mark.parametrize("age, men, women", [
    (20.0, 12.0, 12.0), (29.0, 39.0, 34.0), (45.0, 73.0, 63.0), (None, None, None),
])  # fmt: skip
def test_the_grown_get_older_portraits_and_the_young_younger_ones(monkeypatch, age, men, women):
    """The mean of many looks younger than each of them, of men more, and no portrait is of anybody so young."""
    ages = []
    for name in ("of_person", "texture_of"):
        of = getattr(appearance, name)
        monkeypatch.setattr(appearance, name, lambda *a, of=of: ages.append(a[-1]) or of(*a))
    for sex in SEXES:
        change(Attributes(sex=sex, age=age))
    assert ages == [women, women, men, men]


def test_dark_skin_gets_what_portraits_of_dark_skin_have(ordinary):
    """A forehead and a nose's ridge shine, eyes are darker, lips fuller; of the unknown tone nothing."""
    plain_face = plain(backdrop=False)
    light, dark, unknown = (
        np.log(change(dataclasses.replace(FACTS, ita=ita), exemplar=plain_face))
        for ita in (25.0, -25.0, None)
    )
    np.testing.assert_array_equal(light, unknown)
    adds = dark - light
    for place in ((0, 0.45), (0, 0.1), (0, -0.5)):
        assert around(adds, *place) > 0.04
    for place in ((0.25, 0.6), (0.5, 0), (0.6, 0.8), (0, 1.5)):
        assert around(adds, *place) < -0.01
    assert around(adds, 0, 1.15) > around(adds, 0, 0.97) + 0.06


def test_an_ordinary_face_is_the_same_on_both_sides(ordinary):
    factors = change(exemplar=plain(backdrop=False))
    # A landmark lies half a pixel beside the middle of its pixel.
    assert np.percentile(np.abs(factors - factors[:, ::-1]), 99) < 0.06


def test_strangers_differ_by_the_seed_and_light_comes_from_both_sides():
    leanings = []
    for seed in range(12):
        factors = change(seed=seed)
        leanings.append(around(factors, 0.55, 0.5) - around(factors, -0.55, 0.5))
    assert min(leanings) < -0.03 and max(leanings) > 0.03
    np.testing.assert_array_equal(change(seed=3), change(seed=3))
    assert not np.array_equal(change(seed=3), change(seed=4))


def test_the_young_differ_less_but_for_the_light():
    """What portraits differ by is mostly years."""

    def spread(age, sides):
        facts = Attributes(sex=Sex.MALE, age=age)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(appearance, "SIDES", sides)
            return np.std([change(facts, seed=k)[HEAD < 0.8] for k in range(6)], axis=0).mean()

    every = len(SHIPPED.modes)
    assert spread(20.0, 3) < 0.97 * spread(20.0, every)
    assert spread(60.0, 3) == pytest.approx(spread(60.0, every), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(-0.6, 0.6), st.floats(0.0, 1.2))
def test_nothing_changes_at_what_is_kept_and_little_beside_it(seed, across, down):
    away = np.hypot(ACROSS - across, DOWN - down)
    factors = change(mask=(away < 0.15).astype(float), seed=seed)
    np.testing.assert_allclose(factors[away < 0.15], 1, atol=1e-6)
    # A hundredth of the frame off hardly anything.
    near = (away < 0.15 + 0.01 / np.hypot(*np.diff(FACE[[0, 3]], axis=0)[0])) & (away >= 0.15)
    assert np.abs(factors[near] - 1).max() < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_what_is_no_face_stays(seed):
    factors = change(seed=seed)
    assert np.abs(factors[HEAD > 1.1] - 1).max() < 0.01


@pytest.mark.parametrize("sex", SEXES)
def test_lips_are_portraits_whatever_the_frame_had_there(ordinary, sex):
    """Dark or pale: what is left is one closed mouth, dark where lips meet, red beside that."""
    out = []
    for level in (0, 60, 120):
        exemplar = plain(backdrop=False)
        exemplar.picture[np.hypot(ACROSS / 0.2, (DOWN - 1.02) / 0.09) < 1] = level
        frame, facts = frame_of(plain(backdrop=False)), Attributes(sex=sex, age=40.0)
        frame = np.where(mouth_of(ACROSS, DOWN)[..., None] == 1, frame_of(exemplar), frame)
        rng = np.random.default_rng(0)
        out.append(portrayed(frame, plain(backdrop=False), NOTHING, FACE, facts, rng))
    inside = mouth_of(ACROSS, DOWN) == 1
    for other in out[1:]:
        apart = np.abs(other[inside] - out[0][inside])
        assert apart.max() < 0.1 and apart.mean() < 0.02  # the flow sees them a little
    line = [around(out[0], 0, down, 0.02) for down in np.linspace(0.84, 1.2, 13)]
    darkest = int(np.argmin(line))
    assert 0 < darkest < 12 and line[darkest] < min(line[0], line[-1]) - 0.1
    hue = (out[0][..., 0] + 1) / (out[0][..., 1] + 1)
    lip, chin = (np.median(hue[np.hypot(ACROSS, DOWN - d) < 0.05]) for d in (1.1, 1.6))
    assert lip > chin * (1.15 if sex is Sex.FEMALE else 1.02)


@pytest.mark.parametrize("level", [0.7, 1.2])
def test_eyes_are_portraits_whatever_the_frame_had_there(ordinary, level):
    """With lids, a pupil in the middle of each and one light in that; not what is fine in the frame's."""
    exemplar, frame = plain(backdrop=False), frame_of(plain(backdrop=False))
    rng = np.random.default_rng(0)
    before = portrayed(frame, exemplar, NOTHING, FACE, FACTS, rng)
    dots = np.zeros((SIZE, SIZE), bool)
    for k in (0, 1):
        x, y = FACE[k] * SIZE
        away = np.hypot(*(np.mgrid[:SIZE, :SIZE] + 0.5 - [[[y]], [[x]]]))
        dots |= (away < 9) & (np.indices((SIZE, SIZE)).sum(0) % 3 == 0)
    drawn = frame.copy()
    drawn[dots] = np.clip(level * (frame[dots] + 1) - 1, -1, 1)
    out = portrayed(drawn, exemplar, NOTHING, FACE, FACTS, np.random.default_rng(0))
    assert np.abs(out - before)[dots].mean() < 0.4 * np.abs(drawn - frame)[dots].mean()
    luma = before @ LUMA
    for k in (0, 1):
        x, y = (FACE[k] * SIZE).astype(int)
        iris = luma[y - 6 : y + 7, x - 6 : x + 7]
        assert luma[y, x + 1] < np.median(iris) - 0.1  # a pupil
        assert iris[2:8, 2:8].max() > luma[y, x + 1] + 0.3  # a light, up and to the left


def test_eyes_of_strangers_differ(monkeypatch):
    """In the depth of their lids and, of light skin, in colour; of dark skin all are brown."""
    lids = (np.hypot(np.abs(ACROSS) - 0.49, DOWN) < 0.25) & (DOWN > -0.2)

    def spread(ita, what):
        facts = dataclasses.replace(FACTS, ita=ita)
        out = [np.log(np.maximum(change(facts, seed=k), 0.05)) for k in range(6)]
        if what == "hue":
            out = [o[..., 2] - o[..., 0] for o in out]
        return np.std([o[lids] for o in out], axis=0).mean()

    for name in ("OWN", "FULL", "WIDE", "CURVED"):
        monkeypatch.setattr(appearance, name, 0.0)
    monkeypatch.setattr(appearance, "TEXTURE", (0.0, 0.0))
    light, dark, hue, brown = (
        spread(ita, what) for what in ("light", "hue") for ita in (40.0, -20.0)
    )
    assert light > 0.02 and dark > 0.01
    assert brown < 0.3 * hue
    monkeypatch.setattr(appearance, "EYES_OWN", 0.0)
    assert spread(40.0, "light") < 0.1 * light


def fine(planes: np.ndarray) -> np.ndarray:
    luma = np.log(planes @ LUMA)
    return luma - ndimage.gaussian_filter(luma, 4)


def test_skin_has_relief_more_of_it_the_older_less_if_dark_none_on_lips_and_eyes(
    ordinary, monkeypatch
):
    def relief(where, age=45.0, ita=None, seed=0):
        facts = Attributes(sex=Sex.MALE, age=age, ita=ita)
        rest = fine(change(facts, seed=seed))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(appearance, "TEXTURE", (0.5, 0.27))
            return float(np.std((fine(change(facts, seed=seed)) - rest)[where]))

    cheek = np.hypot(np.abs(ACROSS) - 0.55, DOWN - 0.6) < 0.2
    assert 0.004 < relief(cheek) < 0.03
    assert relief(cheek, 25.0) < 0.75 * relief(cheek) < 0.75 * relief(cheek, 65.0)
    assert relief(cheek, ita=0.0) < 0.75 * relief(cheek, ita=50.0)
    iris = np.hypot(np.abs(ACROSS) - 0.49, DOWN) < 0.06
    lips = np.hypot(ACROSS / 0.3, (DOWN - 1.03) / 0.1) < 1
    for features in (iris, lips):
        assert relief(features) < 0.4 * relief(cheek)


def test_what_is_too_dark_or_too_light_keeps_its_hue():
    """All colours of a pixel are held back alike."""
    light = np.array([[[0.2, 0.1, 0.0], [1.0, 0.5, 0.25], [-0.4, -1.2, -0.6]]])
    least, most = np.full((1, 3), -0.6), np.full((1, 3), 0.5)
    np.testing.assert_allclose(
        appearance._within(light, least, most),
        [[[0.2, 0.1, 0.0], [0.5, 0.25, 0.125], [-0.2, -0.6, -0.3]]],
    )


def test_mouths_of_strangers_differ(monkeypatch):
    """In height, width and corners; without these only by their light."""
    inside = mouth_of(ACROSS, DOWN) > 0.9

    def spread():
        return np.std([change(seed=k) @ LUMA for k in range(6)], axis=0)[inside].mean()

    differ = spread()
    for name in ("FULL", "WIDE", "CURVED"):
        monkeypatch.setattr(appearance, name, 0.0)
    assert differ > 1.3 * spread()


def test_a_mouth_of_ones_own_moves_nothing_beyond_it():
    flow = appearance._own_mouth(SHIPPED.marks, np.random.default_rng(5))
    beyond = mouth_of(*nodes()) == 0
    assert not flow[:, beyond].any() and np.abs(flow).max() > 0.2 and flow.dtype == np.float32
    # Corners go up or down, what is between the other way; nothing goes across the middle.
    row, column = SHIPPED.marks[3:5].mean(0)
    assert abs(flow[1][:, round(column)]).max() < 0.05


def test_hair_of_others_shades_no_forehead(ordinary):
    """Many portraits have hair where a high forehead is bare."""
    exemplar = plain(backdrop=False)
    high = (np.abs(ACROSS) < 0.3) & (DOWN < -1.06)
    assert high.sum() > 50
    np.testing.assert_allclose(change(exemplar=exemplar)[high], 1, atol=1e-5)


def test_hair_stays():
    exemplar = plain()
    exemplar.picture[(DOWN < -0.6) & (HEAD < 1)] = [40, 30, 25]
    factors = change(exemplar=exemplar)
    assert np.abs(factors[(DOWN < -0.65) & (HEAD < 1)] - 1).max() < 0.06


@pytest.mark.parametrize("how", ["nowhere", "small", "covered"])
def test_a_face_that_lies_nowhere_stays_as_it_is(how):
    """Also one too small to have cheeks, and one of which all is kept."""
    at = {"nowhere": NOWHERE, "small": 0.5 + (FACE - 0.5) * 0.02}.get(how, FACE)
    mask = np.ones_like(NOTHING) if how == "covered" else NOTHING
    np.testing.assert_array_equal(change(mask=mask, at=at), 1)


def test_a_head_that_is_turned_away_has_no_skin_of_those_who_look_at_the_camera():
    turned = dataclasses.replace(plain(), nose=FACE[2] + [0.09, 0])
    np.testing.assert_allclose(change(exemplar=turned), 1, atol=1e-6)


def test_shade_goes_along_with_a_nose(ordinary):
    eyes, mouth = FACE[:2].mean(0), FACE[3:].mean(0)
    middles = []
    for tip in (0.54, 0.66):
        exemplar = dataclasses.replace(plain(backdrop=False), nose=eyes + tip * (mouth - eyes))
        shade = 1 - (change(exemplar=exemplar) @ LUMA)[:, SIZE // 2]
        down = DOWN[:, SIZE // 2]
        shade = np.where((down > 0.5) & (down < 0.82), shade, 0)
        shade = np.maximum(shade - shade.max() / 2, 0)
        middles.append((shade * down).sum() / shade.sum())
    assert 0.06 < middles[1] - middles[0] < 0.16


def test_places_above_eyes_are_told_by_brows_and_eyes_lie_on_eyes(ordinary, monkeypatch):
    """A forehead goes along with the brows of the frame, what is an eye lies on its landmark."""
    flows, of = [], appearance.in_frame
    monkeypatch.setattr(
        appearance, "in_frame", lambda planes, flow, *a: flows.append(flow) or of(planes, flow, *a)
    )
    for lower in (-0.42, -0.26):
        exemplar = plain(backdrop=False)
        brow = np.hypot((np.abs(ACROSS) - 0.45) / 0.3, (DOWN - lower) / 0.06) < 1
        exemplar.picture[brow] = [70, 45, 35]
        rng = np.random.default_rng(0)
        portrayed(frame_of(exemplar), exemplar, NOTHING, FACE, FACTS, rng)
    high, low = (flow[:, *SHIPPED.marks[5].round().astype(int)] for flow in flows)
    assert low[0] > high[0] + 2
    own = model.rows_and_columns(FACE[:2] * SIZE, FACE * SIZE)
    for flow in flows:
        at = SHIPPED.marks[:2] + model.sampled(flow, SHIPPED.marks[:2].T).T
        np.testing.assert_allclose(at, own, atol=1.3)


def test_no_second_brows_and_a_frames_own_stay(ordinary):
    """Where a frame has none, portraits lay none; what is dark where they are is not made skin."""
    zone = np.hypot((np.abs(ACROSS) - 0.5) / 0.35, (DOWN + 0.33) / 0.1) < 1
    bare = change(exemplar=plain(backdrop=False))
    assert np.percentile(bare[zone] @ LUMA, 5) > 0.85
    exemplar = plain(backdrop=False)
    brow = np.hypot((np.abs(ACROSS) - 0.45) / 0.3, (DOWN + 0.33) / 0.06) < 1
    exemplar.picture[brow] = [70, 45, 35]
    np.testing.assert_allclose(change(exemplar=exemplar)[brow], 1, atol=0.1)


def test_values_stay_in_bounds_and_in_single_precision():
    exemplar = plain()
    for value in (-1, 1):
        frame = np.full((SIZE, SIZE, 3), value, np.float32)
        out = portrayed(frame, exemplar, NOTHING, FACE, FACTS, np.random.default_rng(1))
        assert out.dtype == np.float32
        assert out.max() <= 1 and out.min() >= -1
