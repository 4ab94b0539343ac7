"""Parts of the editorial case: keys, scale, marks, commitment and similarity, label, laterality, audit."""

import dataclasses
import importlib.resources
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from small_model import LANDMARKS, deidentifier, photo_and_mask

from jaxderm.attributes import Attributes, BodySite, View
from jaxderm.case import kept_check, label, leaks, publish
from jaxderm.case.commitment import ALIKE, SIMILAR, commit, figure_code, similarity
from jaxderm.case.figure import figure_tiff
from jaxderm.case.figures import Figure
from jaxderm.case.marks import draw_outline
from jaxderm.case.publish import Looks
from jaxderm.case.scale import draw_scale_bar, ruler_scale
from jaxderm.errors import InputError
from jaxderm.photo import Photo, encode_png
from jaxderm.release import keys

DOCS = Path(__file__).parents[1] / "docs"


# Keys


def test_keys_are_generated_not_typed(tmp_path):
    path = tmp_path / "s.key"
    keys.write_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    key = keys.read_generated_key(path, "--series_key")
    assert key != keys.new_key().strip() and len(key) >= 32
    with pytest.raises(InputError, match="exists"):
        keys.write_key(path)
    short = keys._text(b"fifteen bytes..")
    header, body, check = path.read_bytes().splitlines()
    # One letter of it, whichever it has: some keys have neither of two.
    damaged = b"\n".join([header, (b"B" if body[:1] == b"A" else b"A") + body[1:], check, b""])
    for data, words in (
        (b"my own long secret that I typed myself, 40 letters", "typed"),
        (b"jaxderm-key-1\nmy own long secret that is typed\n", "typed"),
        (short, "120 bits, fewer than 128"),
        (damaged, "damaged or was typed"),
        (b"", "typed"),
    ):
        (tmp_path / "bad").write_bytes(data)
        with pytest.raises(InputError, match=words):
            keys.read_generated_key(tmp_path / "bad", "--series_key")
        with pytest.raises(InputError):
            keys.destroy_key(tmp_path / "bad")  # no other file is removed
        assert (tmp_path / "bad").exists()
    with pytest.raises(InputError, match="cannot be read"):
        keys.read_generated_key(tmp_path / "none", "--series_key")
    keys.destroy_key(path)
    assert not path.exists()


# Scale and marks


@settings(max_examples=50, deadline=None)
@given(st.floats(1, 1500), st.floats(0, 6.28), st.floats(25, 140))
def test_ruler_gives_the_scale_at_any_angle(length_mm, angle, distance):
    x, y = 150 + distance * np.cos(angle), 150 + distance * np.sin(angle)
    scale = ruler_scale(f"150,150 {x},{y}", length_mm, (300, 300))
    assert scale == pytest.approx(distance / (length_mm / 10), rel=6e-3)  # three digits


@pytest.mark.parametrize(
    "clicks, length, words",
    [("1,1", 10, "two points"), ("1,1 a,2", 10, "two points"), ("1,1 900,1", 10, "within"),
     ("1,1 200,1", 0, "millimetres"), ("1,1 200,1", float("nan"), "millimetres"),
     ("1,1 5,1", 10, "at least 20")],
)  # fmt: skip
def test_ruler_mistakes(clicks, length, words):
    with pytest.raises(InputError, match=words):
        ruler_scale(clicks, length, (300, 300))


def masks(height, width, seed):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(height, width)), rng.uniform(2, 12))
    return noise > np.quantile(noise, rng.uniform(0.5, 0.99))


@settings(max_examples=30, deadline=None)
@given(st.integers(60, 300), st.integers(60, 300), st.integers(0, 10**6), st.floats(5, 400))
def test_marks_never_touch_kept(height, width, seed, scale):
    kept = masks(height, width, seed)
    pixels = np.random.default_rng(seed).integers(1, 255, (height, width, 3), dtype=np.uint8)
    outlined = draw_outline(pixels, kept)
    np.testing.assert_array_equal(outlined[kept], pixels[kept])
    changed = (outlined != pixels).any(-1)
    if not ndimage.binary_dilation(kept, np.ones((3, 3))).all():
        assert changed.any()
    near = ndimage.binary_dilation(kept, np.ones((3, 3)), iterations=8)
    assert not changed[~near].any()
    try:
        marked, bar = draw_scale_bar(pixels, kept, scale)
    except InputError:
        return
    np.testing.assert_array_equal(marked[kept], pixels[kept])
    x0, y0, x1, y1 = bar.box
    rest = (marked != pixels).any(-1)
    rest[y0:y1, x0:x1] = False
    assert not rest.any()
    black = (marked[y0:y1, x0:x1] == 0).all(-1).sum(1).max()
    assert abs(black - bar.length_mm / 10 * scale) <= 1  # its length is the millimetres it names


def test_tiff_has_the_resolution_as_a_tag_and_equal_bytes_in_every_run(tmp_path):
    pixels, _ = photo_and_mask(60, 70)
    data = figure_tiff(pixels, 1200)
    assert data == figure_tiff(pixels, 1200)
    (tmp_path / "a.tif").write_bytes(data)
    with Image.open(tmp_path / "a.tif") as image:
        assert image.info["dpi"] == (1200, 1200) and image.info["icc_profile"]
        np.testing.assert_array_equal(np.asarray(image), pixels)
        assert not {271, 272, 306, 315, 270} & set(image.tag_v2)  # maker, date, artist, description


# Commitment


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(0, 2), st.integers(0, 10**6))
def test_commitment_holds_for_its_three_pictures_only(key, which, seed):
    rng = np.random.default_rng(seed)
    original = rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    release = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    triple = [original, rng.random((9, 8)) < 0.5, release]
    value = commit(key, *triple)
    assert re.fullmatch("[0-9a-f]{64}", value) and value == commit(key, *triple)
    changed = [array.copy() for array in triple]
    place = tuple(rng.integers(0, n) for n in changed[which].shape)
    changed[which][place] = ~changed[which][place]
    assert commit(key, *changed) != value
    assert commit(bytes(32) if key != bytes(32) else b"\1" * 32, *triple) != value
    reshaped = [original.reshape(8, 9, 3), triple[1].reshape(8, 9), release]
    assert commit(key, *reshaped) != value
    assert figure_code(key, release) != figure_code(key, ~release)


@pytest.mark.parametrize("quality", [60, 85])
@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_similarity_survives_jpeg_and_half_size(tmp_path, quality, factor):
    photo = _smooth_photo()
    kept = np.zeros(photo.shape[:2], bool)
    kept[100:140, 120:170] = True
    image = Image.fromarray(photo)
    size = (round(image.width * factor), round(image.height * factor))
    image.resize(size, Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=quality)
    found = similarity(np.asarray(Image.open(tmp_path / "a.jpg")), photo, kept)
    assert min(found.kept, found.surround, found.whole) >= SIMILAR
    assert found.scale == pytest.approx(factor, abs=0.01)
    assert "as the release" in found.words and "no proof" in found.words


def _smooth_photo():
    rng = np.random.default_rng(1)
    base = ndimage.gaussian_filter(rng.normal(size=(240, 300, 3)), (6, 6, 0)) * 900 + 140
    return np.clip(base + rng.normal(0, 1.5, base.shape), 0, 255).astype(np.uint8)


def test_similarity_of_other_pictures_is_low_and_a_changed_surround_shows():
    photo = _smooth_photo()
    kept = np.zeros(photo.shape[:2], bool)
    kept[100:140, 120:170] = True
    other = photo[::-1, ::-1]
    assert similarity(other, photo, kept).whole < ALIKE
    assert "not like" in similarity(other, photo, kept).words
    mixed = np.where(kept[..., None], photo, other)
    found = similarity(mixed, photo, kept)
    assert found.kept > 0.8 and found.surround < ALIKE and "as the release" not in found.words
    assert similarity(photo[:, :200], photo, kept) is None  # a crop


# Label and templates


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 120))
def test_age_is_a_band_that_holds_it(age):
    band = label.age_band(age)
    if age >= 90:
        assert band == "90+"
    elif age < 2:
        assert band == "under 2"
    else:
        low, high = map(int, band.split("-"))
        assert low <= age < high + 1 and high - low >= 2
    assert label.age_band(None) is None


def test_the_document_quotes_every_template():
    page = (DOCS / "journal_policy.md").read_text("utf-8")
    for name in label.TEMPLATES:
        text = (
            importlib.resources.files("jaxderm.case")
            .joinpath("templates", f"{name}.txt")
            .read_text("utf-8")
        )
        assert text.strip() in page, name
    assert re.search(r"\b2026-\d\d-\d\d\b", page)


# The kept area and the side


def arm_case(**changes):
    photo, mask = photo_and_mask(180, 200)
    facts = dataclasses.replace(Attributes(site=BodySite.ARM, age=40.0, ita=30.0), **changes)
    return deidentifier().resolve(photo, mask, facts)


def face_case(mask):
    photo, _ = photo_and_mask(180, 200)
    facts = Attributes(site=BodySite.FACE, age=40.0, ita=30.0)
    return deidentifier().resolve(photo, mask, facts, landmarks=LANDMARKS, margin=1.0)


def disc(x, y, radius=6):
    rows, columns = np.ogrid[:180, :200]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def test_kept_area_is_asked_for_and_acknowledged():
    assert kept_check.found_in_kept(arm_case(), False) == {}
    assert set(kept_check.found_in_kept(arm_case(site=BodySite.PALM), True)) == {"ridges", "label"}
    dorsal = arm_case(site=BodySite.HAND, view=View.DORSAL)
    assert kept_check.found_in_kept(dorsal, False) == {}
    eye = kept_check.found_in_kept(face_case(disc(*LANDMARKS[0])), False)
    mouth = kept_check.found_in_kept(face_case(disc(*LANDMARKS[3:].mean(0), 14)), False)
    assert "iris" in eye and "teeth" in mouth
    with pytest.raises(InputError, match="kept_shows none"):
        kept_check.check_kept(None, None, {})
    assert kept_check.check_kept("none", None, {}) == []
    for shows, accepted in (("tattoo", None), ("tattoo,iris", "iris"), ("none", None)):
        with pytest.raises(InputError, match="--acknowledge"):
            kept_check.check_kept(shows, accepted, {"ridges": "the site is palm"})
    assert kept_check.check_kept("scar", "scar,ridges", {"ridges": "x"}) == ["scar", "ridges"]


def test_laterality_is_the_patients():
    image_left, image_right = face_case(disc(38, 66)), face_case(disc(74, 66))
    assert kept_check.laterality_warning(image_left, "right") is None
    assert kept_check.laterality_warning(image_right, "left") is None
    assert "patient's left" in kept_check.laterality_warning(image_right, "right")
    assert "patient's right" in kept_check.laterality_warning(image_left, "left")
    assert kept_check.laterality_warning(face_case(disc(55, 66)), "left") is None
    assert kept_check.laterality_warning(arm_case(), "left") is None


# Leaks and audit


def test_private_words_are_found_as_words_only():
    files = {"legend.txt": "Rosacea of Mr M\u00fcller.".encode()}
    leaks.refuse_leaks(files, ["Rosa", "Xanthippe", "Mr"])
    for word in ("rosacea", "m\u00fcller"):
        with pytest.raises(InputError) as caught:
            leaks.refuse_leaks(files, [word])
        assert word not in str(caught.value).lower()


def test_recognizable_features_are_denied_only_after_an_audit_of_this_picture(tmp_path):
    case = arm_case()
    release = deidentifier().release(case)
    figure = Figure(None, Photo(case.photo, None, ()), case.kept, case, release)
    audited, other = tmp_path / "a.png", tmp_path / "b.png"
    audited.write_bytes(encode_png(release.pixels))
    other.write_bytes(encode_png(release.pixels ^ 1))

    def report(**row) -> str:
        (tmp_path / "report.json").write_text(json.dumps({"rows": [{"id": "a", **row}]}))
        return str(tmp_path)

    assert not publish._audited([figure], Looks())
    gone = {"rank": 12, "verified": False}
    assert publish._audited([figure], Looks(audit=report(**gone), audited=(str(audited),)))
    for row, files, words in (
        (gone, (str(other),), "is not this figure"),
        (gone, (), "names 0 files"),
        ({}, (str(audited),), "no identification"),
        ({"rank": 1, "verified": False}, (str(audited),), "recognises the patient"),
        ({"rank": 9, "verified": True}, (str(audited),), "recognises the patient"),
    ):
        with pytest.raises(InputError, match=words):
            publish._audited([figure], Looks(audit=report(**row), audited=files))
    with pytest.raises(InputError, match="no report"):
        publish._audited([figure], Looks(audit=str(audited), audited=(str(audited),)))
