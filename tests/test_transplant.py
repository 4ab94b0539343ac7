"""A lesion onto a generated person: where, how large, from which pixels, and marked for what it is."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxderm import cli
from jaxderm.attributes import BodySite
from jaxderm.errors import InputError
from jaxderm.frame import face_box, grow_mask
from jaxderm.photo import Photo
from jaxderm.release import transplant

SKIN, SPOT = (205, 165, 145), (90, 50, 45)


def source(size: int = 200) -> tuple[Photo, np.ndarray]:
    """Photo of an upright oval lesion on skin, bright green further away, and its mask."""
    y, x = np.mgrid[:size, :size]
    away = np.hypot((x - 120) / 14, (y - 90) / 24)
    pixels = np.full((size, size, 3), (0, 255, 0), np.uint8)
    pixels[away < 2] = SKIN
    pixels[away < 1] = SPOT
    return Photo(pixels, None, ()), away < 1


def test_the_canvas_is_the_frame_of_its_own_landmarks():
    assert face_box(transplant.face_landmarks(768)) == (0, 0, 768, 768)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.25, 0.75), st.floats(0.25, 0.75), st.floats(-180, 180), st.floats(4, 60),
    st.integers(200, 500),
)  # fmt: skip
def test_a_lesion_lands_where_and_as_large_as_it_was_asked_for(x, y, rotation, mm, side):
    photo, mask = source()
    canvas = transplant.place_lesion(
        photo, mask, BodySite.ARM, (x, y), rotation=rotation, lesion_mm=mm, field_cm=20, side=side
    )
    rows, columns = np.nonzero(canvas.mask)
    middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    assert np.linalg.norm(middle - np.array([x, y]) * side) < 1.5
    area = canvas.mask.sum() / mask.sum()
    asked = (mm / 200 * side / 47) ** 2  # the lesion is 47 px tall
    assert area == pytest.approx(asked, rel=0.15, abs=8 / mask.sum())
    # Kept shows lesion and skin, neither the empty canvas nor what lies beyond.
    kept = canvas.photo.pixels[grow_mask(canvas.mask, canvas.margin)].astype(int)
    assert (kept != 128).any(-1).all()
    assert (kept[:, 1] - kept[:, 0] < 40).all(), "no green"


def test_it_turns_the_way_it_says():
    photo, mask = source()
    upright = transplant.place_lesion(photo, mask, BodySite.ARM, (0.5, 0.5))
    lying = transplant.place_lesion(photo, mask, BodySite.ARM, (0.5, 0.5), rotation=90)
    for canvas, tall in ((upright, True), (lying, False)):
        rows, columns = np.nonzero(canvas.mask)
        assert (np.ptp(rows) > np.ptp(columns)) == tall
    # A mark at the lesion's top goes to the left by a quarter turn anticlockwise.
    marked = photo.pixels.copy()
    marked[66:76, 116:124] = (255, 255, 255)
    turned = transplant.place_lesion(
        Photo(marked, None, ()), mask, BodySite.ARM, (0.5, 0.5), rotation=90
    )
    columns = np.nonzero((turned.photo.pixels > 240).all(-1))[1]
    assert columns.mean() < 0.5 * transplant.SIDE - 8


@pytest.mark.parametrize(
    "text, site", [("nose", "face"), ("Left cheek", "face"), ("0.4,0.7", "face"), ("arm", "arm")]
)
def test_places_are_known_by_name_and_number(text, site):
    found, at, _ = transplant.parse_place(text)
    assert found.value == site and all(0 <= v <= 1 for v in at)


def test_left_is_the_patients():
    assert transplant.PLACES["left_cheek"][0] > 0.5 > transplant.PLACES["right_cheek"][0]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transplant")
    photo, mask = source()
    Image.fromarray(photo.pixels).save(folder / "photo.png")
    Image.fromarray(mask).save(folder / "mask.png")
    argv = ["jaxderm", "transplant", f"--photo={folder / 'photo.png'}", f"--mask={folder / 'mask.png'}",
            "--site=nose", "--sex=male", "--age=40", "--skin_type=II", "--lesion_mm=15",
            "--rotation=30"]  # fmt: skip
    assert cli.main([*argv, f"--output={folder / 'out.png'}", "--candidates=2"]) == 0
    return folder, argv


def test_a_picture_says_that_it_is_simulated(made):
    folder, argv = made
    manifest = json.loads((folder / "out.json").read_text())
    assert manifest["simulated"] is True
    assert manifest["transplant"]["site"] == "nose"
    assert manifest["transplant"]["resampled"].startswith("once")
    assert "SIMULATED" in (folder / "out.legend.txt").read_text()
    picture = np.asarray(Image.open(folder / "out.png"))
    corner = (
        picture[-40:, :]
        if (picture[-8:, -8:] == 0).all() or (picture[-8:, :8] == 0).all()
        else picture[:40]
    )
    assert ((corner == 255).all(-1)).sum() > 50, "white letters"
    assert b"compositeWithTrainedAlgorithmicMedia" in (folder / "out.png").read_bytes()
    other = np.asarray(Image.open(folder / "out-1.png"))
    kept = np.asarray(Image.open(folder / "out.mask.png")) > 0
    assert (other[~kept] != picture[~kept]).any(-1).mean() > 0.8
    np.testing.assert_array_equal(other[kept], picture[kept])


def test_the_same_call_gives_the_same_bytes(made):
    folder, argv = made
    assert cli.main([*argv, f"--output={folder / 'again.png'}"]) == 0
    assert (folder / "again.png").read_bytes() == (folder / "out.png").read_bytes()


def test_an_editorial_case_takes_no_such_picture(made):
    from jaxderm.case.leaks import refuse_generated

    folder, _ = made
    with pytest.raises(InputError, match="simulated picture"):
        refuse_generated(str(folder / "out.png"), (folder / "out.png").read_bytes())
    alone = folder / "alone.png"  # without its manifest
    alone.write_bytes((folder / "out.png").read_bytes())
    with pytest.raises(InputError, match="generated already"):
        refuse_generated(str(alone), alone.read_bytes())


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--site=tail"], "unknown"),
        (["--site=2,0.5"], "outside the frame"),
        (["--lesion_mm=600"], "does not fit"),
        (["--lesion_mm=-3"], "not a size"),
        (["--site=arm", "--lesion_mm=10"], "needs --field_cm"),
        (["--skin_type=measured"], "no photograph of this person"),
        (["--output=out.jpg"], "not PNG"),
        (["--mask=none.png"], "none.png"),
        (["--site="], "give --site"),
    ],
)
def test_bad_input_is_a_sentence(made, flags, sentence, tmp_path, monkeypatch, capsys):
    _, argv = made
    monkeypatch.chdir(tmp_path)
    assert cli.main([*argv, "--output=new.png", *flags]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
