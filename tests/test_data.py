"""Corpora and loader: labels to TFDS, splits by person, batches that resume and are shared out."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from jaxderm import attributes as attr
from jaxderm.attributes import Attributes, BodySite, Field, Sex, Source, View
from jaxderm.data import pipeline
from jaxderm.data.features import Record
from jaxderm.data.photo_folder import SPLITS, read_labels, split_of
from jaxderm.data.prepare import load, prepare
from jaxderm.errors import InputError
from jaxderm.photo import read_photo

SIDE = 64


def people(split: str, count: int) -> list[str]:
    """The first `count` names whose split is `split`."""
    names = (f"person{i}" for i in range(10_000))
    return [name for name in names if split_of(name) == split][:count]


def picture(seed: int, side: int = SIDE) -> np.ndarray:
    """Skin-coloured noise [side,side,3] uint8; every seed has a tone of its own."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.3, 1.0) * np.array([230, 180, 150])
    return np.clip(base + rng.normal(0, 8, (side, side, 3)), 0, 255).astype(np.uint8)


def disc(side: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:side, :side]
    return np.hypot(columns - x, rows - y) <= radius


def save(path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels).save(path)


def write_csv(folder, rows: list[dict]) -> None:
    """labels.csv of rows, and a picture for each that has none yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows):
        if not (folder / row["file"]).exists():
            save(folder / row["file"], picture(number))
    with open(folder / "labels.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def records(data_dir, name: str) -> dict[str, tuple[str, Record]]:
    """{image_id: (split, record)} of a prepared corpus."""
    parts = {split: load(str(data_dir), name, split) for split in SPLITS}
    return {part[i].image_id: (split, part[i]) for split, part in parts.items() for i in range(len(part))}  # fmt: skip


def written(folder) -> dict:
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


# prepare


def test_csv_folder_to_records(tmp_path):
    source, train = tmp_path / "source", people("train", 3)
    rows = [
        {"file": "a.png", "sex": "Female", "age": "34", "site": "arm", "person_id": train[0]},
        {"file": "b.jpg", "sex": "male", "age": "71", "site": "face", "skin_type": "IV",
         "view": "frontal", "landmarks": "20,24 42,24 - 22,48 41,48", "person_id": train[1]},
        {"file": "deeper/c.webp", "age": "NA", "site": "leg", "subsite": "thigh", "ita": "12.5",
         "field": "close_up", "field_cm": "8", "source": "render", "lesion_mask": "c_spot.png"},
        {"file": "other/c.webp", "site": "hand", "person_id": train[2]},
    ]  # fmt: skip
    skin, spot = disc(SIDE, 32, 32, 25), disc(SIDE, 30, 30, 6)
    save(source / "a_skin.png", skin)
    save(source / "a_lesion.png", spot)
    save(source / "c_spot.png", spot)
    write_csv(source, rows)
    summary = prepare(str(source), str(tmp_path / "data"), "mine", "photo")
    assert summary.startswith("mine: 4 pictures of 4 persons")
    assert "arm 1" in summary and "unspecified 2" in summary
    by_split = [load(str(tmp_path / "data"), "mine", split) for split in SPLITS]
    found = {record.person_id: record for part in by_split for record in map(part.__getitem__, range(len(part)))}  # fmt: skip
    assert len(found) == 4, "two pictures of one name in two folders are two pictures"

    a = found[train[0]]
    np.testing.assert_array_equal(a.image, read_photo(source / "a.png").pixels)
    np.testing.assert_array_equal(a.skin, skin)
    np.testing.assert_array_equal(a.lesion, spot)
    tone = attr.ita(a.image, skin & ~spot)
    assert a.attributes.ita == pytest.approx(tone, abs=1e-4), "ITA is measured on unaffected skin"
    assert (a.attributes.sex, a.attributes.age) == (Sex.FEMALE, 34.0)
    assert a.attributes.source is Source.PHOTO and np.isnan(a.landmarks).all()

    b = found[train[1]]
    np.testing.assert_array_equal(b.image, read_photo(source / "b.jpg").pixels)
    np.testing.assert_array_equal(
        b.landmarks, [[20, 24], [42, 24], [np.nan, np.nan], [22, 48], [41, 48]]
    )
    assert b.skin is None and b.lesion is None
    assert b.attributes.ita == 19.0 and b.attributes.view is View.FRONTAL

    c = found["c"]
    assert c.attributes == Attributes(
        age=None, ita=12.5, site=BodySite.THIGH, field=Field.CLOSE_UP, field_cm=8.0,
        source=Source.RENDER,
    )  # fmt: skip
    np.testing.assert_array_equal(c.lesion, spot)


def test_jsonl_of_the_renderer_maps_the_patients_sides_to_the_images(tmp_path):
    points = {"eye_l": [40, 20, True], "eye_r": [24, 21, True], "nose": [33, 30],
              "mouth_l": [38, 44, True], "mouth_r": [27, 45, False]}  # fmt: skip
    save(tmp_path / "source" / "1.png", picture(1))
    line = {"file": "1.png", "site": "face", "sex": None, "years": 44.25, "view": "three_quarter",
            "landmarks": points, "albedo_ita": 3.0, "lesion": {"kind": "naevus"}}  # fmt: skip
    (tmp_path / "source" / "labels.jsonl").write_text(json.dumps(line) + "\n\n")
    prepare(str(tmp_path / "source"), str(tmp_path / "data"), "renders")
    [(_, record)] = records(tmp_path / "data", "renders").values()
    nan = [np.nan, np.nan]
    np.testing.assert_array_equal(record.landmarks, [[24, 21], [40, 20], [33, 30], nan, [38, 44]])
    facts = record.attributes
    assert facts.source is Source.RENDER and facts.view is View.UNSPECIFIED and facts.age == 44.25
    assert facts.ita is None, "an albedo's ITA is never a condition, and no skin is known here"


def test_large_pictures_and_what_lies_on_them_shrink_together(tmp_path):
    save(tmp_path / "source" / "a.png", picture(0, 1024))
    save(tmp_path / "source" / "a_lesion.png", disc(1024, 600, 300, 100))
    points = "400,400 600,400 500,500 420,600 580,600"
    write_csv(tmp_path / "source", [{"file": "a.png", "site": "face", "landmarks": points}])
    prepare(str(tmp_path / "source"), str(tmp_path / "data"), "mine")
    [(_, record)] = records(tmp_path / "data", "mine").values()
    assert record.image.shape == (512, 512, 3) and record.lesion.shape == (512, 512)
    np.testing.assert_array_equal(record.landmarks[0], [200, 200])
    rows, columns = np.nonzero(record.lesion)
    np.testing.assert_allclose([columns.mean(), rows.mean()], [300, 150], atol=1)
    assert np.ptp(columns) == pytest.approx(100, abs=3)


def test_splits_go_by_person(tmp_path):
    shares = [sum(split_of(f"p{i}") == split for i in range(4000)) / 4000 for split in SPLITS]
    np.testing.assert_allclose(shares, [0.9, 0.05, 0.05], atol=0.015)
    persons = [*people("train", 3), *people("validation", 2), *people("test", 2)]
    rows = [{"file": f"{i}.png", "site": "arm", "person_id": persons[i // 3]} for i in range(21)]
    write_csv(tmp_path / "source", rows)
    summary = prepare(str(tmp_path / "source"), str(tmp_path / "data"), "mine")
    assert "splits: train 9, validation 6, test 6" in summary
    found = records(tmp_path / "data", "mine").values()
    assert len(found) == 21
    assert all(split == split_of(record.person_id) for split, record in found)


def test_minors_at_the_trunk_are_left_out_and_counted(tmp_path):
    sites = ["chest", "abdomen", "back", "thigh", "", "face", "arm", "hand", "leg"]
    rows = [{"file": f"x{age}{site}.png", "age": age, "site": site}
            for site in sites for age in (9, 17.9, 18, "")]  # fmt: skip
    write_csv(tmp_path / "source", rows)
    summary = prepare(str(tmp_path / "source"), str(tmp_path / "data"), "mine")
    assert "mine: 26 pictures of 26 persons" in summary
    assert "left out: 10 of people under 18 at trunk, thigh or no site" in summary
    kept = [record.attributes for _, record in records(tmp_path / "data", "mine").values()]
    assert len(kept) == 26
    for facts in kept:
        attr.encode(facts)  # refuses a minor at a protected site
    assert sum(f.site in attr.PROTECTED_SITES for f in kept) == 10


def jsonl(text: str):
    def write(folder) -> None:
        (folder / "labels.csv").unlink()
        (folder / "labels.jsonl").write_text(text)

    return write


def table(**cells):
    def write(folder) -> None:
        rows = [{"file": "a.png"}, {"file": "b.png"}]
        (folder / "labels.csv").unlink()
        write_csv(folder, [rows[0], {**rows[1], **cells}])

    return write


def text(content: str | bytes):
    def write(folder) -> None:
        data = content.encode() if isinstance(content, str) else content
        (folder / "labels.csv").write_bytes(data)

    return write


def small_mask(folder) -> None:
    save(folder / "m.png", np.ones((9, 9), bool))
    table(lesion_mask="m.png")(folder)


def no_picture(folder) -> None:
    (folder / "b.png").write_text("not a picture")


BAD = {
    "no labels file": (lambda folder: (folder / "labels.csv").unlink(), ["labels.csv", "jsonl"]),
    "missing picture": (text("file\na.png\nnone.png\n"), ["labels.csv row 3", "none.png"]),
    "no file column": (text("sex\nmale\n"), ["labels.csv", "file"]),
    "no rows": (text(""), ["labels.csv", "no rows"]),
    "unknown column": (table(colour="red"), ["labels.csv", "colour", "known columns"]),
    "too many cells": (text("file\na.png\nb.png,male\n"), ["labels.csv row 3", "male"]),
    "not UTF-8": (text(b"file\n\xff\xfe.png\n"), ["labels.csv", "utf-8"]),
    "unknown site": (table(site="elbow"), ["labels.csv row 3", "elbow", "lower_leg"]),
    "unknown sex": (table(sex="f"), ["labels.csv row 3", "sex 'f'"]),
    "bad age": (table(age="old"), ["labels.csv row 3", "age 'old'"]),
    "bad ita": (table(ita="fair"), ["labels.csv row 3", "ita 'fair'"]),
    "bad width": (table(field_cm="-3"), ["labels.csv row 3", "field_cm '-3'"]),
    "bad skin type": (table(skin_type="VII"), ["labels.csv row 3", "skin_type 'VII'"]),
    "bad landmarks": (table(landmarks="1,2 3,4"), ["labels.csv row 3", "1,2 3,4"]),
    "swapped eyes": (table(landmarks="40,9 9,9 - - -"), ["labels.csv row 3", "swapped"]),
    "missing mask": (table(skin_mask="x.png"), ["labels.csv row 3", "skin_mask 'x.png'"]),
    "mask of another size": (small_mask, ["labels.csv row 3", "9 x 9", "64 x 64"]),
    "not a picture": (no_picture, ["labels.csv row 3", "b.png"]),
    "named twice": (text("file\na.png\na.png\n"), ["labels.csv row 3", "a.png", "twice"]),
    "broken line": (jsonl('{"file": "a.png"}\n{"file"\n'), ["labels.jsonl row 2"]),
    "not an object": (jsonl('"a.png"\n'), ["labels.jsonl row 1", "object"]),
    "landmarks of a wrong kind": (
        jsonl('{"file": "a.png", "landmarks": {"nose": 3}}\n'),
        ["labels.jsonl row 1", "landmarks"],
    ),
    "landmarks as a list": (
        jsonl('{"file": "a.png", "landmarks": [[1, 2]]}\n'),
        ["labels.jsonl row 1", "landmarks"],
    ),
    "only minors": (text("file,age\na.png,4\n"), ["no picture"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_labels_are_one_sentence_and_nothing_is_written(case, tmp_path):
    source, (spoil, words) = tmp_path / "source", BAD[case]
    write_csv(source, [{"file": "a.png"}, {"file": "b.png"}])
    spoil(source)
    with pytest.raises(InputError) as error:
        prepare(str(source), str(tmp_path / "data"), "mine")
    for word in words:
        assert word in str(error.value)
    assert written(tmp_path / "data") == {}


def test_bad_folder_and_name(tmp_path):
    with pytest.raises(InputError, match="nowhere.*not a folder"):
        prepare(str(tmp_path / "nowhere"), str(tmp_path / "data"))
    write_csv(tmp_path / "My Skins", [{"file": "a.png"}])
    for name in ("Mine", "9lives", "a/b", "a-b"):
        with pytest.raises(InputError, match=re.escape(f"name '{name}'")):
            prepare(str(tmp_path / "My Skins"), str(tmp_path / "data"), name)
    assert prepare(str(tmp_path / "My Skins"), str(tmp_path / "data")).startswith("my_skins: 1")


def test_labels_of_a_spreadsheet_and_of_a_hand(tmp_path):
    write_csv(tmp_path, [{"file": "a.png"}])
    (tmp_path / "labels.csv").write_bytes("\ufefffile,sex\r\na.png, FEMALE \r\n".encode())
    [row] = read_labels(tmp_path)
    assert row.attributes.sex is Sex.FEMALE and row.person_id == "a"


def test_prepare_twice_changes_nothing(tmp_path):
    rows = [{"file": f"{i}.png", "age": 7 * i, "site": "back"} for i in range(6)]
    write_csv(tmp_path / "source", rows)
    arguments = str(tmp_path / "source"), str(tmp_path / "data"), "mine"
    summary, files = prepare(*arguments), written(tmp_path / "data")
    assert prepare(*arguments) == summary and written(tmp_path / "data") == files
    write_csv(tmp_path / "source", [*rows, {"file": "new.png", "age": 50, "site": "arm"}])
    with pytest.raises(InputError, match="already holds 3 pictures, not the 4"):
        prepare(*arguments)
    assert written(tmp_path / "data") == files


# loader

HUES = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (200, 30, 200), (30, 200, 200),
        (240, 240, 240), (20, 20, 20)]  # fmt: skip


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Corpus `hues`: 8 plain training pictures, 2 of them faces of women, 2 of men, and 1 to test."""
    folder = tmp_path_factory.mktemp("hues")
    persons = [*people("train", 8), *people("test", 1)]
    rows = []
    for number, person in enumerate(persons):
        save(folder / f"{number}.png", np.full((SIDE, SIDE, 3), HUES[number % 8], np.uint8))
        facts = {"site": "face" if number < 4 else "arm", "sex": "female" if number < 2 else "male"}
        rows.append({"file": f"{number}.png", "person_id": person, **facts})
    write_csv(folder, rows)
    prepare(str(folder), str(folder / "data"), "hues")
    return str(folder / "data")


def loader(data_dir, **options):
    values = {"corpora": {"hues": 1.0}, "split": "train", "batch_size": 4, "size": 64, "seed": 1}
    return pipeline.make_loader(data_dir, **{**values, **options})


def numbers(batch: dict) -> list[int]:
    """Which record each example of a batch comes from, by its hue outside the mask."""
    hues = np.array([np.median(i[m == 0], 0) for i, m in zip(batch["image"], batch["mask"])])
    return np.abs(hues[:, None] - np.array(HUES)).sum(-1).argmin(1).tolist()


def assert_equal(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_batches_are_a_function_of_the_seed(data_dir):
    a, b, c = loader(data_dir), loader(data_dir), loader(data_dir, seed=2)
    first = [next(a) for _ in range(4)]
    for batch in first:
        assert_equal(batch, next(b))
    assert any(not np.array_equal(x["image"], next(c)["image"]) for x in first)
    assert sorted(numbers(first[0]) + numbers(first[1])) == list(range(8)), "an epoch has each once"
    assert first[0]["image"].shape == (4, 64, 64, 3) and first[0]["condition"].shape[0] == 4


@pytest.mark.parametrize("position", [0, 1, 5])
def test_a_saved_position_resumes_bit_equal(data_dir, position):
    straight, mix = loader(data_dir, face_share=0.5), {"hues": 1.0}
    for _ in range(position):
        next(straight)
    state = straight.get_state()
    ahead = [next(straight) for _ in range(5)]
    other = loader(data_dir, corpora=mix, face_share=0.5)
    next(other)
    other.set_state(json.loads(json.dumps(state)) if isinstance(state, dict) else state)
    for batch in ahead:
        assert_equal(batch, next(other))


def test_processes_share_out_one_stream(data_dir):
    whole = loader(data_dir)
    parts = [loader(data_dir, process_index=i, process_count=2) for i in range(2)]
    seen = [set(), set()]
    for step in range(4):
        batches = [next(part) for part in parts]
        assert len(batches[0]["image"]) == len(batches[1]["image"]) == 2
        dealt = {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
        assert_equal(next(whole), dealt)
        for mine, batch in zip(seen, batches):
            if step < 2:
                mine.update(numbers(batch))
    assert not seen[0] & seen[1] and seen[0] | seen[1] == set(range(8)), "disjoint in an epoch"


def test_shares_of_faces_and_women(data_dir):
    def share(which: range, **options) -> float:
        drawn = numbers(next(loader(data_dir, batch_size=40, **options)))
        return sum(number in which for number in drawn) / len(drawn)

    assert share(range(4)) == pytest.approx(0.5, abs=0.06)
    assert share(range(4), face_share=0.75) == pytest.approx(0.75, abs=0.06)
    assert share(range(4), face_share=1.0) == 1.0  # a share of 0 is not drawn at all
    assert share(range(2), face_share=0.75, female_share=0.2) == pytest.approx(0.15, abs=0.06)
    assert share(range(2, 4), face_share=0.75, female_share=0.2) == pytest.approx(0.6, abs=0.06)


def test_a_missing_corpus_says_how_to_prepare_it(data_dir):
    with pytest.raises(InputError, match=r"corpus 'none'.*jaxderm prepare .*--name none"):
        loader(data_dir, corpora={"none": 1.0, "hues": 1.0})
    assert numbers(next(loader(data_dir, corpora={"none": 0.0, "hues": 1.0})))
    with pytest.raises(InputError, match="split 'validation'.*label more people"):
        loader(data_dir, split="validation")
    with pytest.raises(InputError, match="weight"):
        loader(data_dir, corpora={"hues": 0.0})
