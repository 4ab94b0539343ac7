"""The audit as a whole, with a stand-in recogniser: bad input, determinism, publishable, the command."""

import base64
import csv
import io
import json
import re
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from jaxderm.cli import main
from jaxderm.errors import InputError
from jaxderm.evaluate import audit, report, sections
from jaxderm.evaluate.attributes import load_reader
from jaxderm.evaluate.cases import read_rows
from jaxderm.evaluate.measure import sheet_pictures
from jaxderm.evaluate.recogniser import BY_LANDMARKS, DETECTED, NO_FACE, Face, euclidean

COUNT = 24
LANDMARKS = np.array([[58, 62], [102, 62], [80, 85], [64, 106], [96, 106]], np.float32)


class Eyes:
    """Recognises people by the colour of their eyes; "detects" a face where the eyes are not grey."""

    name, threshold = "eyes", 0.02

    def __call__(self, picture, landmarks=None):
        if landmarks is None:
            landmarks = LANDMARKS  # a gallery picture
        if not ((landmarks[:2] >= 2) & (landmarks[:2] < np.array(picture.shape[1::-1]) - 2)).all():
            return Face(None, NO_FACE)
        colours = [
            picture[int(y) - 2 : int(y) + 2, int(x) - 2 : int(x) + 2].mean((0, 1)) / 255
            for x, y in landmarks[:2]
        ]
        vector = np.concatenate(colours).astype(float)
        grey = np.ptp(vector.reshape(2, 3), axis=1).max() < 0.02
        points = np.stack([landmarks[1] + [5, 0], landmarks[1] - [5, 0], landmarks[0] - [5, 0],
                           landmarks[0] + [5, 0], landmarks[2]])  # fmt: skip
        return Face(vector, BY_LANDMARKS if grey else DETECTED, None if grey else points)

    def distances(self, first, second):
        return euclidean(first, second)


def face(person: int, noise: int) -> np.ndarray:
    """A picture [160,160,3] of a person: skin, and eyes of a colour that is theirs."""
    rng = np.random.default_rng(1000 + noise)
    tone = np.array([205, 160, 135]) - 4 * (person % 20)
    picture = tone + rng.normal(0, 5, (160, 160, 3))
    for number, (x, y) in enumerate(LANDMARKS[:2]):
        colour = np.random.default_rng(person * 2 + number).uniform(20, 235, 3)
        picture[int(y) - 4 : int(y) + 4, int(x) - 4 : int(x) + 4] = colour
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with cases, a gallery, and releases by the eye bar."""
    folder = tmp_path_factory.mktemp("world")
    for name in ("gallery", "out"):
        (folder / name).mkdir()
    y, x = np.mgrid[:160, :160]
    mask = np.hypot(x - 105, y - 92) < 9
    Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "mask.png")
    text = " ".join(f"{a:g},{b:g}" for a, b in LANDMARKS)
    rows = []
    for i in range(COUNT):
        photo = face(i, i)
        photo[mask] = photo[mask] // 2
        Image.fromarray(photo).save(folder / f"p{i:02d}.png")
        Image.fromarray(face(i, 500 + i)).save(folder / "gallery" / f"p{i:02d}.png")
        rows.append([f"p{i:02d}", f"p{i:02d}.png", "mask.png", ("female", "male")[i % 2], 20 + i, "white",
                     "face", text, f"patient{i // 2}"])  # fmt: skip
    header = ["id", "photo", "mask", "sex", "age", "ethnicity", "site", "landmarks", "patient"]
    with open(folder / "cases.csv", "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    argv = [
        "jaxderm",
        "deidentify",
        f"--cases={folder / 'cases.csv'}",
        f"--output_dir={folder / 'out'}",
    ]
    assert main([*argv, "--method=blackout", "--noprogress"]) == 0
    return folder


def few(folder) -> dict:
    """Only the first eight cases: enough where no figure of realism is looked at."""
    lines = (folder / "cases.csv").read_text().splitlines(keepends=True)
    (folder / "few.csv").write_text("".join(lines[:9]))
    return {"cases": str(folder / "few.csv")}


def options(folder, **changes) -> audit.Options:
    values = {"cases": str(folder / "cases.csv"), "releases": str(folder / "out"),
              "gallery": str(folder / "gallery"), "recogniser": Eyes()}  # fmt: skip
    return audit.Options(**{**values, **changes})


@pytest.fixture(scope="module")
def document(world):
    return audit.audit(options(world))


def test_all_four_questions_are_answered(document):
    d = document
    assert d["cases"]["released"] == COUNT and not d["cases"]["without_release"]
    untouched, release = d["identity"]["untouched"], d["identity"]["release"]
    assert (
        untouched["everybody"]["rank_1"]["value"] == 1.0
        and untouched["matched"]["auc"]["value"] == 1.0
    )
    # All black alike: whoever has the darkest eyes is nearest to everybody.
    assert (
        release["everybody"]["rank_1"]["value"]
        <= 1 / COUNT
        < release["everybody"]["rank_1"]["high"]
    )
    assert d["identity"]["crop"]["faces"] == {NO_FACE: COUNT}
    assert release["faces"] == {BY_LANDMARKS: COUNT}
    assert d["lesion"]["release"]["exact"]["value"] == 1.0
    assert d["lesion"]["untouched"]["same_outline"]["value"] == 1.0
    assert d["lesion"]["release"]["same_outline"]["value"] == 0.0  # black up to the lesion
    assert d["person"]["untouched"]["tone_error"]["value"] < 5
    assert d["reader"]["name"] is None
    assert "singular" in d["realism"]["methods"]["release"]["frechet"]["note"]
    kernel = {name: f["kernel"]["value"] for name, f in d["realism"]["methods"].items()}
    assert kernel["release"] > 5 * kernel["mosaic"]
    assert set(d["identity"]) == set(audit.METHODS)
    for kind in ("sex", "age", "skin tone"):
        assert d["groups"][kind]["kept pixels exact"]["gap"] in (0, None)
        assert "kernel distance" in d["groups"][kind]
    assert d["linkage"]["pairs"]["two cases of one patient"]["count"] == COUNT // 2
    assert d["linkage"]["collisions"]["collides"]["value"] == 1.0
    assert json.loads(json.dumps(d, allow_nan=False)) == d


def test_the_same_audit_gives_the_same_document(world):
    first, again = (audit.audit(options(world, **few(world))) for _ in range(2))
    assert first == again


def planted(world, tmp_path, **changes):
    """A copy of the releases in which something is wrong."""
    shutil.copytree(world / "out", tmp_path / "out")
    given = options(world, releases=str(tmp_path / "out"), **few(world), **changes)
    return given, tmp_path / "out"


def test_a_missing_release_is_named_and_the_rest_goes_on(world, tmp_path):
    given, out = planted(world, tmp_path)
    (out / "p03.png").unlink()
    (out / "p04.json").write_text("{}")
    Image.new("RGB", (9, 9)).save(out / "p05.png")
    d = audit.audit(given)
    assert d["cases"]["released"] == 5
    reasons = {c["id"]: c["reason"] for c in d["cases"]["without_release"]}
    assert "p03.png" in reasons["p03"] and "manifest" in reasons["p04"] and "size" in reasons["p05"]
    assert d["identity"]["untouched"]["everybody"]["rank_1"]["count"] == 8
    assert d["identity"]["release"]["everybody"]["rank_1"]["count"] == 5
    assert "3 cases could not be audited" in report.page(
        {**d, "command": "", "publishable": False}, {}
    )


def test_one_changed_pixel_and_an_untouched_release_are_found(world, tmp_path):
    given, out = planted(world, tmp_path)
    pixels = np.array(Image.open(out / "p06.png"))
    kept = np.asarray(Image.open(out / "p06.mask.png")) > 0
    y, x = np.argwhere(kept)[5]
    pixels[y, x, 1] ^= 1
    Image.fromarray(pixels).save(out / "p06.png")
    frame = json.loads((out / "p07.json").read_text())["frame"]
    photo = np.asarray(Image.open(world / "p07.png"))
    box = np.s_[frame["y"] : frame["y"] + frame["height"], frame["x"] : frame["x"] + frame["width"]]
    Image.fromarray(photo[box]).save(out / "p07.png")
    d = audit.audit(given)
    rows = {row["id"]: row for row in d["rows"]}
    assert rows["p06"]["changed"] == 1 and d["lesion"]["release"]["changed_pixels"] == 1
    assert rows["p07"]["rank"] == 1 and rows["p07"]["verified"] and rows["p05"]["rank"] > 1
    assert d["identity"]["release"]["verified"]["value"] == pytest.approx(1 / 8)
    assert set(d["ranking"]) == set(rows)


def test_a_bad_gallery_and_missing_folders_are_one_sentence(world, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "others").mkdir()
    Image.fromarray(face(1, 1)).save(tmp_path / "others" / "stranger.png")
    for changes, words in (
        ({"gallery": str(tmp_path / "none")}, "not a folder"),
        ({"gallery": str(tmp_path / "empty")}, "holds no picture"),
        ({"gallery": str(tmp_path / "others")}, "no face of a case"),
        ({"releases": str(tmp_path / "none")}, "not a folder"),
        ({"releases": str(tmp_path / "empty")}, "holds no release"),
        ({"extractor": str(tmp_path / "none.npz")}, "cannot be read"),
        ({"extractor": "reader"}, "--reader"),
        ({"reader": str(tmp_path / "none.py")}, "reader"),
        ({"second": (str(tmp_path / "empty"),)}, "no release"),
    ):
        with pytest.raises(InputError, match=words) as error:
            audit.audit(options(world, **{**few(world), **changes}))
        assert "\n" not in str(error.value)


def test_distractors_training_and_second_releases(world, tmp_path):
    for name in ("more", "training", "second"):
        (tmp_path / name).mkdir()
    for i in range(10):
        Image.fromarray(face(300 + i, i)).save(tmp_path / "more" / f"d{i}.png")
        Image.fromarray(face(400 + i, i)).save(tmp_path / "training" / f"t{i}.png")
    (tmp_path / "more" / "broken.png").write_text("no picture")
    for path in (world / "out").glob("p0*"):
        shutil.copy(path, tmp_path / "second" / path.name)
    d = audit.audit(options(world, **few(world), distractors=(str(tmp_path / "more"),), training=str(tmp_path / "training"),
                            second=(str(tmp_path / "second"),)))  # fmt: skip
    assert d["gallery"]["distractors"] == 10 + COUNT - 8 and d["gallery"]["people"] == 8
    assert d["gallery"]["without_face"][0]["file"] == "broken.png"
    assert d["leak"]["training_faces"] == 10 and d["leak"]["auc"]["value"] is not None
    pairs = d["linkage"]["pairs"]["second (without --identity_key)"]
    assert pairs["count"] == 8 and pairs["linked"]["value"] == 1.0
    assert "nearer to a training face" in report.page(
        {**d, "command": "", "publishable": False}, {}
    )


def test_strangers_of_the_training_leak_may_be_of_its_kind(world, tmp_path):
    for name, first in (("training", 400), ("unseen", 500)):
        (tmp_path / name).mkdir()
        for i in range(10):
            Image.fromarray(face(first + i, i)).save(tmp_path / name / f"t{i}.png")
    given = {name: str(tmp_path / name) for name in ("training", "unseen")}
    leak = audit.audit(options(world, **few(world), **given))["leak"]
    assert leak["strangers"] == 10 and leak["unseen"] and len(leak["reference"]) == 10
    shutil.copy(tmp_path / "training" / "t3.png", tmp_path / "unseen")
    shutil.copy(tmp_path / "training" / "t3.png", tmp_path / "unseen" / "again.png")
    with pytest.raises(InputError, match="shares 2 of its 11 faces with training"):
        audit.audit(options(world, **few(world), **given))


def test_a_reader_is_used_and_checked(world, tmp_path):
    path = tmp_path / "reader.py"
    path.write_text(
        "import numpy as np\n"
        "def read(pictures):\n    return [{'sex': 'female', 'age': 30, 'site': 'face'} for _ in pictures]\n"
        "def features(pictures):\n    return np.stack([p[::64, ::64].ravel()[:4] for p in pictures]) / 255\n"
    )
    d = audit.audit(options(world, **few(world), reader=str(path), extractor="reader"))
    assert d["reader"]["releases"]["sex read as declared"]["value"] == 0.5
    assert d["reader"]["photographs"]["site read as declared"]["value"] == 1.0
    assert d["realism"]["extractor"]["features"] == 4
    assert d["realism"]["methods"]["mosaic"]["frechet"]["value"] is not None
    assert d["groups"]["sex"]["sex read as declared"]["gap"] == 1.0
    with pytest.raises(InputError, match="no function 'look'"):
        load_reader(f"{path}:look")
    path.write_text("def read(pictures):\n    return []\n")
    with pytest.raises(InputError, match="one dictionary"):
        load_reader(str(path))([face(0, 0)])


def pictures_in(page: str) -> list[bytes]:
    return [base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)\"", page)]


def write(folder, document, world, publishable):
    rows = {row.id: row for row in read_rows(str(world / "cases.csv"))}
    shown = [name for ids in report.chosen(document["ranking"]).values() for name in ids]
    sheet = {name: sheet_pictures(rows[name], str(world / "out"), publishable) for name in shown}
    return report.write(folder, document, sheet, "jaxderm audit", publishable).read_text()


def test_publishable_shows_no_original_pixel_outside_the_masks(world, document, tmp_path):
    private = write(tmp_path / "private", document, world, False)
    assert "original: do not publish" in private and len(pictures_in(private)) == 27
    page = write(tmp_path / "public", document, world, True)
    # The blackout leaves hair and neck: as no model made it, only kept pixels alone are shown.
    assert "original" not in re.sub(r"original (photograph|pixel)", "", page)
    assert len(pictures_in(page)) == 9
    assert not re.search(r"p\d\d", re.sub(r"base64,[^\"]+", "", page))
    assert not re.search(r"p\d\d", (tmp_path / "public" / "report.json").read_text())
    # Scramble the photographs outside kept: not one picture changes.
    other = tmp_path / "other"
    shutil.copytree(world, other)
    for i in range(COUNT):
        photo = np.array(Image.open(other / f"p{i:02d}.png"))
        kept = np.zeros(photo.shape[:2], bool)
        frame = json.loads((other / "out" / f"p{i:02d}.json").read_text())["frame"]
        box = np.s_[
            frame["y"] : frame["y"] + frame["height"], frame["x"] : frame["x"] + frame["width"]
        ]
        kept[box] = np.asarray(Image.open(other / "out" / f"p{i:02d}.mask.png")) > 0
        photo[~kept] = 7
        Image.fromarray(photo).save(other / f"p{i:02d}.png")
    again = write(tmp_path / "again", document, other, True)
    assert pictures_in(again) == pictures_in(page)
    for data in pictures_in(page):
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        assert (pixels == 118).all(-1).mean() > 0.5


def test_the_page_is_self_contained(world, document, tmp_path):
    page = write(tmp_path, document, world, False)
    assert not re.search(r"<script|<link|src=\"(?!data:)|url\(|http", page)
    for words in (
        "at most",
        "matched impostors",
        "Is the lesion there?",
        "no attribute reader",
        "jaxderm audit",
    ):
        assert words in page, words
    assert "nobody" not in page.lower() and "anonym" not in page.lower()


def test_best_median_and_worst_are_different_cases():
    for count in range(1, 12):
        ids = [str(i) for i in range(count)]
        groups = report.chosen(ids)
        shown = [name for part in groups.values() for name in part]
        assert len(shown) == len(set(shown)) and shown[0] == "0"
        if count >= 3:
            assert groups["worst"][-1] == ids[-1] and groups["median"]


def test_plain_holds_no_number_that_json_cannot():
    found = sections.plain(
        {"a": np.float32(1.5), "b": float("inf"), "c": (np.int64(2), np.bool_(True))}
    )
    assert found == {"a": 1.5, "b": None, "c": [2, True]}


def test_the_command(world, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jaxderm.evaluate.measure.load_recogniser", lambda name: Eyes())
    argv = ["jaxderm", "audit", f"--cases={few(world)['cases']}", f"--gallery={world / 'gallery'}",
            f"--releases={world / 'out'}", f"--output={tmp_path / 'report'}", "--workers=1", "--noprogress"]  # fmt: skip
    assert main(argv) == 0
    assert "8 of 8 cases audited" in capsys.readouterr().out
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert f"--cases={world / 'few.csv'}" in document["command"]
    assert main(argv) == 2 and "--overwrite" in capsys.readouterr().err
    assert main([*argv, "--overwrite", "--publishable"]) == 0
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert "--cases=few.csv" in document["command"] and str(tmp_path) not in json.dumps(document)
    assert main(argv[:-5]) == 2 and "--gallery" not in capsys.readouterr().out
    capsys.readouterr()
    assert main([*argv, "--overwrite", f"--unseen={world / 'gallery'}"]) == 2
    assert "--training" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "dlib", None)
    capsys.readouterr()
    assert main([*argv, "--overwrite"]) == 2
    err = capsys.readouterr().err
    assert "jaxderm[audit]" in err and len(err.strip().splitlines()) == 1
