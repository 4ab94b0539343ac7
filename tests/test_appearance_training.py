"""Fit of the appearance of faces: portraits lie on each other, age is told, smiles and glasses are not, light is a mode."""

import dataclasses
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from scipy import ndimage
from small_model import LANDMARKS

from jaxderm.attributes import LUMA, Attributes, BodySite, Sex
from jaxderm.commands import train_appearance
from jaxderm.data.features import Record
from jaxderm.face import face_coordinates
from jaxderm.models.appearance import (
    AGES,
    FINER,
    SEXES,
    SPARSE,
    STEP,
    begun,
    mouth_of,
    nodes,
    rows_and_columns,
    with_other_side,
)
from jaxderm.models.texture import APART
from jaxderm.release.appearance import WEIGHTS
from jaxderm.train import appearance, closed_mouths, regression
from jaxderm.train import registered as registered_module
from jaxderm.train.appearance import fit
from jaxderm.train.registered import Face, coarse, even, laid, of_face, registered
from jaxderm.train.shapes import SHAPES, shapes_of

ACROSS, DOWN = nodes(FINER)
FEW = nodes()[0].shape
MARKS = rows_and_columns(LANDMARKS.astype(float), LANDMARKS.astype(float))


def blob(across: float, down: float, wide: float = 0.15) -> np.ndarray:
    return np.exp(-0.5 * (np.square(ACROSS - across) + np.square(DOWN - down)) / wide**2)


# What every face has: eyes, brows, a nose, a mouth, an outline.
FEATURES = -0.6 * (
    blob(0.5, 0, 0.1) + blob(-0.5, 0, 0.1) + blob(0.45, -0.3, 0.08) + blob(-0.45, -0.3, 0.08)
) - 0.4 * (blob(0, 0.62, 0.12) + blob(0.2, 1, 0.1) + blob(-0.2, 1, 0.1))
OUTLINE = np.hypot(ACROSS / 1.0, (DOWN - 0.4) / 1.3)
FEATURES = FEATURES - 0.8 / (1 + np.exp((1 - OUTLINE) / 0.04))


def face(of: np.ndarray, sex: Sex, age: float = 45.0, wide: float = 0.8) -> Face:
    """Of that light at the nodes, [H,W] or [3,H,W], skin within the outline."""
    light = np.broadcast_to(of, (3, *ACROSS.shape)).astype(np.float32)
    skin = (OUTLINE < 1).astype(np.float32)
    return Face(light, np.ones(ACROSS.shape, np.float32), skin, MARKS, wide, sex, age, 30.0)


def people(of, count: int = 40) -> list[Face]:
    """As many of each sex, by `of` (a generator of numbers, sex, age, width of the mouth)."""
    faces = []
    for k in range(count):
        rng = np.random.default_rng(k)
        sex, age, wide = SEXES[k % 2], rng.uniform(30, 80), rng.uniform(0.7, 1.1)
        teeth = (wide - 0.9) * blob(0, 1.05, 0.1) + rng.normal(0, 0.02) * blob(0, 1.05, 0.1)
        light = FEATURES + teeth + of(rng, sex, age, wide) + rng.normal(0, 0.003, ACROSS.shape)
        faces.append(face(light, sex, age, wide))
    return faces


def mean(planes: np.ndarray, across: float, down: float, reach: float = 0.08) -> float:
    return float(planes[..., np.hypot(ACROSS - across, DOWN - down) < reach].mean())


def sparse(planes: np.ndarray) -> np.ndarray:
    return coarse(planes)[..., ::SPARSE, ::SPARSE]


@pytest.fixture
def in_place(monkeypatch):
    """Faces that lie on each other already."""

    def found(faces):
        template = np.mean([f.light.mean(0) for f in faces], 0) * (OUTLINE < 0.95)
        return (
            np.zeros((len(faces), 2, *FEW), np.float32),
            coarse(template).astype(np.float32),
            MARKS,
        )

    def mean(faces, marks):
        return np.repeat(even(np.mean([f.light for f in faces], 0))[None], len(AGES), 0)

    monkeypatch.setattr(appearance, "registered", found)
    monkeypatch.setattr(appearance, "closed_mouths", mean)
    monkeypatch.setattr(regression, "ROUNDS", 1)


@pytest.mark.parametrize("turn", [0.0, 0.2])
def test_a_face_is_read_off_a_picture(turn):
    """In logarithms, less those of the cheeks, of any direction; hair is no skin."""
    side = 220
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = (LANDMARKS / 110 - 0.5) @ turned * side * 0.9 + side / 2
    across, down = face_coordinates(points, (side, side))
    shade = -0.3 * np.exp(-0.5 * (np.square(across) + np.square(down - 1.4)) / 0.2**2)
    picture = np.array([200.0, 150, 120]) * np.exp(shade)[..., None]
    picture[down < -0.8] = 20
    seen = of_face(picture.clip(0, 255).astype(np.uint8), points, Sex.MALE, 50.0, None)
    there = (np.abs(ACROSS) < 0.8) & (DOWN > 0.8) & (DOWN < 1.6)
    luma = np.tensordot(LUMA, seen.light, 1)
    assert np.abs(luma + 0.3 * blob(0, 1.4, 0.2))[there].max() < 0.06
    assert seen.skin[DOWN < -1.0].max() < 0.3
    assert seen.skin[(np.abs(ACROSS) < 0.2) & (np.abs(DOWN - 0.4) < 0.2)].min() > 0.9
    width, apart = (
        np.linalg.norm(v) for v in (points[4] - points[3], points[3:].mean(0) - points[:2].mean(0))
    )
    assert seen.wide == pytest.approx(width / apart)
    np.testing.assert_allclose(seen.marks, rows_and_columns(points, points))


def test_faces_are_laid_on_each_other():
    """Their mean is nearly as sharp as each, and without it hardly half."""
    faces = []
    for k in range(12):
        rng = np.random.default_rng(k)
        flow = ndimage.gaussian_filter(rng.standard_normal((2, *ACROSS.shape)), (0, 36, 36))
        flow *= 7 / np.abs(flow).max()
        moved = ndimage.map_coordinates(FEATURES, np.indices(ACROSS.shape) + flow, order=1)
        faces.append(face(moved, SEXES[k % 2]))
    flows, template, marks = registered(faces)
    np.testing.assert_allclose(marks, MARKS, atol=0.5)  # mirrored too
    assert flows.shape == (12, 2, *FEW) and np.abs(flows.mean(0)).max() < 0.5
    np.testing.assert_allclose(template, template[:, ::-1], atol=1e-6)
    planes, shown, skin = laid(faces, flows)
    assert (
        planes.shape == (12, 3, *ACROSS.shape) and shown.shape == skin.shape == planes[:, 0].shape
    )
    inside = OUTLINE < 1.15
    apart = [np.std(some, 0)[inside].mean() for some in ([f.light[0] for f in faces], planes[:, 0])]
    assert apart[1] < 0.5 * apart[0]


def test_one_sex_is_as_much_of_the_template_as_the_other():
    """However many portraits there are of each."""
    faces = [face(FEATURES, Sex.MALE)] * 15 + [face(FEATURES - 0.5 * blob(0, -0.7), Sex.FEMALE)]
    even = faces[:1] + faces[-1:]
    np.testing.assert_allclose(registered(faces)[1], registered(even)[1], atol=1e-3)


def test_sex_and_age_are_told_and_a_smile_is_not(in_place):
    nose, years = -0.3 * blob(0, 0.5, 0.1), -0.3 * blob(0, 1.6, 0.2)
    smile = -0.8 * (blob(0.6, 1.15, 0.08) + blob(-0.6, 1.15, 0.08))

    def of(rng, sex, age, wide):
        of_sex = nose if sex is Sex.FEMALE else 0
        return of_sex + years * (age - 30) / 45 + smile * (wide - appearance.UNSMILING)

    found = with_other_side(fit(people(of)).people)
    women, men = (mean(row, 0, 0.5) for row in found[:, 1])
    assert women == pytest.approx(men - 0.24, abs=0.08)
    for of_sex in found:
        young, middle, old = (mean(row, 0, 1.6) for row in of_sex)
        assert young > middle + 0.06 > old + 0.12
        assert mean(of_sex[2], 0.6, 1.15) > -0.12  # 0.32 with the width of an ordinary smile


def test_glasses_of_few_are_not_everybodys():
    """The mean of all would have a fifth of them."""
    rng = np.random.default_rng(0)
    terms = np.stack(
        [
            appearance._term(SEXES[k % 2], rng.uniform(30, 80), 0.8, rng.normal(), 25.0)
            for k in range(200)
        ]
    )
    light = rng.normal(0, 0.02, (200, 3, 4, 5))
    light[rng.random(200) < 0.2] -= 1.0
    weight = np.ones((200, 4, 5))
    coefficients, left = regression.regressed(light, weight, terms, appearance.RIDGES)
    found = np.tensordot(terms, coefficients, 1)
    assert np.abs(found).mean() < 0.03
    # What is left of those who have them is their glasses.
    np.testing.assert_allclose(left, (light - found).transpose(0, 2, 3, 1) @ LUMA, atol=1e-9)


def test_where_most_have_no_skin_it_is_as_near_by(in_place):
    """Beyond the outline no hair and no backdrop is told, and nothing is taken."""
    found = fit(people(lambda *_: np.zeros_like(ACROSS)))
    beyond = (OUTLINE > 1.1) & (OUTLINE < 1.3) & (DOWN > -0.4) & (DOWN < 1.2)
    assert with_other_side(found.people)[..., beyond].min() > -0.5
    outline, down = coarse(OUTLINE), coarse(DOWN)
    assert found.skin[outline > 1.05].max() < 0.01
    assert found.skin[(outline < 0.9) & (down < 1.3) & (down > -0.4)].min() > 0.99


def test_light_from_a_side_is_the_first_mode_and_no_part_of_the_mean(in_place, monkeypatch):
    """However many portraits are lit from one side."""
    monkeypatch.setattr(appearance, "one_half", lambda planes: planes)
    side = np.tanh(2 * ACROSS)
    found = fit(people(lambda rng, *_: 0.2 * (0.5 + rng.normal()) * side))
    np.testing.assert_allclose(found.people, found.people[..., ::-1], atol=2e-3)
    inside = sparse(OUTLINE) < 0.9
    first = found.modes[0]
    assert abs(np.corrcoef(first[inside], sparse(side)[inside])[0, 1]) > 0.95
    assert 0.1 < np.abs(first).max() < 0.35


def test_modes_are_the_same_on_both_sides_or_opposite(in_place):
    """Also where all who are lit from the left have a bright forehead: they might be lit from the right."""
    lit = np.tanh(2 * ACROSS) + 0.8 * blob(0, -0.1, 0.5)
    for mode in fit(people(lambda rng, *_: 0.2 * rng.normal() * lit)).modes[:2]:
        assert abs(np.corrcoef(mode.ravel(), mode[:, ::-1].ravel())[0, 1]) > 0.95


def test_marks_are_landmarks_and_brows(in_place):
    found = fit(people(lambda *_: np.zeros_like(ACROSS))).marks
    np.testing.assert_allclose(found[:5], MARKS)
    for (row, column), across in zip(found[5:], (-0.45, 0.45)):
        assert DOWN[0, 0] + STEP * row == pytest.approx(-0.3, abs=0.06)
        assert ACROSS[0, 0] + STEP * column == pytest.approx(across, abs=0.08)


@pytest.mark.parametrize("age", [25.0, 80.0])
def test_creases_of_the_young_go_but_for_eyes_nose_mouth_and_chin(age):
    places = {"eye": (0.5, -0.2), "nose": (0.15, 0.65), "mouth": (0.2, 1.1), "chin": (0, 1.7)}
    crease = (0.7, 0.75)
    field = -0.2 * sum(blob(*place, 0.05) for place in (*places.values(), crease))
    left = appearance._uncreased(np.repeat(field[None], 3, 0), age)

    def deepest(across, down):
        return left[:, np.hypot(ACROSS - across, DOWN - down) < STEP].min()

    for place in places.values():
        assert deepest(*place) < -0.14
    assert (deepest(*crease) > -0.08) == (age < 50)


@settings(max_examples=20, deadline=None)
@given(st.floats(-1, 1), st.floats(0.1, 0.4))
def test_where_nothing_is_told_it_is_as_near_by(value, hole):
    told = (np.hypot(ACROSS, DOWN) > hole).astype(float)
    filled = appearance._filled(np.where(told, value, 9.0)[None], told)
    np.testing.assert_allclose(filled, value, atol=1e-3 + 0.02 * abs(value))


def mouths(count: int = 60) -> tuple[list[Face], np.ndarray]:
    """(men with their mouths closed or open, of any light, who of them has it closed)."""
    faces, shut = [], np.arange(count) % 3 == 0
    for k, closed in enumerate(shut):
        rng = np.random.default_rng(k)
        light = np.repeat((FEATURES + rng.normal(0, 1.2) * ACROSS)[None], 3, 0)
        light = light + rng.normal(0, 0.01, light.shape)
        line = -0.4 * np.exp(-0.5 * np.square((DOWN - 1.02) / 0.03)) * (np.abs(ACROSS) < 0.395)
        lip = blob(0, 1.13, 0.06) * np.array([0.05, -0.05, 0.05])[:, None, None]
        teeth = np.exp(-0.5 * np.square((DOWN - 1.05) / 0.05)) * (np.abs(ACROSS) < 0.3)
        pale = teeth * np.array([0.1, 0.3, 0.4])[:, None, None]
        light = light + (line + lip if closed else pale - 0.3 * blob(0, 1.18, 0.05))
        faces.append(face(light, Sex.MALE, rng.uniform(35, 75)))
    return faces, shut


def test_who_has_the_mouth_closed_is_told():
    """By no threshold: of those who have it the surer half."""
    faces, shut = mouths()
    found = closed_mouths.closed(np.stack([coarse(f.light) for f in faces]))
    assert found.sum() == shut.sum() // 2 and not found[~shut].any()


def test_closed_mouths_have_one_line_where_landmarks_say():
    faces, shut = mouths()
    those = [faces[k] for k in shut.nonzero()[0]]
    found = closed_mouths.closed_mouths(those, MARKS)
    assert found.shape == (len(AGES), 3, *ACROSS.shape)
    for planes in found:
        assert (
            mean(planes, 0, 1.02, 0.03)
            < min(mean(planes, 0, 0.9, 0.03), mean(planes, 0, 1.16, 0.03)) - 0.15
        )
    np.testing.assert_allclose(found, found[..., ::-1], atol=1e-6)


def test_closed_mouths_come_to_lie_on_the_templates_landmarks():
    """All of them are lower in their faces, some more."""
    faces, shut = mouths()
    moved = []
    for k in shut.nonzero()[0]:
        by = 2 + k % 5  # nodes
        marks = MARKS.copy()
        marks[:, 0] += by
        aside = (k // 3) % 5 - 2  # finer nodes that landmarks do not tell
        light = np.roll(faces[k].light, FINER * by + aside, axis=1)
        moved.append(faces[k]._replace(light=light, marks=marks))
    for planes in closed_mouths.closed_mouths(moved, MARKS):
        middle = planes[:, :, np.abs(ACROSS[0]) < 0.1].mean((0, 2))
        rows = (DOWN[:, 0] > 0.85) & (DOWN[:, 0] < 1.25)
        assert DOWN[rows, 0][np.argmin(middle[rows])] == pytest.approx(1.02, abs=0.026)
        assert middle[rows].min() < np.median(middle[rows]) - 0.3  # on each other


def test_folds_of_who_smiles_with_a_closed_mouth_are_not_everybodys():
    """Mouths that are wide have them."""
    faces, shut = mouths(90)
    those = []
    for n, k in enumerate(shut.nonzero()[0]):
        wide = 0.7 + 0.015 * n
        fold = -(wide - 0.7) * (blob(0.5, 1.1, 0.06) + blob(-0.5, 1.1, 0.06))
        those.append(faces[k]._replace(light=(faces[k].light + fold).astype(np.float32), wide=wide))
    for planes in closed_mouths.closed_mouths(those, MARKS):
        assert (
            mean(planes, 0.5, 1.1, 0.03) - mean(planes, 0.5, 1.35, 0.03) > -0.1
        )  # 0.22 in the mean


def test_a_face_that_is_fitted_has_the_mouth_of_those_who_keep_it_closed(in_place, monkeypatch):
    """And women's is of their colour, whatever the men's lips are."""
    line = -0.5 * np.exp(-0.5 * np.square((DOWN - 1.02) / 0.03)) * (np.abs(ACROSS) < 0.395)
    given = []

    def closed(faces, marks):
        given.extend(faces)
        return np.broadcast_to(line, (len(AGES), 3, *ACROSS.shape))

    monkeypatch.setattr(appearance, "closed_mouths", closed)
    open_mouth = -0.6 * blob(0, 1.08, 0.08)

    def of(rng, sex, *_):
        return 0.02 * rng.normal() * blob(0, 1.05, 0.1) + (sex is Sex.FEMALE) * open_mouth

    found = with_other_side(fit(people(of)).people)
    assert given and all(f.sex is Sex.MALE for f in given)
    inside = mouth_of(ACROSS, DOWN) == 1
    np.testing.assert_allclose(
        found[1][..., inside], np.broadcast_to(line, found[1].shape)[..., inside], atol=1e-5
    )
    lip = found[0][:, :, np.hypot(ACROSS, DOWN - 1.1) < 0.03].mean(-1)
    assert (lip[:, 1] < lip[:, 0] - 0.15).all() and (lip[:, 1] < lip[:, 2] - 0.05).all()
    assert (mean(found[0], 0, 1.02, 0.02) < lip.mean() - 0.2).all()
    assert (lip @ LUMA > -0.3).all()  # of the open mouth nothing is left


def test_modes_know_no_smile(in_place):
    """What differs in light goes on over a mouth, and what mouths differ by is no part of it."""

    def of(rng, *_):
        corners = blob(0.38, 1.02, 0.07) + blob(-0.38, 1.02, 0.07)
        return 0.2 * rng.normal() * np.tanh(2 * ACROSS) + 0.5 * rng.normal() * corners

    for mode in fit(people(of)).modes[:2]:
        inside = sparse(np.hypot(ACROSS - 0.38, DOWN - 1.02) < 0.08)
        around = sparse(np.abs(np.hypot(ACROSS, DOWN - 1.05) - 0.8) < 0.05)
        assert np.abs(mode[inside]).max() < np.abs(mode[around]).max() + 0.06  # of 0.4


def test_finer_nodes_are_twice_as_many_and_one_of_two_is_a_node():
    for fine, few in zip(nodes(FINER), nodes()):
        np.testing.assert_allclose(coarse(fine), few, atol=1e-12)
        assert fine.shape == tuple(FINER * (n - 1) + 1 for n in few.shape)


def test_faces_that_are_laid_by_a_flow_move_twice_as_many_finer_nodes():
    """A flow counts in nodes."""
    of = face(blob(0.2, 0.5, 0.1), Sex.MALE)
    flow = np.zeros((1, 2, *FEW), np.float32)
    flow[:, 0] = 3.0
    light, _, _ = laid([of], flow)
    expected = blob(0.2, 0.5 - 3 * STEP, 0.1)
    np.testing.assert_allclose(light[0, 0], expected, atol=2e-3)
    assert begun(MARKS, MARKS).max() == 0


def records() -> list[Record]:
    rng = np.random.default_rng(0)
    found = []
    for k in range(2 * train_appearance.LEAST):
        image = np.clip(rng.normal([190, 150, 130], 6, (110, 110, 3)), 0, 255).astype(np.uint8)
        facts = Attributes(sex=SEXES[k % 2], age=30.0 + k, site=BodySite.FACE)
        found.append(Record(image, None, None, LANDMARKS.copy(), facts, f"p{k}", f"i{k}"))
    return found


def test_the_program_writes_what_a_release_can_load(tmp_path, monkeypatch):
    monkeypatch.setattr(train_appearance.prepare, "load", lambda *_: records())
    output, fitted = tmp_path / "appearance.safetensors", []
    monkeypatch.setattr(registered_module, "ROUNDS", 1)
    monkeypatch.setattr(regression, "ROUNDS", 1)
    monkeypatch.setattr(appearance, "fit", lambda given: fitted.append(fit(given)) or fitted[0])
    monkeypatch.setattr(sys, "argv", ["train_appearance", "--output", str(output)])
    assert train_appearance.main() == 0
    found, shipped = load_file(output), load_file(WEIGHTS)
    assert {n: (v.shape, v.dtype) for n, v in found.items()} == {
        n: (v.shape, v.dtype) for n, v in shipped.items()
    }
    # In the order of the nodes, however they lie in memory.
    for name, values in fitted[0]._asdict().items():
        np.testing.assert_array_equal(found[name], values.astype(np.float16))
    assert [p.name for p in tmp_path.iterdir()] == [output.name]


@pytest.mark.parametrize("lacks", ["corpus", "women", "ages", "landmarks"])
def test_a_corpus_that_cannot_be_fitted_to_is_one_sentence(tmp_path, monkeypatch, capsys, lacks):
    output = tmp_path / "appearance.safetensors"
    given = ["train_appearance", "--output", str(output), "--data_dir", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", given)
    if lacks != "corpus":
        found = records()
        for k, record in enumerate(found):
            change = {
                "women": {"attributes": Attributes(sex=Sex.MALE, age=50.0, site=BodySite.FACE)},
                "ages": {"attributes": Attributes(sex=SEXES[k % 2], site=BodySite.FACE)},
                "landmarks": {"landmarks": np.full((5, 2), np.nan)},
            }[lacks]
            found[k] = dataclasses.replace(record, **change)
        monkeypatch.setattr(train_appearance.prepare, "load", lambda *_: found)
    assert train_appearance.main() == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("error: ")
    assert not output.exists()


def flows_of(*parts: np.ndarray) -> np.ndarray:
    """[N,2,H,W]: sums of numbers [N] by rows [H,W] and columns [H,W]."""
    return sum(k[:, None, None, None] * np.stack([rows, columns]) for k, rows, columns in parts)


def test_shapes_are_what_faces_differ_by_and_terms_do_not_explain():
    """A jaw that is wide in some; not the nose that years lengthen, which is a term's, and not heads that turn."""
    across, down = nodes()
    rng, none = np.random.default_rng(0), np.zeros_like(across)
    jaw = across * np.exp(-0.5 * (np.square(across) / 0.5 + np.square(down - 1.2) / 0.1))
    nose = np.exp(-0.5 * (np.square(across) + np.square(down - 0.6)) / 0.05)
    wide, years, turned = rng.standard_normal((3, 60))
    flows = flows_of((4 * wide, none, jaw), (3 * years, nose, none), (5 * turned, none, nose))
    modes, by = shapes_of(flows, np.stack([np.ones(60), years], 1))
    few = np.s_[::SPARSE, ::SPARSE]
    one = modes[0] * np.sign((modes[0, 1] * jaw[few]).sum())
    assert modes.shape == (SHAPES, 2, *jaw[few].shape) and modes.dtype == np.float32
    inside = (np.hypot(across / 0.95, (down - 0.5) / 1.3) < 0.85)[few]
    assert np.abs(one[1] - 4 * wide.std() * jaw[few])[inside].max() < 0.25
    assert np.abs(one[0]).max() < 0.05 and np.abs(modes[1:]).max() < 0.05
    assert np.abs(by[1, 0] - 3 * nose[few]).max() < 0.45
    assert np.abs(by[1, 1]).max() < 0.8  # by chance the wide are of other years


def test_shapes_end_with_the_face():
    across, down = nodes()
    rng = np.random.default_rng(0)
    flows = rng.standard_normal((20, 2, 1, 1)) + np.zeros(FEW)
    modes, _ = shapes_of(flows, np.zeros((20, 1)))
    beyond = (np.abs(across) > 1.3)[::SPARSE, ::SPARSE]
    inside = (np.hypot(across, down - 0.5) < 0.8)[::SPARSE, ::SPARSE]
    assert np.abs(modes[..., beyond]).max() < 1e-9 and np.abs(modes[0, 0, inside]).min() > 0.5


def test_what_dark_skin_has_is_told_by_tone(in_place):
    """Where the dark shine, twenty degrees darker shine by so much; wherever else nothing is told."""

    def shining(faces):
        lit = []
        for k, of in enumerate(faces):
            ita = 25 - 40.0 * (k // 2 % 2)
            light = of.light + (0.2 if ita < 0 else 0) * blob(0.5, 0.5, 0.15).astype(np.float32)
            lit.append(of._replace(ita=ita, light=light + 0.2 * (ita < 0) * blob(-0.5, 0.5, 0.15)))
        return lit

    found = fit(shining(people(lambda *_: np.zeros_like(ACROSS))))
    darker = with_other_side(found.darker)
    assert mean(darker, 0.5, 0.5, 0.05) == pytest.approx(0.1, abs=0.03)
    assert abs(mean(darker, 0, 1.5)) < 0.02
    assert found.wider.shape == (2, *sparse(ACROSS).shape) and np.abs(found.wider).max() < 1e-6


def test_wider_is_what_darker_skin_adds_to_shapes(in_place, monkeypatch):
    """Tone is in degrees, of which the dark have fewer."""
    by = np.arange(7 * 2 * 3 * 4, dtype=np.float32).reshape(7, 2, 3, 4)
    monkeypatch.setattr(appearance, "shapes_of", lambda *_: (np.ones((1, 2, 3, 4)), by))
    faces = people(lambda *_: np.zeros_like(ACROSS))
    assert len(appearance._terms(faces, np.stack([f.light for f in faces]))[0]) == len(by)
    np.testing.assert_array_equal(fit(faces).wider, -by[-1])


def test_brows_of_all_are_no_part_of_anybody(in_place):
    """A frame has its own; the eyes below stay."""
    brow = -0.5 * (
        np.exp(-0.5 * (np.square((np.abs(ACROSS) - 0.5) / 0.2) + np.square((DOWN + 0.32) / 0.04)))
    )
    found = with_other_side(fit(people(lambda *_: brow)).people)
    for across in (-0.5, 0.5):
        dark = mean(found, across, -0.32, 0.03) - mean(found, across, -0.52, 0.03)
        assert dark > -0.2  # 0.8 in the mean of all
        assert mean(found, across, 0, 0.03) < mean(found, across, 0.4, 0.03) - 0.3


def test_eyes_and_texture_of_a_fit_are_those_of_its_faces(in_place):
    """Irises that differ are modes; the men's skin is rough here, and the rougher the older."""
    iris = blob(0.49, 0, 0.06) + blob(-0.49, 0, 0.06)

    def of(rng, sex, age, _):
        rough = ndimage.gaussian_filter(rng.normal(0, 0.2, ACROSS.shape), 1.5)
        return 0.1 * rng.normal() * iris + (sex is Sex.MALE) * (age / 60) ** 2 * rough

    found = fit(people(of))
    assert found.eyes.shape[1] == 3 and 0.02 < np.abs(found.eyes[0]).max() < 0.2
    inside = OUTLINE[::APART, ::APART] < 0.7
    women, men = found.textures[..., inside].mean((2, 3, 4))
    assert (men > 1.5 * women).all() and men[0] < men[1] < men[2]
