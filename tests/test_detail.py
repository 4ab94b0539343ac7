"""Detail of a settled frame: what the head adds is fine and of one hue, strands lie along hair's strokes, one seed's."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refined import FACE, NOWHERE, frame_of, hues, person
from scipy import ndimage

from jaxderm import demo
from jaxderm.attributes import LUMA, Attributes, Sex
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates
from jaxderm.frame import parse_landmarks
from jaxderm.release import detail
from jaxderm.release.detail import detailed
from jaxderm.release.pyramid import halved
from jaxderm.release.settle_features import brows_of

SIZE = 256
NOTHING = np.zeros((SIZE, SIZE))
FACTS = Attributes(sex=Sex.FEMALE, age=40.0)
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


def contrast(frame: np.ndarray, sigma: float = 2.0) -> np.ndarray:
    return luma(frame) - ndimage.gaussian_filter(luma(frame), sigma)


@pytest.fixture(scope="module")
def portrait() -> tuple[np.ndarray, np.ndarray]:
    """(the demo's photograph in a face's frame [S,S,3] in [-1,1], its landmarks): the head has not learnt from it."""
    from PIL import Image
    from skimage import data

    points = parse_landmarks(demo.LANDMARKS)
    side = float(np.linalg.norm(points[1] - points[0])) * SIZE / 72
    x, y = points[:2].mean(0) - [side / 2, 0.43 * side]
    picture = Image.fromarray(data.astronaut()).resize(
        (SIZE, SIZE), Image.Resampling.BICUBIC, (x, y, x + side, y + side)
    )
    return np.asarray(picture) / np.float32(127.5) - 1, (points - [x, y]) / side


def around(points: np.ndarray, reach: float = 0.05) -> np.ndarray:
    return beside(*points[0], reach) | beside(*points[1], reach)


def drawn_of(frame: np.ndarray) -> Exemplar:
    """An exemplar without hair, of a frame."""
    picture = np.clip((frame + 1) * 127.5, 0, 255).round().astype(np.uint8)
    return Exemplar(picture, np.full((SIZE, SIZE), 255, np.uint8))


@settings(max_examples=6, deadline=None)
@given(st.floats(0.9, 1.5))
def test_soft_eyes_of_a_photograph_come_nearer_to_what_they_were(portrait, sigma):
    sharp, points = portrait
    soft = ndimage.gaussian_filter(sharp, (sigma, sigma, 0))
    out = detailed(soft, drawn_of(soft), NOTHING, points, FACTS, rng())
    eyes = around(points, 0.025)
    missing, added = contrast(sharp - soft)[eyes], contrast(out - soft)[eyes]
    assert np.corrcoef(missing, added)[0, 1] > 0.5
    assert np.square(missing - added).mean() < 0.85 * np.square(missing).mean()
    assert contrast(out)[eyes].std() > 1.15 * contrast(soft)[eyes].std()


def test_what_is_wider_than_detail_stays(portrait):
    frame, points = portrait
    out = detailed(frame, drawn_of(frame), NOTHING, points, FACTS, rng())
    wide = [ndimage.gaussian_filter(luma(f), 8)[16:-16, 16:-16] for f in (frame, out)]
    assert np.abs(wide[1] - wide[0]).max() < 0.05


def test_hue_stays_where_light_changes(portrait):
    frame, points = portrait
    out = detailed(frame, drawn_of(frame), NOTHING, points, FACTS, rng())
    moved = (np.abs(luma(out - frame)) > 0.01) & (luma(frame) > -0.8)
    inside = moved & (np.abs(out).max(-1) < 1)
    assert inside.sum() > 1000
    np.testing.assert_allclose(hues(out[inside]), hues(frame[inside]), rtol=2e-3)


def test_a_pattern_of_every_other_pixel_goes(portrait):
    frame, points = portrait
    pattern = 1 + 0.05 * (-1.0) ** np.arange(SIZE)[:, None, None]
    plain, out = (
        detailed(f, drawn_of(frame), NOTHING, points, FACTS, rng())
        for f in (frame, ((frame + 1) * pattern - 1).astype(np.float32))
    )
    skin = beside(*points[2], 0.04)
    assert np.abs(luma(out - plain))[skin].max() < 0.1 * 0.05 * (luma(frame)[skin].max() + 1)


def test_what_is_added_is_the_seeds():
    """The mean of plain skin stays; two seeds' differ, and one's is the same again."""
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    first, again, other = (
        detailed(frame, exemplar, NOTHING, FACE, FACTS, rng(s)) for s in (1, 1, 2)
    )
    cheek = beside(0.4, 0.55, 0.03)
    assert np.array_equal(first, again) and not np.array_equal(first[cheek], other[cheek])
    assert abs(luma(first - frame)[cheek].mean()) < 0.02
    assert first.dtype == np.float32 and np.abs(first).max() <= 1


def test_eyes_of_dark_skin_get_no_lighter_and_those_of_light_skin_do(portrait):
    """Portraits, from which the head has learnt, are of people with light eyes."""
    frame, points = portrait
    eyes = around(points, 0.02)

    def lighter(ita: float) -> float:
        facts = dataclasses.replace(FACTS, ita=ita)
        out = detailed(frame, drawn_of(frame), NOTHING, points, facts, rng())
        return float(np.maximum(luma(out - frame), 0)[eyes].mean())

    assert lighter(-30.0) < 0.15 * lighter(60.0)
    assert lighter(-30.0) < lighter(25.0) < lighter(60.0)


def test_dark_skin_gets_a_third_of_what_light_skin_does():
    """The head adds more to it, in stripes; eyes have their own rule."""
    exemplar = smooth_person()
    frame, chin = frame_of(exemplar), beside(0.5, 0.72, 0.03)

    def added(ita: float) -> np.ndarray:
        facts = dataclasses.replace(FACTS, ita=ita)
        return luma(detailed(frame, exemplar, NOTHING, FACE, facts, rng()) - frame)[chin]

    dark, middle, light = added(-30.0), added(25.0), added(60.0)
    assert np.abs(light).max() > 1e-3
    np.testing.assert_allclose(dark, detail.ON_DARK * light, atol=0.02 * np.abs(light).max())
    assert np.abs(dark).mean() < np.abs(middle).mean() < np.abs(light).mean()


def test_the_young_have_no_other_detail_than_the_youngest_who_were_learnt(portrait):
    frame, points = portrait

    def aged(age: float | None) -> np.ndarray:
        facts = dataclasses.replace(FACTS, age=age)
        return detailed(frame, drawn_of(frame), NOTHING, points, facts, rng())

    assert np.array_equal(aged(19.0), aged(30.0))
    assert not np.array_equal(aged(30.0), aged(70.0))


def test_brows_get_less_of_what_the_head_adds(portrait, monkeypatch):
    """The eyes get most of it."""
    frame, points = portrait
    exemplar = drawn_of(frame)
    place = face_coordinates(points * SIZE, (SIZE, SIZE))
    there = brows_of(exemplar, points * SIZE, place) > 0.3
    assert there.sum() > 50

    def added() -> np.ndarray:
        return np.abs(luma(detailed(frame, exemplar, NOTHING, points, FACTS, rng()) - frame))

    less = added()
    monkeypatch.setattr(detail, "BROWS", 1.0)
    all_of_it = added()
    assert less[there].mean() < 0.8 * all_of_it[there].mean()
    eyes = around(points, 0.015)
    assert less[eyes].mean() > 0.75 * all_of_it[eyes].mean()


def test_where_no_face_is_known_nothing_is_added():
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    assert np.array_equal(detailed(frame, exemplar, NOTHING, NOWHERE, FACTS, rng()), frame)


def test_what_goes_on_from_the_kept_is_as_it_was(portrait):
    frame, points = portrait
    soft = ndimage.gaussian_filter(frame, (1.2, 1.2, 0))
    kept = beside(*points[0], 0.02).astype(np.float32)
    near, free = (detailed(soft, drawn_of(soft), k, points, FACTS, rng()) for k in (kept, NOTHING))
    ring = beside(*points[0], 0.03) & ~beside(*points[0], 0.02)
    moved = [np.abs(luma(out - soft))[ring].mean() for out in (near, free)]
    assert moved[0] < 0.3 * moved[1]


def test_a_smaller_face_gets_detail_of_its_size(portrait):
    """What is added to a frame of half the side is what is added to the frame, of half the side."""
    frame, points = portrait
    soft = ndimage.gaussian_filter(frame, (2, 2, 0))

    def added(frame: np.ndarray) -> np.ndarray:
        exemplar = Exemplar(
            np.clip((frame + 1) * 127.5, 0, 255).astype(np.uint8),
            np.full(frame.shape[:2], 255, np.uint8),
        )
        nothing = np.zeros(frame.shape[:2])
        return luma(detailed(frame, exemplar, nothing, points, FACTS, rng()) - frame)

    large, small = halved(added(soft)), added(halved(soft))
    eyes = halved(around(points).astype(float)) > 0.5
    assert np.corrcoef(large[eyes], small[eyes])[0, 1] > 0.8


@pytest.mark.parametrize("factor", [4, 16])
def test_very_small_frames_are_taken(portrait, factor):
    frame, points = portrait
    side = SIZE // factor
    small = frame.reshape(side, factor, side, factor, 3).mean((1, 3))
    exemplar = Exemplar(
        np.clip((small + 1) * 127.5, 0, 255).astype(np.uint8), np.full((side, side), 255, np.uint8)
    )
    out = detailed(small, exemplar, np.zeros((side, side)), points, FACTS, rng())
    assert out.shape == small.shape and np.isfinite(out).all()
    assert np.abs(out.mean() - small.mean()) < 0.05


@pytest.mark.parametrize("period", [2, 4])
def test_a_lattice_of_the_heads_blocks_cancels(portrait, monkeypatch, period):
    """Whatever it is in one place of the blocks, its mean over places is flat."""
    frame, points = portrait

    def lattice(params, seen, told, noise):
        rows, columns = (np.arange(n) % period for n in seen.shape[1:3])
        return np.broadcast_to(0.3 * np.cos(np.pi * rows[:, None]) + 0 * columns, seen.shape[:3])

    monkeypatch.setattr(detail, "_head", lambda: (None, lattice))
    out = detail.detailed(frame, drawn_of(frame), NOTHING, points, FACTS, rng())
    monkeypatch.setattr(detail, "_head", lambda: (None, lambda p, s, *_: np.zeros(s.shape[:3])))
    plain = detail.detailed(frame, drawn_of(frame), NOTHING, points, FACTS, rng())
    np.testing.assert_allclose(out, plain, atol=1e-3)


INNER = ndimage.binary_erosion((Y < 0.3) & (np.hypot(X - 0.5, Y - 0.5) >= 0.4), iterations=12)


def strands_of(picture: np.ndarray) -> np.ndarray:
    """What is added to the luma of plain dark hair above the face, whose exemplar has that picture [S,S,3] there."""
    exemplar = smooth_person()
    hair = (Y < 0.3) & (exemplar.skin == 0)
    shown = np.where(hair[..., None], picture, exemplar.picture).astype(np.uint8)
    frame = frame_of(exemplar)
    frame[hair] = np.array([60, 45, 30], np.float32) / 127.5 - 1
    exemplar = dataclasses.replace(exemplar, picture=shown)
    return luma(detailed(frame, exemplar, NOTHING, FACE, FACTS, rng()) - frame)


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


def test_a_backdrop_gets_no_detail():
    """A head that sharpens draws a light line around what stands before one."""
    exemplar = smooth_person()
    frame = frame_of(exemplar)
    out = detailed(frame, exemplar, NOTHING, FACE, FACTS, rng())
    beyond = np.hypot(X - 0.5, Y - 0.5) > 0.43
    np.testing.assert_allclose(out[beyond], frame[beyond], atol=2e-4)
    cheek = beside(0.35, 0.58, 0.06)
    assert np.abs(out - frame)[cheek].max() > 2e-3


def test_hair_takes_two_fifths_of_what_the_head_adds(monkeypatch):
    """It is combed, and has strands already."""
    exemplar = smooth_person()
    hair = (Y < 0.2).astype(np.float32)
    monkeypatch.setattr(detail, "hair_of", lambda *_: hair)
    monkeypatch.setattr(detail, "combed", lambda frame, *_: frame)
    monkeypatch.setattr(detail, "redrawn", lambda frame, *_: frame)
    monkeypatch.setattr(detail, "_learned", lambda light, *_: np.full_like(light, 0.05))
    frame = np.full((SIZE, SIZE, 3), -0.2, np.float32)  # neither skin nor backdrop
    exemplar = dataclasses.replace(exemplar, skin=np.zeros_like(exemplar.skin))
    out = detailed(frame, exemplar, NOTHING, FACE, FACTS, rng())
    added = np.log((out + 1) / (frame + 1)).mean(-1)
    on, off = added[Y < 0.15].mean(), added[(Y > 0.8) & (X < 0.2)].mean()
    assert off > 0.04
    assert on == pytest.approx(detail.HAIR * off, rel=0.05)
