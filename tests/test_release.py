"""Releases: lesion exact, non-interference, determinism, files, manifest and replay."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import FACTS, LANDMARKS, deidentifier, photo_and_mask

from jaxderm.attributes import Attributes, BodySite, Sex
from jaxderm.errors import InputError
from jaxderm.release import manifest
from jaxderm.release.facts import Fact


def masks(height: int, width: int, kind: str) -> np.ndarray:
    y, x = np.ogrid[:height, :width]
    r = min(height, width) // 6
    ring = np.hypot(y - height // 2, x - width // 2)
    return {
        "pixel": (y == height // 3) & (x == width // 4),
        "ring": (ring < r) & (ring > 0.6 * r),
        "two": ((ring < r) & (x < width // 2 - 2)) | ((y > height - 5) & (x > width - 6)),
        "border": (y < 3) & (x < width // 3),
    }[kind]


@settings(max_examples=12, deadline=None)
@given(
    st.integers(33, 400), st.integers(47, 400),
    st.sampled_from(["pixel", "ring", "two", "border"]), st.integers(0, 2**31),
    st.sampled_from([(64, False), (128, False), (256, False), (64, True)]),
)  # fmt: skip
def test_lesion_exact_and_noise_outside_changes_nothing(height, width, kind, seed, model):
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = masks(height, width, kind)
    case = deidentifier(*model).resolve(photo, mask, FACTS)
    release = deidentifier(*model).release(case, seed)
    x0, y0, x1, y1 = case.frame.inside(height, width)
    assert release.pixels.shape == (y1 - y0, x1 - x0, 3)
    assert (case.kept >= mask).all() and release.kept.sum() == case.kept.sum()
    np.testing.assert_array_equal(release.pixels[release.kept], photo[y0:y1, x0:x1][release.kept])
    noise = rng.integers(0, 256, photo.shape, dtype=np.uint8)
    scrambled = np.where(case.kept[..., None], photo, noise)
    again = deidentifier(*model)(scrambled, mask, FACTS, seed=seed)[0]
    np.testing.assert_array_equal(again.pixels, release.pixels)
    assert again.manifest == release.manifest


def test_large_photo_keeps_its_own_grid():
    photo, mask = photo_and_mask(3000, 4000)
    release = deidentifier()(photo, mask, FACTS)[0]
    frame = release.manifest["frame"]
    part = np.s_[
        frame["y"] : frame["y"] + frame["height"], frame["x"] : frame["x"] + frame["width"]
    ]
    np.testing.assert_array_equal(release.pixels[release.kept], photo[part][release.kept])


def test_measured_tone_is_the_only_way_in():
    """With a measured tone the photo's surroundings enter as one rounded number, which is listed."""
    photo, mask = photo_and_mask(200, 220)
    facts = Attributes(site=BodySite.ARM, age=40.0)
    case = deidentifier().resolve(photo, mask, facts)
    tone = case.facts["skin_tone"]
    assert tone.origin == "measured" and tone.value % 5 == 0
    moved = np.where(case.kept[..., None], photo, np.roll(photo, 7, 0))
    again = deidentifier().resolve(moved, mask, facts)
    assert again.facts == case.facts
    a, b = (deidentifier().release(c).pixels for c in (case, again))
    np.testing.assert_array_equal(a, b)


def test_same_seed_same_bytes_other_seed_other_picture():
    photo, mask = photo_and_mask(180, 200)
    first, again = (deidentifier()(photo, mask, FACTS, seed=1)[0] for _ in range(2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    other = deidentifier()(photo, mask, FACTS, seed=2)[0]
    changed = (first.pixels != other.pixels).any(-1)[~first.kept]
    assert changed.mean() >= 0.9


def test_fine_styles_of_another_seed_keep_the_stranger():
    """Style mixing: the bytes are the seed's own with its own styles; the manifest names and replays the other's."""
    photo, mask = photo_and_mask(150, 150)
    model = deidentifier(128)
    own, mixed, other = (
        model(photo, mask, FACTS, seed=seed, style_seed=style)[0]
        for seed, style in ((1, None), (1, 2), (2, None))
    )
    np.testing.assert_array_equal(
        model(photo, mask, FACTS, seed=1, style_seed=1)[0].pixels, own.pixels
    )
    away = [np.abs(mixed.pixels.astype(int) - r.pixels).mean() for r in (own, other)]
    assert 0 < away[0] < away[1]
    assert "style_seed" not in own.manifest["seed"] and mixed.manifest["seed"]["style_seed"] == 2


@pytest.mark.parametrize("exemplars", [False, True])
def test_candidates_do_not_depend_on_their_number_or_order(exemplars):
    photo, mask = photo_and_mask(150, 150)
    model = deidentifier(64, exemplars)
    four = model(photo, mask, FACTS, candidates=4)
    case = model.resolve(photo, mask, FACTS)
    for number in (3, 0, 2):
        single = model.release(case, 0, number)
        np.testing.assert_array_equal(single.pixels, four[number].pixels)
    assert len({release.pixels.tobytes() for release in four}) == 4


def test_position_in_a_batch_does_not_show():
    engine = deidentifier().engine
    rng = np.random.default_rng(0)
    inputs = {
        name: rng.normal(size=(3, *like.shape[1:])).astype(np.float32)
        for name, like in engine.shapes.items()
    }
    together = engine(inputs)
    for i in (2, 0):
        alone = engine({name: value[i : i + 1] for name, value in inputs.items()})
        np.testing.assert_array_equal(alone[0], together[i])


def test_two_patients_with_equal_facts_get_two_people():
    photo, mask = photo_and_mask(150, 150)
    other = photo.copy()
    y, x = np.argwhere(mask)[0]
    other[y, x, 0] ^= 1
    a, b = (deidentifier()(p, mask, FACTS)[0] for p in (photo, other))
    assert ((a.pixels != b.pixels).any(-1)[~a.kept]).mean() > 0.9


def test_how_long_a_face_is_does_not_show():
    """Patients whose faces differ by less than that get strangers with their mouths in one place."""
    rng = np.random.default_rng(5)
    photo = rng.integers(0, 256, (400, 400, 3), dtype=np.uint8)
    mask = np.zeros((400, 400), bool)
    mask[60:70, 190:200] = True
    short = np.array([[136, 160], [264, 160], [200, 208], [160, 280], [240, 280]], np.float32)
    long, turned = (short + np.array([[0, 0], [0, 0], [0, 8], [0, y], [0, y]]) for y in (16, 64))
    model, face = deidentifier(64, True), dataclasses.replace(FACTS, site=BodySite.FACE)

    def shown(landmarks: np.ndarray) -> np.ndarray:
        case = model.resolve(photo, mask, face, landmarks=landmarks, frame="20,20,360")
        assert case.facts["landmarks"].value == landmarks.tolist()  # which are rounded already
        return model.release(case).pixels.astype(int)

    first = shown(short)
    same, other = (np.abs(first - shown(landmarks)).mean() for landmarks in (long, turned))
    assert same < 0.2 < 2 < other


@pytest.mark.parametrize("exemplars", [False, True])
def test_identity_key_gives_one_stranger_for_a_patient(exemplars):
    photo, mask = photo_and_mask(150, 150)
    model = deidentifier(64, exemplars)
    other = photo.copy()
    other[mask] ^= 3
    key = b"0123456789abcdef"

    def z_of(photo, patient):
        release = model(photo, mask, FACTS, identity_key=key, patient=patient)[0]
        return release.pixels[:20, :20].astype(int)

    same = np.abs(z_of(photo, "p1") - z_of(other, "p1")).mean()
    different = np.abs(z_of(photo, "p1") - z_of(other, "p2")).mean()
    assert same < different
    with pytest.raises(InputError, match="patient"):
        deidentifier()(photo, mask, FACTS, identity_key=key)


def test_facts_replay_byte_for_byte(tmp_path):
    photo, mask = photo_and_mask(160, 180)
    facts = Attributes(sex=Sex.MALE, age=61.0, site=BodySite.FACE)
    given_facts = {"landmarks": LANDMARKS, "margin": 4.5, "pixels_per_cm": 17.3}
    release = deidentifier()(photo, mask, facts, seed=9, candidates=2, **given_facts)[1]
    release.save(tmp_path / "a.png")
    document = manifest.read(tmp_path / "a.json")
    replayed = {name: Fact(**entry) for name, entry in document["facts"].items()}
    case = deidentifier().resolve(photo, mask, Attributes(), facts=replayed)
    again = deidentifier().release(case, document["seed"]["seed"], document["seed"]["candidate"])
    again.save(tmp_path / "b.png")
    for suffix in (".png", ".mask.png", ".legend.txt", ".json"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_manifest_keys_are_the_contract(tmp_path):
    photo, mask = photo_and_mask(100, 120)
    deidentifier()(photo, mask, FACTS)[0].save(tmp_path / "r.png")
    document = json.loads((tmp_path / "r.json").read_text())
    assert list(document) == [
        "version", "tool", "model", "frame", "kept", "facts", "seed", "conversion", "warnings", "output",
    ]  # fmt: skip
    assert set(document["kept"]) == {"pixels", "sha256", "margin_px", "share_of_frame"}
    assert set(document["output"]) == {"sha256", "width", "height"}
    assert all(
        set(fact) == {"value", "origin"} and fact["origin"] in manifest.ORIGINS
        for fact in document["facts"].values()
    )
    assert document["facts"]["sex"] == {"value": "female", "origin": "declared"}


def test_legend_says_what_is_real_and_never_anonymous(tmp_path):
    photo, mask = photo_and_mask(100, 120)
    deidentifier()(photo, mask, FACTS)[0].save(tmp_path / "r.png")
    text = (tmp_path / "r.legend.txt").read_text().lower()
    assert "generated by software" in text and "consent" in text and "unaltered" in text
    assert "anonym" not in text and "aged 40" in text


def test_xmp_labels_a_composite_and_nothing_else():
    packet = manifest.xmp().decode()
    assert manifest.SOURCE_TYPE in packet and "jaxderm" in packet
    assert "Date" not in packet and "ID=" not in packet


def test_minors_at_the_trunk_are_drawn_as_close_up_skin():
    photo, mask = photo_and_mask(100, 120)
    for age in (8.0, None):
        case = deidentifier().resolve(photo, mask, Attributes(age=age, site=BodySite.BACK))
        assert case.attributes.age is None and case.attributes.field.value == "close_up"
        assert any("withheld" in warning for warning in case.warnings)


def test_bad_input_is_one_sentence():
    photo, mask = photo_and_mask(100, 120)
    model = deidentifier()
    with pytest.raises(InputError, match="landmarks"):
        model(photo, mask, Attributes(site=BodySite.FACE))
    with pytest.raises(InputError, match="empty"):
        model(photo, np.zeros_like(mask), FACTS)
    with pytest.raises(InputError, match="size"):
        model(photo, mask[:-1], FACTS)
    with pytest.raises(InputError, match="uint8"):
        model(photo.astype(float), mask, FACTS)
    with pytest.raises(InputError, match="pixels_per_cm"):
        model(photo, mask, FACTS, pixels_per_cm=-1.0)
    with pytest.raises(InputError, match="--force"):
        model(photo, np.ones_like(mask), FACTS)
    forced = model(photo, np.ones_like(mask), FACTS, force=True)[0]
    assert any("identify" in warning for warning in forced.warnings)


def test_nothing_half_written_when_the_disk_says_no(tmp_path):
    photo, mask = photo_and_mask(100, 120)
    release = deidentifier()(photo, mask, FACTS)[0]
    (tmp_path / "r.legend.txt").mkdir()  # the third of four files cannot be written
    with pytest.raises(InputError):
        release.save(tmp_path / "r.png")
    assert [path.name for path in tmp_path.iterdir()] == ["r.legend.txt"]


@pytest.mark.parametrize(("age", "source"), [(9.0, "render"), (18.0, "photo"), (None, "photo")])
def test_no_photograph_of_a_child_is_asked_for(age, source):
    photo, mask = photo_and_mask(120, 110)
    facts = Attributes(sex=Sex.MALE, age=age, site=BodySite.FACE)
    case = deidentifier().resolve(photo, mask, facts, landmarks=LANDMARKS)
    assert case.facts["source"] == Fact(source, "assumed")
    close = deidentifier().resolve(photo, mask, facts, landmarks=np.full((5, 2), np.nan))
    assert close.facts["source"] == Fact("render", "assumed")
