"""Corpora that a group downloads by hand: each layout on a small fake of it, up to a training batch."""

import csv

import numpy as np
import pytest
from PIL import Image

from jaxderm.attributes import SKIN_TYPE_ITA, BodySite, Field, Sex, View
from jaxderm.cli import main
from jaxderm.data import face_folders, pad_ufes_20, pipeline, prepare, scin
from jaxderm.data.photo_folder import split_of
from jaxderm.errors import InputError


def picture(path, seed: int = 0, size: int = 48) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = np.full((size, size, 3), (205, 160, 140)) + rng.normal(0, 5, (size, size, 3))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def table(path, rows: list[dict]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def scin_folder(tmp_path):
    cases = [
        {"case_id": "-1", "age_group": "AGE_18_TO_29", "sex_at_birth": "FEMALE",
         "fitzpatrick_skin_type": "FST2", "body_parts_arm": "YES",
         "image_1_path": "dataset/images/a.png", "image_1_shot_type": "CLOSE_UP",
         "image_2_path": "dataset/images/b.png", "image_2_shot_type": "AT_DISTANCE"},
        {"case_id": "2", "age_group": "AGE_UNKNOWN", "sex_at_birth": "OTHER_OR_UNSPECIFIED",
         "fitzpatrick_skin_type": "NONE_IDENTIFIED", "body_parts_back_of_hand": "YES",
         "image_1_path": "dataset/images/c.png", "image_1_shot_type": "AT_AN_ANGLE"},
        {"case_id": "3", "age_group": "AGE_80_OR_ABOVE", "sex_at_birth": "MALE",
         "body_parts_leg": "YES", "body_parts_arm": "YES", "image_1_path": "dataset/images/d.png"},
        {"case_id": "4", "age_group": "AGE_40_TO_49", "sex_at_birth": "MALE",
         "body_parts_buttocks": "YES", "image_1_path": "dataset/images/e.png"},
    ]  # fmt: skip
    labels = [
        {"case_id": "-1", "dermatologist_fitzpatrick_skin_type_label_1": "FST5"},
        {"case_id": "2", "dermatologist_fitzpatrick_skin_type_label_1": "FST3",
         "dermatologist_fitzpatrick_skin_type_label_2": "FST5",
         "dermatologist_fitzpatrick_skin_type_label_3": "FST4"},
        {"case_id": "3", "monk_skin_tone_label_india": "8.0", "monk_skin_tone_label_us": "10"},
    ]  # fmt: skip
    table(tmp_path / "dataset" / "scin_cases.csv", cases)
    table(tmp_path / "dataset" / "scin_labels.csv", labels)
    for seed, name in enumerate("abcde"):
        picture(tmp_path / "dataset" / "images" / f"{name}.png", seed)
    return tmp_path


def test_scin(scin_folder):
    rows = scin.read(scin_folder)
    assert [row.file.stem for row in rows] == ["a", "b", "c", "d", "e"]
    a, b, c, d, e = (row.attributes for row in rows)
    assert (a.sex, a.age, a.site, a.field) == (Sex.FEMALE, 24, BodySite.ARM, Field.CLOSE_UP)
    assert b.field is Field.WHOLE_SITE and a.ita == b.ita == SKIN_TYPE_ITA["II"]
    assert rows[0].person_id == rows[1].person_id  # a case is never cut by the splits
    assert (c.sex, c.age, c.site, c.view) == (
        Sex.UNSPECIFIED, None, BodySite.HAND, View.DORSAL,
    )  # fmt: skip
    assert c.ita == SKIN_TYPE_ITA["IV"]  # the dermatologists' median
    assert d.site is BodySite.UNSPECIFIED and d.ita == pytest.approx(scin.monk_ita(9))
    assert rows[4].withheld and not any(row.withheld for row in rows[:4])


def test_monk_tones_run_from_light_to_dark():
    tones = [scin.monk_ita(tone) for tone in range(1, 11)]
    assert tones[0] > 55 and tones[9] < -30 and tones[4] > tones[6] > tones[8]


def test_scin_names_what_is_missing(scin_folder, tmp_path):
    with pytest.raises(InputError, match=r"scin_cases.csv"):
        scin.read(tmp_path / "nowhere")
    (scin_folder / "dataset" / "images" / "c.png").unlink()
    with pytest.raises(InputError, match=r"row 3: picture .*c.png"):
        scin.read(scin_folder)


@pytest.fixture
def pad_folder(tmp_path):
    rows = [
        {"patient_id": "PAT_1", "img_id": "PAT_1_2_3.png", "age": "61", "gender": "FEMALE",
         "fitspatrick": "2.0", "region": "FOREARM", "diameter_1": "6.0", "diameter_2": "5.0"},
        {"patient_id": "PAT_4", "img_id": "PAT_4_5_6.png", "age": "8", "gender": "",
         "fitspatrick": "", "region": "NOSE", "diameter_1": "", "diameter_2": ""},
        {"patient_id": "PAT_7", "img_id": "PAT_7_8_9.png", "age": "12", "gender": "MALE",
         "fitspatrick": "6", "region": "CHEST", "diameter_1": "9", "diameter_2": "9"},
    ]  # fmt: skip
    table(tmp_path / "metadata.csv", rows)
    for part, name in ((1, "PAT_1_2_3"), (2, "PAT_4_5_6"), (3, "PAT_7_8_9")):
        picture(tmp_path / f"imgs_part_{part}" / f"imgs_part_{part}" / f"{name}.png", part)
    mask = np.zeros((48, 48), np.uint8)
    mask[20:30, 20:30] = 255
    Image.fromarray(mask).save(tmp_path / "imgs_part_1" / "imgs_part_1" / "PAT_1_2_3_lesion.png")
    return tmp_path


def test_pad_ufes_20(pad_folder):
    a, b, c = (row.attributes for row in pad_ufes_20.read(pad_folder))
    assert (a.sex, a.age, a.site, a.field) == (Sex.FEMALE, 61, BodySite.ARM, Field.CLOSE_UP)
    assert a.ita == SKIN_TYPE_ITA["II"]
    # 100 mask pixels are an ellipse of 6 x 5 mm: 0.485 mm a pixel, 48 pixels wide.
    assert a.field_cm == pytest.approx(4.8 * np.sqrt(np.pi / 4 * 30 / 100))
    assert (b.sex, b.ita, b.field_cm, b.site) == (Sex.UNSPECIFIED, None, None, BodySite.FACE)
    assert c.sex is Sex.MALE and c.field_cm is None  # diameters, but no mask
    table(pad_folder / "metadata.csv", [
        {"patient_id": "P", "img_id": "PAT_1_2_3", "region": "TAIL"},
    ])  # fmt: skip
    with pytest.raises(InputError, match="row 2: region 'TAIL'"):
        pad_ufes_20.read(pad_folder)


def test_utkface(tmp_path):
    picture(tmp_path / "part1" / "26_1_3_20170104020916321.jpg")
    picture(tmp_path / "part1" / "61_1_20170109150557335.jpg.chip.jpg")
    numbers = np.arange(136).reshape(68, 2)
    line = " ".join(map(str, numbers.ravel()))
    (tmp_path / "landmark_list_part1.txt").write_text(f"26_1_3_20170104020916321.jpg {line}\n")
    a, b = face_folders.read_utkface(tmp_path)
    assert (a.attributes.sex, a.attributes.age, a.attributes.site) == (
        Sex.FEMALE, 26, BodySite.FACE,
    )  # fmt: skip
    np.testing.assert_allclose(a.landmarks[0], numbers[36:42].mean(0))
    np.testing.assert_allclose(a.landmarks[2:], numbers[[30, 48, 54]])
    assert np.isnan(b.landmarks).all() and b.attributes.age == 61
    picture(tmp_path / "part1" / "holiday.jpg")
    with pytest.raises(InputError, match=r"holiday.jpg"):
        face_folders.read_utkface(tmp_path)


def test_fairface_keeps_equal_names_apart(tmp_path, capsys):
    head = {"race": "x", "service_test": "True"}
    table(tmp_path / "fairface_label_train.csv", [
        {"file": f"train/{i}.jpg", "age": "3-9", "gender": "Female", **head} for i in (1, 2)
    ])  # fmt: skip
    table(tmp_path / "fairface_label_val.csv", [
        {"file": "val/1.jpg", "age": "more than 70", "gender": "Male", **head},
    ])  # fmt: skip
    for name in ("train/1", "train/2", "val/1"):
        picture(tmp_path / f"{name}.jpg")
    first, second, third = face_folders.read_fairface(tmp_path)
    assert first.attributes.age == 6 and third.attributes.sex is Sex.MALE
    assert len({row.person_id for row in (first, second, third)}) == 3
    status = main([
        "jaxderm", "prepare", f"--source={tmp_path}", f"--data_dir={tmp_path / 'data'}",
        "--layout=fairface", "--name=fair",
    ])  # fmt: skip
    assert status == 0 and "3 pictures of 3 persons" in capsys.readouterr().out


def test_scin_becomes_a_training_batch(scin_folder, tmp_path):
    data_dir = str(tmp_path / "data")
    text = prepare.prepare(str(scin_folder), data_dir, "scin", layout="scin")
    assert "4 pictures of 3 persons" in text and "left out: 1, genitalia" in text
    people = {"scin--1": 2, "scin-2": 1, "scin-3": 1}
    in_train = sum(n for person, n in people.items() if split_of(person) == "train")
    assert pipeline.count_records(data_dir, {"scin": 1.0}, "train") == in_train > 0
    loader = pipeline.make_loader(data_dir, {"scin": 1.0}, "train", batch_size=2, size=32, seed=0)
    batch = next(loader)
    assert batch["image"].shape == (2, 32, 32, 3) and batch["mask"].any()


def test_pad_leaves_minors_at_the_trunk_out(pad_folder, tmp_path):
    text = prepare.prepare(str(pad_folder), str(tmp_path / "data"), "pad", layout="pad_ufes_20")
    assert "2 pictures" in text and "left out: 1 of people under 18" in text


def test_every_layout_states_its_licence():
    import sys

    for name, builder in prepare.LAYOUTS.items():
        module = sys.modules[builder.__module__].__doc__
        assert "icence" in builder.__doc__, name
        assert name == "labels" or "Licence" in module, name


def test_processes_share_one_global_batch(tmp_path):
    """Two processes' rows are, put together, the batch of one process, after any number of batches."""
    for i in range(6):
        picture(tmp_path / "source" / f"p{i}.png", i)
    table(tmp_path / "source" / "labels.csv", [
        {"file": f"p{i}.png", "person_id": f"q{i}", "site": "arm", "age": "30"} for i in range(6)
    ])  # fmt: skip
    data_dir = str(tmp_path / "data")
    prepare.prepare(str(tmp_path / "source"), data_dir, "toy")

    def loader(index: int, count: int):
        return pipeline.make_loader(
            data_dir, {"toy": 1.0}, "train", batch_size=4, size=16, seed=3,
            process_index=index, process_count=count,
        )  # fmt: skip

    whole, parts = loader(0, 1), [loader(0, 2), loader(1, 2)]
    for _ in range(3):
        batch, shares = next(whole), [next(part) for part in parts]
        for name in batch:
            np.testing.assert_array_equal(batch[name], np.concatenate([s[name] for s in shares]))
    assert whole.get_state() == parts[0].get_state() == parts[1].get_state()
    again = loader(1, 2)
    again.set_state(parts[1].get_state())
    np.testing.assert_array_equal(next(again)["image"], next(whole)["image"][2:])
    with pytest.raises(InputError, match="3 processes"):
        loader(0, 3)
