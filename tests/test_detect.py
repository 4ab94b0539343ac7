"""`--landmarks auto`: the five points of a face become a named, measured fact."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxderm import cli, demo
from jaxderm.errors import InputError
from jaxderm.frame import parse_landmarks, round_landmarks
from jaxderm.models import weights
from jaxderm.models.landmark_head import GRID, LandmarkHead, expected_points
from jaxderm.photo import Photo
from jaxderm.release import detect
from jaxderm.release.cells import case_of

TRUTH = parse_landmarks(demo.LANDMARKS)
BETWEEN = float(np.linalg.norm(TRUTH[1] - TRUTH[0]))


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    from skimage import data

    return data.astronaut()


def off(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(found - truth, axis=1).mean() / np.linalg.norm(truth[1] - truth[0]))


def test_the_points_of_a_photograph_are_found_wherever_the_face_is(portrait):
    assert off(detect.find_landmarks(portrait), TRUTH) < 0.12
    wide = np.full((900, 1300, 3), 128, np.uint8)
    wide[300:812, 700:1212] = portrait
    assert off(detect.find_landmarks(wide), TRUTH + [700, 300]) < 0.14
    large = np.asarray(Image.fromarray(portrait).resize((1536, 1536)))
    assert off(detect.find_landmarks(large), 3 * TRUTH) < 0.14


def test_a_mirror_image_has_mirrored_points(portrait):
    found = detect.find_landmarks(portrait)
    mirrored = detect.find_landmarks(np.ascontiguousarray(portrait[:, ::-1]))
    back = mirrored[[1, 0, 2, 4, 3]] * [-1, 1] + [portrait.shape[1], 0]
    assert off(back.astype(np.float32), found) < 0.03


@pytest.mark.parametrize("grey", [20, 128, 235])
def test_where_there_is_no_face_it_says_so(grey):
    with pytest.raises(InputError, match="no face was found"):
        detect.find_landmarks(np.full((300, 400, 3), grey, np.uint8))


def test_points_are_read_off_a_heat_map_and_a_weaker_peak_does_not_pull():
    truth = np.array([[[0.2, 0.3], [0.7, 0.31], [0.5, 0.5], [0.3, 0.8], [0.66, 0.79]]], np.float32)
    centres = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(centres, centres)
    maps = np.stack(
        [-0.5 * ((x - a) ** 2 + (y - b) ** 2) * GRID**2 for a, b in truth[0]], -1
    )[None]  # fmt: skip
    maps[0, 2, 30, :] = maps.max() - 1
    np.testing.assert_allclose(expected_points(jnp.asarray(maps)), truth, atol=0.02)


def test_the_head_is_small_and_no_model_of_its_own():
    shapes = jax.eval_shape(
        lambda: LandmarkHead().init(jax.random.key(0), jnp.zeros((1, 128, 128, 3)))
    )
    count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))
    assert count < 1_000_000
    assert detect.WEIGHTS.stat().st_size < 2 << 20
    assert "landmarks" not in weights.known_models()


def test_found_points_are_a_measured_rounded_fact_and_replay(portrait, tmp_path, monkeypatch):
    Image.fromarray(portrait).save(tmp_path / "photo.png")
    mask = np.zeros(portrait.shape[:2], np.uint8)
    mask[120:130, 245:256] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    monkeypatch.chdir(tmp_path)
    flags = ["--photo=photo.png", "--mask=mask.png", "--site=face", "--sex=female", "--age=40"]
    flags += ["--landmarks=auto", "--style_seed=3", "--output=a.png"]
    assert cli.main(["jaxderm", "deidentify", *flags]) == 0
    manifest = json.loads((tmp_path / "a.json").read_text())
    assert manifest["seed"]["style_seed"] == 3
    fact = manifest["facts"]["landmarks"]
    assert fact["origin"] == "measured"
    points = np.array(fact["value"])
    np.testing.assert_array_equal(points, round_landmarks(points))
    monkeypatch.setattr(detect, "find_landmarks", lambda photo: pytest.fail("looked again"))
    again = ["--photo=photo.png", "--mask=mask.png", "--facts=a.json", "--output=b.png"]
    assert cli.main(["jaxderm", "deidentify", *again]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_auto_looks_for_faces_at_faces_only(portrait, monkeypatch):
    monkeypatch.setattr(detect, "find_landmarks", lambda photo: pytest.fail("an arm has no eyes"))
    mask = np.zeros(portrait.shape[:2], bool)
    mask[300:320, 100:120] = True
    case = case_of(Photo(portrait, None, ()), mask, {"site": "arm", "landmarks": "auto"}, 128)
    assert np.isnan(case.landmarks).all()
    assert case.facts["landmarks"].origin == "declared"
