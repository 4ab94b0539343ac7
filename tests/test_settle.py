"""Settling: a refined person loses patches, strokes, years and rims of another hue, and nothing else."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refined import (
    FACE,
    NOTHING,
    NOWHERE,
    SIZE,
    frame_of,
    hues,
    lightness,
    of_exemplar,
    person,
    tinted,
)
from small_model import LANDMARKS, weight_file

from jaxderm.attributes import Attributes, BodySite, Sex, Source, rgb_to_lab
from jaxderm.data.exemplars import Exemplar
from jaxderm.models.spec import Photographs
from jaxderm.release import synthesize
from jaxderm.release.settle import PADDED, settled
from jaxderm.release.synthesize import Deidentifier


def beside_border() -> np.ndarray:
    where = np.ones((SIZE, SIZE), bool)
    where[PADDED:-PADDED, PADDED:-PADDED] = False
    return where


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3), st.integers(0, 4), st.floats(-0.4, 0.4))
def test_a_line_along_the_border_goes_and_a_strand_across_it_stays(turns, row, depth):
    exemplar = dataclasses.replace(person(), skin=np.zeros((SIZE, SIZE), np.uint8))
    plain = np.zeros((SIZE, SIZE, 3), np.float32)
    plain[:, 60:62] = -0.5
    frame = plain.copy()
    frame[row : row + 2] += depth
    frame, plain = (np.rot90(f, turns).copy() for f in (frame, plain))
    out = settled(frame, exemplar, NOTHING, NOWHERE)
    middle = np.zeros((SIZE, SIZE), bool)
    middle[:8, 20:-20] = True
    middle = np.rot90(middle, turns)
    assert np.abs(lightness(out) - lightness(plain))[middle].max() < 2


@settings(max_examples=10, deadline=None)
@given(st.floats(0.2, 0.35), st.floats(0.35, 0.65))
def test_a_blue_forehead_gets_the_cheeks_hue_and_keeps_its_light(by, x):
    exemplar = person()
    v, u = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    where = np.exp(-0.5 * (np.hypot(u - x, v - 0.22) / 0.06) ** 2)
    frame = tinted(frame_of(exemplar), where, by)
    tinted_too = of_exemplar(exemplar, frame)
    out = settled(frame, tinted_too, NOTHING, FACE, 40.0, True)
    plain = settled(frame_of(exemplar), exemplar, NOTHING, FACE, 40.0, True)
    skin = (exemplar.skin > 0) & (where > 0.7)
    left = np.abs(hues(out) - hues(plain))[skin].mean(0)
    there = np.abs(hues(frame) - hues(plain))[skin].mean(0)
    assert (left < 0.75 * there).all() and (left < 0.12).all()
    assert np.abs(lightness(out) - lightness(plain))[skin].max() < 4


@pytest.mark.parametrize("what", ["as pale as foreheads are", "rosy", "beside the kept", "collar"])
def test_other_hues_stay(what):
    exemplar, mask = person(), NOTHING.copy()
    v, u = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    at = (0.5, 0.86) if what == "collar" else (0.5, 0.22)
    where = np.exp(-0.5 * (np.hypot(u - at[0], v - at[1]) / 0.05) ** 2)
    if what == "beside the kept":
        mask[np.hypot(u - at[0], v - at[1]) < 0.03] = 1
    by = {"as pale as foreheads are": 0.04, "rosy": -0.03}.get(what, 0.2)
    frame = tinted(frame_of(exemplar), where, by)
    exemplar = of_exemplar(exemplar, frame)
    # At those eyes and mouth the frame's end is below the chin.
    points = FACE - [0, 0.06] if what == "collar" else FACE
    out = settled(frame, exemplar, mask, points, 60.0, False)
    some = mask > 0 if mask.any() else (where > 0.5) & (exemplar.skin > 0)
    assert np.abs(hues(out) - hues(frame))[some].mean() < 0.03


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 0.25), st.sampled_from([0.2, 0.8]))
def test_a_glowing_ear_gets_the_cheeks_hue(by, x):
    exemplar = person()
    v, u = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    where = np.exp(-0.5 * (np.hypot(u - x, v - 0.5) / 0.06) ** 2)
    frame = tinted(frame_of(exemplar), where, -by)
    glowing = of_exemplar(exemplar, frame)
    out = settled(frame, glowing, NOTHING, FACE, 40.0, True)
    plain = settled(frame_of(exemplar), exemplar, NOTHING, FACE, 40.0, True)
    skin = (exemplar.skin > 0) & (where > 0.7)
    left, there = (np.abs(hues(f) - hues(plain))[skin].mean(0) for f in (out, frame))
    assert (left < 0.75 * there).all() and (left < 0.13).all()
    assert np.abs(lightness(out) - lightness(plain))[skin].max() < 4


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.2, 0.2), st.floats(-0.15, 0.15), st.floats(-0.15, 0.15), st.integers(0, 99))
def test_light_over_the_skin_and_grain_stay(level, across, down, seed):
    """Whatever is linear in place, or finer than a patch, is a photograph's."""
    exemplar = person(seed)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    light = (level + across * x + down * y)[..., None]
    grain = np.random.default_rng(seed).normal(0, 0.03, (SIZE, SIZE, 1))
    frame = np.clip(frame_of(exemplar) + light + grain, -1, 1).astype(np.float32)
    inner = np.hypot(x, y) < 0.35
    moved = np.abs(lightness(settled(frame, exemplar, NOTHING, NOWHERE)) - lightness(frame))[inner]
    assert np.quantile(moved, 0.99) < 1.5


@settings(max_examples=20, deadline=None)
@given(
    st.floats(-0.15, 0.15), st.floats(-0.15, 0.15), st.floats(0.08, 0.12),
    st.sampled_from([-0.5, -0.35, 0.3]),
)  # fmt: skip
def test_a_patch_goes_and_the_backdrop_stays(x0, y0, radius, depth):
    exemplar = person()
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    patch = np.hypot(x - x0, y - y0) < radius
    backdrop = np.hypot(x, y) > 0.45
    frame = frame_of(exemplar) + depth * (patch | backdrop)[..., None]
    frame = np.clip(frame, -1, 1).astype(np.float32)
    out = settled(frame, exemplar, NOTHING, NOWHERE)
    middle = np.hypot(x - x0, y - y0) < radius - 0.03
    clean = lightness(frame_of(exemplar))
    before, after = (np.abs(lightness(f) - clean)[middle].mean() for f in (frame, out))
    assert after < 0.4 * before
    backdrop &= ~beside_border()
    np.testing.assert_allclose(lightness(out)[backdrop], lightness(frame)[backdrop], atol=0.5)


def test_skin_that_goes_on_from_the_kept_stays_as_refined():
    exemplar = person()
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    frame = frame_of(exemplar) - 0.35 * (np.hypot(x, y) < 0.12)[..., None]
    frame = np.clip(frame, -1, 1).astype(np.float32)
    kept = (np.hypot(x, y) < 0.1).astype(np.float32)
    beside = (np.hypot(x, y) > 0.1) & (np.hypot(x, y) < 0.11)
    moved = [
        np.abs(lightness(settled(frame, exemplar, mask, NOWHERE)) - lightness(frame))[beside].mean()
        for mask in (kept, NOTHING)
    ]
    assert moved[0] < 1 < 4 < moved[1]


def test_a_rim_of_another_hue_goes_and_the_edge_stays():
    exemplar = person()
    frame = frame_of(exemplar)
    frame[:, 60:62] += [0.3, -0.1, -0.3]
    out = settled(np.clip(frame, -1, 1), exemplar, NOTHING, NOWHERE)
    hues = [rgb_to_lab((np.clip(f, -1, 1) + 1) / 2)[20:100, :, 2] for f in (frame, out)]
    beside = hues[0][:, 52:56].mean()
    assert hues[0][:, 60:62].mean() - beside > 15
    assert abs(hues[1][:, 60:62].mean() - beside) < 3
    across = lightness(out)[SIZE // 2]  # of the disc's edge
    assert across[20] - across[8] > 25


def test_without_skin_there_are_no_patches():
    exemplar = dataclasses.replace(person(), skin=np.zeros((SIZE, SIZE), np.uint8))
    frame = np.clip(frame_of(exemplar) + 0.4, -1, 1).astype(np.float32)
    out, inside = settled(frame, exemplar, NOTHING, NOWHERE), ~beside_border()
    np.testing.assert_allclose(lightness(out)[inside], lightness(frame)[inside], atol=1)


@pytest.mark.parametrize(
    "row, level, stays",
    [(0.83, 0.95, True), (0.25, 0.95, False), (0.77, 0.95, True), (0.77, -0.3, False)],
)
def test_a_collar_stays_and_a_pale_forehead_and_a_dark_chin_do_not(row, level, stays):
    """White where the exemplar shows skin, below the chin and above the brows; a smear just below it."""
    exemplar = dataclasses.replace(person(), skin=np.full((SIZE, SIZE), 255, np.uint8))
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    frame = frame_of(exemplar)
    patch = np.hypot((x - 0.5) / 2, y - row) < 0.06
    frame[patch] = level
    out = settled(frame, exemplar, NOTHING, FACE)
    middle = np.hypot((x - 0.5) / 2, y - row) < 0.04
    moved = np.abs(lightness(out) - lightness(frame))[middle].mean()
    assert (moved < 3) if stays else (moved > 5)


@pytest.mark.parametrize(
    "skin, slope, told", [((180, 140, 120), 3.0, False), ((60, 45, 40), 0.5, True)]
)
def test_flat_light_over_skin_becomes_a_photographs(skin, slope, told):
    """Its span over cheeks and nose grows, its middle and the surround stay; what has it stays."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    disc = (np.hypot(x - 0.5, y - 0.5) < 0.4)[..., None]
    picture = np.where(disc, skin, [60, 90, 130]) * (1 + slope * (x[..., None] - 0.5) * disc)
    exemplar = Exemplar(
        np.clip(picture, 0, 255).astype(np.uint8), (disc[..., 0] * 255).astype(np.uint8)
    )
    frame = frame_of(exemplar)
    out = settled(frame, exemplar, NOTHING, FACE)
    labs = [rgb_to_lab((np.clip(f, -1, 1) + 1) / 2) for f in (frame, out)]
    cheeks = (np.abs(x - 0.5) < 0.1) & (y > 0.5) & (y < 0.58)
    before, after = (np.ptp(lab[cheeks, 0]) for lab in labs)
    assert (after > 1.3 * before) if told else (after < 1.1 * before)
    moved = np.abs(np.median(labs[1][cheeks] - labs[0][cheeks], axis=0))
    assert moved.max() < 1.5
    outside = np.hypot(x - 0.5, y - 0.5) > 0.45
    # A backdrop as dark as the skin has a little of the shape that a jaw gets.
    np.testing.assert_allclose(labs[1][outside], labs[0][outside], atol=2)


Y, X = np.mgrid[:SIZE, :SIZE] / SIZE
FOLDS, CHEEK = (np.arange(SIZE)[:, None] % 8 < 2) & (Y > 0), np.hypot(X - 0.3, Y - 0.58) < 0.06


def folded(folds: np.ndarray, by: float = 0.2) -> tuple[np.ndarray, Exemplar]:
    """A frame whose skin has dark folds [S,S] bool, so deep, and its exemplar, which has none."""
    exemplar = person()
    frame = frame_of(exemplar)
    frame[folds & (exemplar.skin > 0)] -= by
    return frame, exemplar


def skin_everywhere() -> Exemplar:
    """A person whose frame is skin of one colour."""
    skin, picture = np.full((SIZE, SIZE), 255, np.uint8), np.full((SIZE, SIZE, 3), 0, np.uint8)
    picture[:] = (205, 160, 140)
    return dataclasses.replace(person(), skin=skin, picture=picture)


def depth(frame: np.ndarray, folds: np.ndarray, near: np.ndarray) -> float:
    light = lightness(frame)
    return float(light[near & ~folds].mean() - light[near & folds].mean())


@settings(max_examples=20, deadline=None)
@given(st.floats(18, 80), st.floats(18, 80))
def test_the_younger_the_fewer_folds(one, other):
    """A cheek's folds by age: none is made deeper, the older keeps more, the old all."""
    frame, exemplar = folded(FOLDS)
    plain = depth(settled(frame, exemplar, NOTHING, FACE), FOLDS, CHEEK)
    young, old = (
        depth(settled(frame, exemplar, NOTHING, FACE, age, True), FOLDS, CHEEK)
        for age in sorted((one, other))
    )
    assert young <= old + 0.01 and old <= plain + 0.01
    assert young < 0.45 * plain if min(one, other) < 21 else young >= 0
    if max(one, other) > 60:
        assert old > 0.99 * plain


@pytest.mark.parametrize("by, age", [(0.2, 42.0), (0.02, 42.0), (0.2, 61.0)])
def test_deep_folds_are_held_in_the_middle_years_and_shallow_ones_stay(by, age):
    frame, exemplar = folded(FOLDS, by)
    plain, other, held = (
        depth(settled(frame, exemplar, NOTHING, FACE, years, aged), FOLDS, CHEEK)
        for years, aged in ((70.0, True), (age, False), (age, True))
    )
    assert other > 0.99 * plain
    deep = by > 0.1 and age < 60
    assert (0.4 * plain < held < 0.85 * plain) if deep else held > 0.95 * plain


@pytest.mark.parametrize(
    "age, aged", [(None, False), (20.0, False), (20.0, True), (50.0, False), (70.0, False)]
)
def test_lines_on_a_forehead_fade_but_on_the_olds(age, aged):
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    folds = (np.arange(SIZE)[:, None] % 8 < 2) & (y > 0)
    frame, exemplar = folded(folds)
    out = settled(frame, exemplar, NOTHING, FACE, age, aged)
    above = (y > 0.17) & (y < 0.24) & (np.abs(x - 0.5) < 0.1)
    chin = (y > 0.67) & (y < 0.715) & (np.abs(x - 0.5) < 0.1)
    faded = depth(out, folds, above) / depth(frame, folds, above)
    assert (faded > 0.9) if age == 70.0 else (faded < 0.5)
    if not aged:
        assert depth(out, folds, chin) > 0.8 * depth(frame, folds, chin)


@pytest.mark.parametrize("where", ["eye", "kept", "backdrop"])
def test_youth_leaves_features_and_what_is_beside_the_kept(where):
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    folds = (np.arange(SIZE)[:, None] % 8 < 2) & (y > 0)
    frame, exemplar = folded(folds)
    mask = (np.hypot(x - 0.28, y - 0.6) < 0.04).astype(np.float32)
    near = {
        "eye": np.hypot(x - 0.6, y - 0.45) < 0.03,
        "kept": mask > 0, "backdrop": np.hypot(x - 0.5, y - 0.5) > 0.43,
    }[where]  # fmt: skip
    old, young = (settled(frame, exemplar, mask, FACE, 20.0, aged) for aged in (False, True))
    # Smoother cheeks get a little more of a photograph's light, and eyes with them.
    atol = 3 if where == "eye" else 1.5
    np.testing.assert_allclose(lightness(young)[near], lightness(old)[near], atol=atol)


def test_brows_and_lashes_stay():
    exemplar = person()
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    brow = (np.abs(y - 0.39) < 0.012) & (np.abs(np.abs(x - 0.5) - 0.1) < 0.05)
    picture = exemplar.picture.copy()
    picture[brow] = [55, 38, 30]
    exemplar = Exemplar(picture, np.where(brow, 0, exemplar.skin).astype(np.uint8))
    frame = np.clip(frame_of(exemplar) + 0.3, -1, 1).astype(np.float32)
    out = settled(frame, exemplar, NOTHING, FACE)
    np.testing.assert_allclose(lightness(out)[brow], lightness(frame)[brow], atol=6)


def test_a_young_chin_keeps_its_outline_and_a_young_cheek_no_fold():
    """A shade as wide as that under a jaw stays in part; on the cheek it goes."""
    exemplar = skin_everywhere()
    rows, width = (0.57, 0.86), 0.012  # on the cheek, below the mouth; of the frame
    frame = frame_of(exemplar)
    for row in rows:
        line = np.exp(-0.5 * np.square((np.arange(SIZE) + 0.5 - row * SIZE) / (width * SIZE)))
        frame -= np.float32(0.1) * line[:, None, None].astype(np.float32)
    out = settled(frame, of_exemplar(exemplar, frame), NOTHING, FACE, 19.0, True)
    column = int(0.39 * SIZE)
    cheek, chin = (
        np.divide(
            *(
                np.ptp(lightness(f)[int(row * SIZE) - 12 : int(row * SIZE) + 1, column])
                for f in (out, frame)
            )
        )
        for row in rows
    )
    assert cheek < 0.97 * chin


OLD = Photographs(ages_female=(56, 75), older_female=4)


@pytest.mark.parametrize(
    "photographs, age, told",
    [(OLD, 26.0, (22.0, True)), (OLD, 20.0, (18.0, True)), (OLD, 60.0, (60.0, False)),
     (OLD, None, (None, False)), (Photographs(older_female=4), 26.0, (22.0, False))],
)  # fmt: skip
def test_years_are_taken_where_the_photographs_show_older_people(
    monkeypatch, photographs, age, told
):
    """Those that the refiner added: the age is the exemplar's, and none are where it was asked for the declared age."""
    calls = []
    monkeypatch.setattr(
        synthesize, "settled", lambda *given: calls.append(given[-3:]) or settled(*given)
    )
    photo = np.random.default_rng(0).integers(90, 200, (110, 110, 3), np.uint8)
    mask = np.zeros((110, 110), bool)
    mask[60:66, 44:50] = True
    facts = Attributes(Sex.FEMALE, age, 20.0, BodySite.FACE, source=Source.PHOTO)
    model = Deidentifier.load(str(weight_file(exemplars=True)))
    monkeypatch.setattr(
        model.engine, "spec", dataclasses.replace(model.engine.spec, photographs=photographs)
    )
    model(photo, mask, facts, landmarks=LANDMARKS, force=True)
    assert calls == [(*told, Sex.FEMALE)]


@pytest.mark.parametrize("age, photographed", [(40.0, True), (9.0, False)])
def test_only_a_photographed_person_is_settled_and_gets_detail(monkeypatch, age, photographed):
    """A child stays as rendered, so nothing was laid over it."""
    calls = []
    monkeypatch.setattr(synthesize, "settled", lambda *given: calls.append(0) or settled(*given))
    monkeypatch.setattr(
        synthesize, "detailed", lambda *given: calls.append(given[-1].random()) or given[0]
    )
    photo = np.random.default_rng(0).integers(90, 200, (110, 110, 3), np.uint8)
    mask = np.zeros((110, 110), bool)
    mask[60:66, 44:50] = True
    facts = Attributes(Sex.FEMALE, age, 20.0, BodySite.FACE, source=Source.PHOTO)
    model = Deidentifier.load(str(weight_file(exemplars=True)))
    for seed in (0, 0, 1):
        model(photo, mask, facts, landmarks=LANDMARKS, force=True, seed=seed)
    first, again, other = calls[1::2] or (0, 0, 1)
    assert bool(calls) is photographed and first == again != other


@pytest.mark.parametrize("by, stays", [(0.012, True), (0.15, False)])
def test_a_young_womans_fine_relief_stays_and_a_young_mans_does_not(by, stays):
    frame, exemplar = folded(FOLDS, by)
    plain, woman, man = (
        depth(settled(frame, exemplar, NOTHING, FACE, 20.0, aged, sex), FOLDS, CHEEK)
        for aged, sex in ((False, Sex.FEMALE), (True, Sex.FEMALE), (True, Sex.MALE))
    )
    assert man < 0.2 * plain
    # The exemplar's own grain is some of what stays.
    assert (woman > 2 * man) if stays else (woman < 1.6 * man)


@pytest.mark.parametrize("age", [20.0, 45.0, 80.0, None])
def test_a_neck_has_no_lines_at_any_age(age):
    exemplar = skin_everywhere()
    frame = frame_of(exemplar)
    frame[FOLDS] -= 0.1
    out = settled(frame, exemplar, NOTHING, FACE, age)
    neck = (Y > 0.78) & (Y < 0.92) & (np.abs(X - 0.5) < 0.1)
    assert depth(out, FOLDS, neck) < 0.5 * depth(frame, FOLDS, neck)


@pytest.mark.parametrize("colour, stays", [((0.95, 0.95, 0.98), True), ((0.98, 0.8, 0.45), False)])
def test_a_white_collar_stays_and_a_neck_does_not_glow(colour, stays):
    exemplar = skin_everywhere()
    frame = frame_of(exemplar)
    patch = np.hypot((X - 0.5) / 2, Y - 0.83) < 0.05
    frame[patch] = colour
    out = settled(frame, exemplar, NOTHING, FACE)
    middle = np.hypot((X - 0.5) / 2, Y - 0.83) < 0.03
    moved = (lightness(frame) - lightness(out))[middle].mean()
    assert (moved < 3) if stays else (moved > 4)
