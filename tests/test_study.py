"""The realism study: statistics on known data and simulated readers, balance, blinding, resuming, the page."""

import json
import math
import shutil

import httpx
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from jaxderm import cli
from jaxderm.errors import InputError
from jaxderm.study import analysis, app, design, statistics
from jaxderm.study.store import DAY, Store
from jaxderm.web.guard import Refusal
from jaxderm.web.server import LocalServer

KINDS = ("NEV", "MEL", "BCC")


def settings(**changes) -> design.Settings:
    given = {
        "title": "Study", "ethics": "EK 12/2026", "readers": ("A", "B", "C"), "diagnoses": KINDS,
        "washout_days": 0.0, "size": 64,
    }  # fmt: skip
    return design.Settings(**{**given, **changes})


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """CSV of 20 cases with pictures of different sizes and revealing metadata."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    lines = ["case,original,release,diagnosis"]
    for case in range(20):
        for kind, size in (("original", 90), ("release", 70)):
            pixels = rng.integers(0, 255, (size, size + 10, 3), dtype=np.uint8)
            info = Image.Exif()
            info[0x010E] = f"{kind} of patient {case}"
            Image.fromarray(pixels).save(folder / f"{kind}{case}.jpg", exif=info)
        lines.append(f"c{case},original{case}.jpg,release{case}.jpg,{KINDS[case % 3]}")
    (folder / "images.csv").write_text("\n".join(lines))
    return folder / "images.csv"


@pytest.fixture()
def study(images, tmp_path):
    design.make(tmp_path / "study", settings(), str(images), force=True)
    return tmp_path / "study"


# Statistics


def test_known_figures():
    # Clopper and Pearson's own kind of example, and a published kappa (Fleiss 1971, table 1: 0.430).
    assert statistics.exact(0, 51).high == pytest.approx(1 - 0.025 ** (1 / 51))
    assert statistics.exact(7, 20).low == pytest.approx(stats.beta.ppf(0.025, 7, 14))
    assert statistics.wilson(7, 20).low == pytest.approx(0.1812, abs=1e-4)
    assert statistics.equivalence(50, 100, 0.15) == pytest.approx(
        stats.binomtest(50, 100, 0.35, "greater").pvalue
    )
    assert statistics.sensitivity_index(84, 100, 16, 100).value == pytest.approx(
        2 * stats.norm.ppf(84.5 / 101)
    )
    score = np.array([1, 2, 3, 4, 5])
    assert statistics.roc_area(score + 10, score).value == 1
    assert statistics.roc_area(score, score).value == pytest.approx(0.5)
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert statistics.cohen(*zip(*pairs)).value == pytest.approx(0.4)
    same = np.array([["x", "x"], ["y", "y"], ["x", "x"], ["z", "z"]], dtype=object)
    assert statistics.fleiss(same).value == pytest.approx(1)


def test_intervals_cover_what_they_say():
    """1,000 simulated readers and studies of known skill each; exact intervals may cover more."""
    rng = np.random.default_rng(4)
    inside: dict[str, list[bool]] = {"wilson": [], "exact": []}
    for _ in range(1000):  # shares of few answers jump, so readers of many skills and lengths
        skill, count = rng.uniform(0.35, 0.9), int(rng.integers(60, 400))
        hits = int(rng.binomial(count, skill))
        for name, held in inside.items():
            found = getattr(statistics, name)(hits, count)
            held.append(found.low <= skill <= found.high)
    cover = {name: np.mean(held) for name, held in inside.items()}
    assert 0.93 <= cover["wilson"] <= 0.97, cover
    assert 0.945 <= cover["exact"] <= 0.985, cover
    # Four readers, forty cases of unequal difficulty: the answers to one case hang together.
    inside = []
    for _ in range(1000):
        ease = rng.beta(0.7 * 5, 0.3 * 5, 40)
        found = statistics.clustered(rng.binomial(4, ease), np.full(40, 4))
        inside.append(found.low <= 0.7 <= found.high)
    assert 0.93 <= np.mean(inside) <= 0.97
    # d' of an observer with equal-variance noise, and the area that goes with it.
    true_d, true_area, d_inside, area_inside = 1.0, stats.norm.cdf(1 / math.sqrt(2)), [], []
    for _ in range(1000):
        real, made = rng.normal(1, 1, 100), rng.normal(0, 1, 100)
        d = statistics.sensitivity_index(int((real > 0.5).sum()), 100, int((made > 0.5).sum()), 100)
        area = statistics.roc_area(real, made)
        d_inside.append(d.low <= true_d <= d.high)
        area_inside.append(area.low <= true_area <= area.high)
    assert 0.93 <= np.mean(d_inside) <= 0.97
    assert 0.93 <= np.mean(area_inside) <= 0.97


def test_power_is_the_share_of_studies_that_show_it():
    rng = np.random.default_rng(5)
    count, margin = 120, 0.15
    hits = rng.binomial(count, 0.5, 1500)
    shown = np.mean([statistics.equivalence(int(h), count, margin) < 0.05 for h in hits])
    assert statistics.equivalence_power(count, margin) == pytest.approx(shown, abs=0.035)
    assert statistics.equivalence_power(count, margin, truth=0.65) <= 0.05, (
        "the test keeps its level"
    )
    assert statistics.noninferiority_power(200, 0.9, 0.75) > 0.99
    assert statistics.noninferiority_power(200, 0.75, 0.75) <= 0.05


# Design


def test_orders_are_balanced_and_blinded(study):
    given, orders = design.load(study)
    key = design.load_key(study)
    first_kinds = {}
    for reader in given.readers:
        first, second = orders[reader]
        for sitting in (first, second):
            assert sorted(key[p]["case"] for p in sitting) == sorted(f"c{n}" for n in range(20))
        assert sorted(first + second) == sorted(key)
        kinds = {key[p]["case"]: key[p]["kind"] for p in first}
        assert sum(k == "original" for k in kinds.values()) == 10
        first_kinds[reader] = kinds
    for case in first_kinds["A"]:
        assert len({first_kinds[r][case] for r in "AB"}) == 2, "both orders occur for every case"
    assert orders["A"][0] != orders["B"][0]
    files = sorted((study / "pictures").iterdir())
    assert len(files) == 40
    for file in files:
        data = file.read_bytes()
        assert b"patient" not in data and b"Exif" not in data and b"tEXt" not in data
        assert Image.open(file).size == (64, 64)
    public = (study / "study.json").read_text()
    assert "original" not in public and "release" not in public and "c12" not in public


def test_a_study_that_could_show_nothing_says_so(images, tmp_path, capsys):
    argv = ["jaxderm", "study", "new", f"--images={images}", f"--study={tmp_path / 's'}",
            "--readers=A", "--diagnoses=NEV,MEL", "--ethics=EK 1", "--equivalence_margin=0.1"]  # fmt: skip
    assert cli.main(argv) == 2
    assert "give a power of" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
    assert cli.main([*argv, "--force"]) == 0


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--ethics="], "ethics"),
        (["--readers=Dr. Who,x"], "no names of people"),
        (["--readers=A,A"], "different codes"),
        (["--diagnoses=NEV"], "at least two"),
        (["--images=none.csv"], "cannot be read"),
        (["--equivalence_margin=0.7"], "between 0 and 0.5"),
        (["--expected=0.1"], "above the margin"),
    ],
)
def test_bad_studies_are_a_sentence(flags, sentence, images, tmp_path, capsys):
    argv = ["jaxderm", "study", "new", f"--images={images}", f"--study={tmp_path / 's'}",
            "--readers=A,B,C", "--diagnoses=NEV,MEL", "--ethics=EK 1", "--force", *flags]  # fmt: skip
    assert cli.main(argv) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not (tmp_path / "s").exists()


# Answers


def answer(picture: str, **changes) -> dict:
    return {"picture": picture, "real": True, "confidence": 3, "diagnosis": "NEV", "quality": 4,
            "seconds": 2.5, **changes}  # fmt: skip


def test_a_reader_goes_on_where_he_stopped_and_a_torn_line_is_asked_again(study):
    store = Store(study)
    for _ in range(3):
        store.answer("A", answer(store.next("A")["picture"]))
    path = study / "answers" / "A.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    again = Store(study)
    assert again.next("A")["done"] == 2
    assert again.next("A")["picture"] == again.orders["A"][0][2]
    assert len(path.read_bytes().splitlines()) == 2
    with pytest.raises(Refusal, match="answered already"):
        again.answer("A", answer(again.orders["A"][0][0]))
    with pytest.raises(Refusal, match="not part of the study"):
        again.next("../key")


@pytest.mark.parametrize(
    "changes",
    [
        {"real": "yes"},
        {"confidence": 6},
        {"confidence": True},
        {"diagnosis": "other"},
        {"quality": 0},
    ],
)
def test_half_answers_are_not_kept(study, changes):
    store = Store(study)
    with pytest.raises(InputError):
        store.answer("A", answer(store.next("A")["picture"], **changes))
    assert store.next("A")["done"] == 0


def test_the_second_sitting_waits_for_the_wash_out(images, tmp_path):
    design.make(tmp_path / "s", settings(washout_days=14.0), str(images), force=True)
    now = [1e9]
    store = Store(tmp_path / "s", clock=lambda: now[0])
    for _ in range(20):
        due = store.answer("A", answer(store.next("A")["picture"]))
    assert due["picture"] is None and due["wait_days"] == 14
    with pytest.raises(Refusal, match="No picture is due"):
        store.answer("A", answer(store.orders["A"][1][0]))
    now[0] += 14.1 * DAY
    assert store.next("A")["picture"] == store.orders["A"][1][0]


def read(client, reader: str, key: dict, skill: float, seed: int) -> None:
    """A simulated reader of known skill through the page's own requests."""
    rng = np.random.default_rng(seed)
    due = client.get(f"/readers/{reader}").json()
    seen = {}
    while due["picture"]:
        name = due["picture"]
        shown = client.get(f"/readers/{reader}/pictures/{name}")
        assert shown.status_code == 200 and shown.content.startswith(b"\x89PNG")
        truth = key[name]
        right = rng.random() < skill
        diagnosis = seen.setdefault(truth["case"], KINDS[rng.integers(3)])
        given = answer(
            name, real=(truth["kind"] == "original") == right, diagnosis=diagnosis,
            confidence=int(rng.integers(1, 6)),
        )  # fmt: skip
        due = client.post(f"/readers/{reader}", json=given).json()
    assert due["done"] == due["total"] == 40


def test_twenty_and_twenty_pictures_from_page_to_report(study, tmp_path, capsys):
    key = design.load_key(study)
    with LocalServer(app.page(study), 0).running() as address:
        headers = {"x-session-token": address.token}
        with httpx.Client(base_url=f"{address.origin}/api", headers=headers) as client:
            other = Store(study).orders["A"][0][5]
            assert client.get(f"/readers/A/pictures/{other}").status_code == 404, "not due yet"
            assert client.get("/readers/A/pictures/..%2fkey").status_code == 404
            for number, (reader, skill) in enumerate((("A", 0.5), ("B", 0.95), ("C", 0.5))):
                read(client, reader, key, skill, number)
    out = tmp_path / "report"
    assert cli.main(["jaxderm", "study", "analyse", f"--study={study}", f"--output={out}"]) == 0
    assert "not inferior" in capsys.readouterr().out
    found = json.loads((out / "report.json").read_text())
    assert found["answers"] == found["planned"] == 120
    assert found["readers"]["B"]["accuracy"]["value"] > 0.85
    assert found["readers"]["B"]["equivalence_p"] > 0.5
    assert (
        found["readers"]["A"]["accuracy"]["low"] < 0.5 < found["readers"]["A"]["accuracy"]["high"]
    )
    assert found["readers"]["B"]["sensitivity_index"]["value"] > 2
    assert found["readers"]["B"]["roc_area"]["value"] > 0.9
    # These readers never change their mind about a case.
    assert found["primary"]["agreement"]["value"] == 1 and found["primary"]["not_inferior"]
    assert (out / "answers.csv").read_text().count("\n") == 121
    page = (out / "report.html").read_text()
    assert "EK 12/2026" in page and "<script" not in page and "nan" not in page.lower()


def test_agreement_below_the_bound_is_not_called_not_inferior(study):
    store = Store(study)
    rng = np.random.default_rng(3)
    for reader in store.settings.readers:
        while picture := store.next(reader)["picture"]:
            store.answer(reader, answer(picture, diagnosis=KINDS[rng.integers(3)]))
    found = analysis.analyse(study)
    assert found["primary"]["agreement"]["value"] < 0.6 and not found["primary"]["not_inferior"]
    assert abs(found["fleiss"]["diagnosis"]["value"]) < 0.2


def test_a_study_without_answers_or_key_is_a_sentence(study, tmp_path, capsys):
    argv = ["jaxderm", "study", "analyse", f"--study={study}", f"--output={tmp_path / 'r'}"]
    assert cli.main(argv) == 2
    assert "no answer yet" in capsys.readouterr().err
    (study / "key.json").unlink()
    assert cli.main(argv) == 2
    assert "no key.json" in capsys.readouterr().err
    argv[3] = f"--study={tmp_path / 'nothing'}"
    assert cli.main(argv) == 2
    assert "is no study" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_reader_answers_in_a_browser(study):
    from playwright.sync_api import sync_playwright

    store = Store(study)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--no-first-run"]  # fmt: skip
    with LocalServer(app.page(study, store), 0).running() as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address.url)
        page.locator("#diagnosis input").nth(2).wait_for(state="attached")
        page.fill("#code", "nobody")
        page.click("#who button")
        page.get_by_text("not part of the study").wait_for()
        page.fill("#code", "B")
        page.keyboard.press("Enter")
        for number in range(3):
            page.get_by_text(f"{number} of 40").wait_for()
            page.keyboard.press("g")
            page.check("[name=confidence][value='4']")
            page.check("[name=diagnosis][value=MEL]")
            page.check("[name=quality][value='2']")
            page.click("#answer button")
        page.get_by_text("3 of 40").wait_for()
        assert not faults
        browser.close()
    kept = [json.loads(line) for line in (study / "answers" / "B.jsonl").read_text().splitlines()]
    assert [a["picture"] for a in kept] == store.orders["B"][0][:3]
    assert all(a["real"] is False and a["confidence"] == 4 and a["seconds"] > 0 for a in kept)
