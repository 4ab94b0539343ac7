"""Detail of a settled frame: sharper edges without rims, strands along hair's strokes, texture on skin, one seed's."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refined import FACE, NOWHERE, frame_of, hues, of_exemplar, person
from scipy import ndimage

from jaxderm.attributes import LUMA
from jaxderm.data.exemplars import Exemplar
from jaxderm.release.detail import BEYOND, CONTRASTS, detailed

SIZE = 256
NOTHING = np.zeros((SIZE, SIZE))
Y, X = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE


def smooth_person() -> Exemplar:
    """A disc of skin of one colour before a studio."""
    exemplar = person()
    skin = np.hypot(X - 0.5, Y - 0.5) < 0.4
    picture = np.where(skin[..., None], [205, 160, 140], [100, 130, 160]).astype(np.uint8)
    return dataclasses.replace(exemplar, picture=picture, skin=skin.astype(np.uint8) * 255)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def luma(frame: np.ndarray) -> np.ndarray:
    return frame @ LUMA


def beside(x: float, y: float, reach: float) -> np.ndarray:
    return np.hypot(X - x, Y - y) < reach


EYE, CHEEK = beside(0.4, 0.45, 0.035), beside(0.4, 0.55, 0.03)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.6, 1.2), st.floats(0.2, 0.5))
def test_a_soft_line_of_an_eye_stands_out_more_and_gets_no_rim(width, depth):
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    line = ndimage.gaussian_filter((np.abs(Y - 0.45) < 1 / SIZE).astype(np.float32), width)
    frame[EYE] = (-depth * line[..., None] * np.ones(3))[EYE]
    out, column = detailed(frame, exemplar, NOTHING, FACE, rng()), int(0.4 * SIZE)
    rows = np.s_[int(0.43 * SIZE) : int(0.47 * SIZE)]
    before, after = luma(frame)[rows, column], luma(out)[rows, column]
    spare = BEYOND * np.ptp(before) + 0.005
    assert np.ptp(after) > 1.04 * np.ptp(before)
    assert before.min() - spare < after.min() and after.max() < before.max() + spare


def test_a_hard_outline_gets_no_rim_that_is_seen():
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    frame[X > 0.75] = np.where(X[X > 0.75] > 0.8, 0.95, -0.95)[:, None]
    frame = ndimage.gaussian_filter(frame, (1, 1, 0))
    out = detailed(frame, exemplar, NOTHING, FACE, rng())
    row = np.s_[SIZE // 2, int(0.77 * SIZE) : int(0.83 * SIZE)]
    assert luma(out)[row].max() < luma(frame)[row].max() + 0.03
    assert luma(out)[row].min() > luma(frame)[row].min() - 0.03


def test_a_pattern_of_every_other_pixel_goes_and_a_plain_backdrop_stays():
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    pattern = 1 + 0.03 * (-1.0) ** np.arange(SIZE)[:, None]
    out = detailed((frame + 1) * pattern - 1, exemplar, NOTHING, FACE, rng())
    corner = np.s_[4:24, 4:24]
    assert np.abs(out - frame)[corner].max() < 0.003


def test_what_is_hardly_seen_is_not_sharpened():
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    noise = ndimage.gaussian_filter(rng(5).standard_normal((SIZE, SIZE)), 1.0)
    frame += (0.003 * noise / noise.std())[..., None].astype(np.float32)
    out, corner = detailed(frame, exemplar, NOTHING, FACE, rng()), np.s_[4:40, 4:40]
    assert luma(out)[corner].std() < 1.02 * luma(frame)[corner].std()


def test_sharper_lines_keep_their_hue():
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    line = ndimage.gaussian_filter((np.abs(Y - 0.45) < 1 / SIZE).astype(np.float32), 1.0)
    frame = (frame + 1) * (1 - 0.9 * (line * EYE)[..., None]) - 1
    out = detailed(frame, exemplar, NOTHING, FACE, rng())
    darker = EYE & (luma(out) < luma(frame) - 0.005)
    assert darker.sum() > 10
    np.testing.assert_allclose(hues(out)[darker], hues(frame)[darker], rtol=1e-3)


def test_skin_gets_texture_and_eyes_lips_and_backdrop_none():
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    out = detailed(frame, exemplar, NOTHING, FACE, rng())
    added = luma(out - frame)
    wanted = np.hypot(*CONTRASTS) * (luma(frame)[CHEEK].mean() + 1)
    assert 0.7 * wanted < added[CHEEK].std() < 1.5 * wanted
    assert abs(added[CHEEK].mean()) < 0.3 * wanted
    for where in (EYE, beside(0.5, 0.63, 0.03), beside(0.06, 0.06, 0.05)):
        assert np.abs(added[where]).max() < 0.0015


@settings(max_examples=8, deadline=None)
@given(st.floats(0.2, 0.9))
def test_darker_skin_has_less_of_it(level):
    """A texture is a share of the light."""
    spreads = []
    for share in (1.0, level):
        exemplar = smooth_person()
        frame = (frame_of(exemplar) + 1) * share - 1
        out = detailed(frame, of_exemplar(exemplar, frame), NOTHING, FACE, rng())
        spreads.append(luma(out - frame)[CHEEK].std())
    assert 0.8 * level < spreads[1] / spreads[0] < 1.2 * level


def test_the_seed_draws_it_all():
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    first, again, other = (detailed(frame, exemplar, NOTHING, FACE, rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.dtype == np.float32 and np.abs(first).max() <= 1


def test_where_no_face_is_known_nothing_is_added():
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    assert np.array_equal(detailed(frame, exemplar, NOTHING, NOWHERE, rng()), frame)


def test_what_goes_on_from_the_kept_is_as_sharp_as_it_was():
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    frame[EYE] -= 0.4
    frame = ndimage.gaussian_filter(frame, (1.5, 1.5, 0))
    kept = beside(0.4, 0.45, 0.012).astype(np.float32)
    near, free = (detailed(frame, exemplar, k, FACE, rng()) for k in (kept, NOTHING))
    edge = beside(0.4, 0.45, 0.04) & ~beside(0.4, 0.45, 0.03)
    moved = [np.abs(luma(out - frame))[edge].mean() for out in (near, free)]
    assert moved[0] < 0.6 * moved[1]


INNER = ndimage.binary_erosion((Y < 0.3) & (np.hypot(X - 0.5, Y - 0.5) >= 0.4), iterations=12)


def strands_of(picture: np.ndarray) -> np.ndarray:
    """What is added to the luma of plain dark hair above the face, whose exemplar has that picture [S,S,3] there."""
    exemplar = smooth_person()
    hair = (Y < 0.3) & (exemplar.skin == 0)
    shown = np.where(hair[..., None], picture, exemplar.picture).astype(np.uint8)
    frame = frame_of(exemplar)
    frame[hair] = np.array([60, 45, 30], np.float32) / 127.5 - 1
    exemplar = dataclasses.replace(exemplar, picture=shown)
    return luma(detailed(frame, exemplar, NOTHING, FACE, rng()) - frame)


def stroked(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """(hair [S,S,3] with strokes of one direction, that direction)."""
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    across = SIZE * (Y * along[0] - X * along[1])
    rough = rng(3).normal(0, 2, (SIZE, SIZE))
    return (60 + 12 * np.sin(across / 1.5) + rough)[..., None] * [1, 0.75, 0.5], along


@pytest.mark.parametrize("degrees", [0, 20, 70, 130])
def test_strands_lie_along_the_strokes_of_hair(degrees):
    picture, along = stroked(degrees)
    added = strands_of(picture)
    assert added[INNER].std() > 0.01
    points = np.argwhere(INNER)[:, ::-1].astype(float)

    def alike(step: np.ndarray) -> float:
        here, there = (
            ndimage.map_coordinates(added, (points + k * step)[:, ::-1].T, order=1) for k in (-1, 1)
        )
        return float(np.corrcoef(here, there)[0, 1])

    aside = np.array([-along[1], along[0]])
    assert alike(1.5 * along) > alike(1.5 * aside) + 0.3
    assert alike(4 * along) > 0.16  # on, not back


def test_hair_whose_strokes_have_no_direction_gets_fewer_strands():
    rough = [60, 45, 30] + rng(3).integers(0, 8, (SIZE, SIZE, 1))
    assert strands_of(rough)[INNER].std() < 0.6 * strands_of(stroked(20)[0])[INNER].std()
