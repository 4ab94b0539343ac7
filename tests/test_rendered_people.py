"""The builder of rendered people: only a rendered folder is read, people stay within a split."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxderm.data import prepare
from jaxderm.errors import InputError


@pytest.fixture
def rendered(tmp_path):
    folder = tmp_path / "renders"
    (folder / "000000").mkdir(parents=True)
    (folder / "render.json").write_text(
        json.dumps({"version": "1.0.0", "seed": 0, "size": 32, "sites": []})
    )
    rng, rows = np.random.default_rng(0), []
    for k in range(120):
        stem = f"000000/{k:07d}"
        pixels = rng.integers(90, 160, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{stem}.webp")
        Image.fromarray(np.full((32, 32), 255, np.uint8)).save(folder / f"{stem}_skin.png")
        rows.append({
            "file": f"{stem}.webp", "sex": "female", "age": 40.5, "ita": 20.0, "albedo_ita": 21.0,
            "site": "face", "view": "frontal", "field": "whole_site", "field_cm": 23.0, "source": "render",
            "person_id": f"render-0-{k // 4:06d}", "landmarks": {"eye_r": [10.0, 12.0, True]},
            "lesion": {"kind": "naevus", "radius_cm": 0.4},
        })  # fmt: skip
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


def test_a_rendered_folder_is_prepared_with_whole_people_in_a_split(rendered, tmp_path):
    said = prepare.prepare(
        str(rendered), str(tmp_path / "data"), "rendered_people", None, "rendered_people"
    )
    assert "120 pictures of 30 persons" in said
    people = {}
    for split in ("train", "validation", "test"):
        records = prepare.load(str(tmp_path / "data"), "rendered_people", split)
        for k in range(len(records)):
            people.setdefault(records[k].person_id, set()).add(split)
    assert len(people) == 30 and all(len(splits) == 1 for splits in people.values())
    record = prepare.load(str(tmp_path / "data"), "rendered_people", "train")[0]
    facts = record.attributes
    assert (facts.source.value, facts.age, facts.ita, facts.field_cm) == (
        "render",
        40.5,
        20.0,
        23.0,
    )
    assert record.skin.all() and record.landmarks[0].tolist() == [10.0, 12.0]


@pytest.mark.parametrize(
    "missing, says", [("render.json", "no render.json"), ("labels.jsonl", "no labels.jsonl")]
)
def test_other_folders_are_refused(rendered, tmp_path, missing, says):
    (rendered / missing).unlink()
    with pytest.raises(InputError, match=says):
        prepare.prepare(str(rendered), str(tmp_path / "data"), "x", None, "rendered_people")
    assert not (tmp_path / "data").exists()
