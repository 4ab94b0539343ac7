"""Fit of the light on faces: what portraits have and frames lack, of age and not of smiles; light from a side is a mode."""

import dataclasses
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from small_model import LANDMARKS, deidentifier

from jaxderm.attributes import LUMA, Attributes, BodySite, Sex
from jaxderm.commands import train_light
from jaxderm.data.features import Record
from jaxderm.face import face_coordinates
from jaxderm.models.light import AGES, SEXES, STEP, TIP, nodes
from jaxderm.release.light import WEIGHTS
from jaxderm.train import light
from jaxderm.train.light import Face, fit, of_face

ACROSS, DOWN = nodes()
NOSE = LANDMARKS[:2].mean(0) + TIP * (LANDMARKS[3:].mean(0) - LANDMARKS[:2].mean(0))


def blob(across: float, down: float, wide: float = 0.15) -> np.ndarray:
    return np.exp(-0.5 * (np.square(ACROSS - across) + np.square(DOWN - down)) / wide**2)


def face(of: np.ndarray, sex: Sex, age: float = 45.0, wide: float = 0.8) -> Face:
    """Of that luma at the nodes, all of it skin."""
    light3 = np.repeat(of[..., None], 3, -1).astype(np.float32)
    return Face(light3, np.ones(of.shape, np.float32), sex, age, wide)


def both(of) -> list[Face]:
    """Twelve faces of each sex by `of` (a generator of numbers, age, width of the mouth)."""
    faces = []
    for k in range(24):
        rng = np.random.default_rng(k)
        age, wide = rng.uniform(30, 80), rng.uniform(0.7, 1.1)
        faces.append(face(of(rng, age, wide), SEXES[k % 2], age, wide))
    return faces


def flat(rng, age, wide) -> np.ndarray:
    return np.zeros_like(ACROSS)


@pytest.mark.parametrize("turn", [0.0, 0.2])
def test_the_light_of_a_face_is_read_off_a_picture(turn):
    """In logarithms, less that of the cheeks, of any direction; hair is none of it, and nothing of what is kept."""
    side = 220
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = (LANDMARKS / 110 - 0.5) @ turned * side * 0.9 + side / 2
    across, down = face_coordinates(points, (side, side))
    shade = -0.3 * np.exp(-0.5 * (np.square(across) + np.square(down - 1.4)) / 0.2**2)
    picture = np.array([200.0, 150, 120]) * np.exp(shade)[..., None]
    hair = down < -0.8
    picture[hair] = 20
    kept = np.hypot(across - 0.5, down - 0.5) < 0.2
    picture[kept] = [120, 30, 30]
    nose = points[:2].mean(0) + TIP * (points[3:].mean(0) - points[:2].mean(0))
    seen = of_face(picture.clip(0, 255).astype(np.uint8), points, nose, Sex.MALE, 50.0, kept)
    expected = -0.3 * blob(0, 1.4, 0.2)
    there = (np.abs(ACROSS) < 0.8) & (DOWN > 0.8) & (DOWN < 1.6)
    assert np.abs(seen.light @ LUMA - expected)[there].max() < 0.06
    assert seen.weight[np.hypot(ACROSS - 0.5, DOWN - 0.5) < 0.1].max() < 0.05
    assert seen.weight[DOWN < -1.0].max() < 0.3
    assert seen.weight[(np.abs(ACROSS) < 0.2) & (np.abs(DOWN - 0.4) < 0.2)].min() > 0.9
    width, apart = (
        np.linalg.norm(v) for v in (points[4] - points[3], points[3:].mean(0) - points[:2].mean(0))
    )
    assert seen.wide == pytest.approx(width / apart)


def test_what_portraits_have_and_frames_lack():
    """A chin's shade of both sexes, and of women's alone a light nose; what frames have already is not missing."""
    nose, chin, had = (
        0.08 * blob(0, 0.5),
        -0.2 * blob(0, 1.6),
        -0.1 * blob(-0.2, 1.5) - 0.1 * blob(0.2, 1.5),
    )
    portraits = [
        f._replace(light=f.light + (nose[..., None] if f.sex is Sex.FEMALE else 0))
        for f in both(lambda *_: chin + had)
    ]
    found = fit(portraits, both(lambda *_: had)).missing
    for k, of_nose in enumerate((0.7, 0.0)):
        for row in found[k]:
            wanted = chin + of_nose * nose
            assert np.abs(row @ LUMA - wanted)[DOWN > -0.8].max() < 0.05
            assert (row @ LUMA)[np.hypot(ACROSS, DOWN - 1.6) < 0.1].mean() < -0.13


def test_age_is_told_and_a_smile_is_not():
    years, smile = (
        -0.15 * blob(0, 1.5, 0.3),
        -0.5 * blob(0.6, 1.4, 0.2) - 0.5 * blob(-0.6, 1.4, 0.2),
    )

    def of(rng, age, wide):
        return years * (age - 30) / 45 + smile * (wide - light.UNSMILING)

    found = fit(both(of), both(flat)).missing @ LUMA
    chin, beside = (np.hypot(ACROSS - x, DOWN - y) < 0.1 for x, y in ((0, 1.5), (0.6, 1.4)))
    young, middle, old = (found[0, k][chin].mean() for k in range(len(AGES)))
    assert young > middle + 0.03 > old + 0.06
    assert np.abs(found[0, 0][beside]).max() < 0.05


def test_light_from_a_side_is_the_first_mode_and_no_part_of_the_mean():
    """However many portraits are lit from one side."""
    side = np.tanh(2 * ACROSS)
    found = fit(both(lambda rng, *_: 0.2 * (0.5 + rng.normal()) * side), both(flat))
    assert np.abs(found.missing).max() < 0.02
    first = found.modes[0][DOWN > -0.8]
    assert abs(np.corrcoef(first, side[DOWN > -0.8])[0, 1]) > 0.95
    assert 0.1 < np.abs(first).max() < 0.35


def test_modes_are_the_same_on_both_sides_or_opposite():
    """Also where all who are lit from the left have a bright forehead: they might be lit from the right."""
    lit = np.tanh(2 * ACROSS) + 0.8 * blob(0, -0.3, 0.5)
    modes = fit(both(lambda rng, *_: 0.2 * rng.normal() * lit), both(flat)).modes
    for mode in modes[:2]:
        assert abs(np.corrcoef(mode.ravel(), mode[:, ::-1].ravel())[0, 1]) > 0.95


@pytest.mark.parametrize("seed", range(3))
def test_chins_of_all_lengths_are_one(seed):
    """Their mean is nearly as sharp as each."""
    rng = np.random.default_rng(seed)
    faces = [
        face(np.tanh((1.7 * rng.uniform(0.92, 1.08) - DOWN) / 0.06) * 0.2, Sex.MALE)
        for _ in range(12)
    ]
    steepest = [
        np.abs(np.diff(np.mean([f.light @ LUMA for f in some], 0)[:, len(ACROSS[0]) // 2])).max()
        for some in (faces[:1], faces, light._alike_below(faces))
    ]
    assert steepest[1] < 0.65 * steepest[0]
    assert steepest[2] > 0.75 * steepest[0]


def test_a_fitted_chin_is_no_blur_of_all():
    """Shade below it begins as sharply as if all chins were as long."""

    def of(spread: float):
        def shade(rng, *_):
            return -0.1 * (1 + np.tanh((DOWN - 1.55 * rng.uniform(1 - spread, 1 + spread)) / 0.08))

        return fit(both(shade), both(flat)).missing[1, 0] @ LUMA

    alike, varied = (np.abs(np.diff(of(s)[:, len(ACROSS[0]) // 2])).max() for s in (0.0, 0.15))
    assert varied > 0.93 * alike


@pytest.mark.parametrize("amount", [1.0, 0.0])
def test_creases_go_but_for_a_nose_and_a_chin(amount):
    crease, wide = -0.2 * blob(0.7, 0.9, 0.06), -0.2 * blob(0, -0.6, 0.4)
    nostril, chin = -0.2 * blob(0.15, 0.65, 0.06), -0.2 * blob(0, 1.7, 0.06)
    field = np.repeat((crease + wide + nostril + chin)[..., None], 3, -1)
    left = light._uncreased(field, amount) @ LUMA

    def deepest(across, down):
        return left[np.hypot(ACROSS - across, DOWN - down) < STEP].min()

    assert deepest(0.15, 0.65) < -0.15 and deepest(0, 1.7) < -0.15 and deepest(0, -0.6) < -0.15
    assert (deepest(0.7, 0.9) > -0.08) if amount else (deepest(0.7, 0.9) < -0.15)


@settings(max_examples=20, deadline=None)
@given(st.floats(-1, 1), st.floats(0.1, 0.4))
def test_where_nothing_is_told_it_is_as_near_by(value, hole):
    told = (np.hypot(ACROSS, DOWN) > hole).astype(float)
    field = np.where(told, value, 9.0)[..., None]
    filled = light._filled(field, told)
    np.testing.assert_allclose(filled, value, atol=1e-3 + 0.02 * abs(value))


def records() -> list[Record]:
    rng = np.random.default_rng(0)
    people = []
    for k in range(2 * train_light.LEAST):
        image = np.clip(rng.normal([190, 150, 130], 6, (110, 110, 3)), 0, 255).astype(np.uint8)
        facts = Attributes(sex=SEXES[k % 2], age=30.0 + k, site=BodySite.FACE)
        people.append(Record(image, None, None, LANDMARKS.copy(), facts, f"p{k}", f"i{k}"))
    return people


def test_the_program_writes_fields_that_a_release_can_load(tmp_path, monkeypatch):
    monkeypatch.setattr(train_light, "FRAMES", 6)
    monkeypatch.setattr(train_light.prepare, "load", lambda *_: records())
    small = deidentifier(64, exemplars=True)
    monkeypatch.setattr(train_light.Deidentifier, "load", lambda _: small)
    output, fitted = tmp_path / "light.safetensors", []
    monkeypatch.setattr(light, "fit", lambda *given: fitted.append(fit(*given)) or fitted[0])
    monkeypatch.setattr(sys, "argv", ["train_light", "--output", str(output)])
    assert train_light.main() == 0
    found, shipped = load_file(output), load_file(WEIGHTS)
    assert {n: (v.shape, v.dtype) for n, v in found.items()} == {
        n: (v.shape, v.dtype) for n, v in shipped.items()
    }
    # In the order of the nodes, however they lie in memory. Portraits of noise have little light.
    for name, values in fitted[0]._asdict().items():
        np.testing.assert_array_equal(found[name], values.astype(np.float16))
    assert np.abs(found["modes"]).max() < 0.2
    assert [p.name for p in tmp_path.iterdir()] == [output.name]


@pytest.mark.parametrize("lacks", ["corpus", "women", "ages", "landmarks"])
def test_a_corpus_that_cannot_be_fitted_to_is_one_sentence(tmp_path, monkeypatch, capsys, lacks):
    output = tmp_path / "light.safetensors"
    given = ["train_light", "--output", str(output), "--data_dir", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", given)
    if lacks != "corpus":
        people = records()
        for k, record in enumerate(people):
            change = {
                "women": {"attributes": Attributes(sex=Sex.MALE, age=50.0, site=BodySite.FACE)},
                "ages": {"attributes": Attributes(sex=SEXES[k % 2], site=BodySite.FACE)},
                "landmarks": {"landmarks": np.full((5, 2), np.nan)},
            }[lacks]
            people[k] = dataclasses.replace(record, **change)
        monkeypatch.setattr(train_light.prepare, "load", lambda *_: people)
    assert train_light.main() == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("error: ")
    assert not output.exists()
