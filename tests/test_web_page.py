"""The local page: its memory, its API, what leaves it, and the whole way in a real browser."""

import concurrent.futures
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from uploads import bomb, hostile  # noqa: E402

from jaxderm import cli
from jaxderm.errors import InputError
from jaxderm.photo import Photo, encode_png, read_photo
from jaxderm.web import app, propose
from jaxderm.web.cases import Cases
from jaxderm.web.guard import Refusal
from jaxderm.web.server import LocalServer

PLANTED = np.array([3, 251, 7], np.uint8)  # a colour that nothing draws


@pytest.fixture(scope="module")
def served():
    local = LocalServer(app.page(), 0)
    with local.running() as address:
        headers = {"x-session-token": address.token, "origin": address.origin}
        with httpx.Client(base_url=f"{address.origin}/api", headers=headers, timeout=120) as client:
            yield client, address


def patient(seed: int = 0, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Photo of a dark lesion on skin with planted pixels all over but near the lesion, and its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    away = np.hypot(x - 0.6 * size, y - 0.45 * size)
    mask = away < 0.08 * size
    photo = np.where(mask[..., None], [90, 55, 45], [205, 165, 145]).astype(np.int16)
    photo = np.clip(photo + rng.integers(-6, 7, photo.shape), 0, 255).astype(np.uint8)
    planted = (rng.random((size, size)) < 0.03) & (away > 0.2 * size)
    photo[planted] = PLANTED
    return photo, mask


def upload(client, data: bytes) -> dict:
    response = client.post("/cases", content=data)
    assert response.status_code == 200, response.text
    return json.loads(response.headers["x-case"]) | {"echo": response.content}


FACTS = {"site": "arm", "sex": "female", "age": "40", "skin_type": "II", "candidates": 2}


def release(client, case: dict, mask: np.ndarray, **facts) -> dict:
    put = client.put(f"/cases/{case['id']}/mask", content=encode_png(mask))
    assert put.status_code == 200, put.text
    made = client.post(f"/cases/{case['id']}/releases", json={**FACTS, **facts})
    assert made.status_code == 200, made.text
    return made.json()


def test_a_release_keeps_the_lesion_and_nothing_else_comes_back(served, tmp_path, monkeypatch):
    client, _ = served
    photo, mask = patient()
    case = upload(client, encode_png(photo))
    np.testing.assert_array_equal(read_photo("echo", case["echo"]).pixels, photo)
    told = release(client, case, mask)
    assert told["exact"] and told["candidates"] == 2
    assert told["facts"]["sex"] == {"value": "female", "origin": "declared"}
    frame = told["frame"]
    part = np.s_[
        frame["y"] : frame["y"] + frame["height"], frame["x"] : frame["x"] + frame["width"]
    ]
    answers = [json.dumps(told).encode()]
    for number in range(2):
        got = client.get(f"/cases/{case['id']}/releases/{number}").content
        files = client.get(f"/cases/{case['id']}/releases/{number}/files").content
        answers += [got, files]
        with zipfile.ZipFile(io.BytesIO(files)) as archive:
            assert archive.namelist() == [
                "release.png", "release.mask.png", "release.legend.txt", "release.json",
            ]  # fmt: skip
            assert archive.read("release.png") == got
            kept = np.asarray(Image.open(io.BytesIO(archive.read("release.mask.png")))) > 0
            manifest = json.loads(archive.read("release.json"))
        pixels = np.asarray(Image.open(io.BytesIO(got)))
        np.testing.assert_array_equal(pixels[kept], photo[part][kept])
        assert not (pixels == PLANTED).all(-1).any(), "the planted colour lies outside kept only"
        assert kept.sum() == manifest["kept"]["pixels"] == told["kept"]
    assert all(PLANTED.tobytes() * 2 not in answer for answer in answers)
    assert client.delete(f"/cases/{case['id']}").status_code == 200
    gone = client.get(f"/cases/{case['id']}/releases/0")
    assert gone.status_code == 410 and "no longer in memory" in gone.json()["error"]


def test_nothing_is_written_to_disk_or_log(tmp_path):
    """A server of its own, in an empty home and temporary folder, which stay empty of the photograph."""
    program = f"""
import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(app.__file__).parents[2])!r}]
import httpx, test_web_page as t
from jaxderm.photo import encode_png
from jaxderm.web import app
from jaxderm.web.server import LocalServer
with LocalServer(app.page(), 0).running() as address:
    headers = {{"x-session-token": address.token}}
    with httpx.Client(base_url=address.origin + "/api", headers=headers, timeout=120) as client:
        photo, mask = t.patient()
        case = t.upload(client, encode_png(photo))
        t.release(client, case, mask)
        client.get(f"/cases/{{case['id']}}/releases/0/files")
        client.post("/cases", content=b"no picture of Erika Mustermann")
"""
    folders = {
        name: str(tmp_path / name) for name in ("HOME", "TMPDIR", "JAX_COMPILATION_CACHE_DIR")
    }
    for folder in folders.values():
        Path(folder).mkdir()
    import os

    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **folders, "JAX_PLATFORMS": "cpu"},
        capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert b"Mustermann" not in done.stdout + done.stderr
    raw, _ = patient()
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert all(p.is_relative_to(folders["JAX_COMPILATION_CACHE_DIR"]) for p in written), written
    for path in written:
        data = path.read_bytes()
        assert raw[100].tobytes()[:300] not in data and b"\x89PNG" not in data


def test_two_hundred_requests_at_once_mix_nothing(served):
    client, address = served

    def one(number: int) -> None:
        photo, mask = patient(number, 40 + number)
        with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=120) as own:
            case = upload(own, encode_png(photo))
            assert (case["width"], case["height"]) == (40 + number, 40 + number)
            assert case["echo"] == encode_png(photo)
            put = own.put(f"/cases/{case['id']}/mask", content=encode_png(mask))
            assert put.json() == {"pixels": int(mask.sum())}
            if number % 40 == 0:
                told = release(own, case, mask, candidates=1)
                assert told["exact"] and told["kept"] >= mask.sum()
            own.delete(f"/cases/{case['id']}")

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(one, range(200)))


def test_hostile_uploads_end_in_a_sentence(served):
    client, _ = served
    rng = np.random.default_rng(1)
    for number in range(120):
        data = bomb(60_000, 60_000) if number == 0 else hostile(rng)
        response = client.post("/cases", content=data)
        if response.status_code == 200:  # a turned bit can leave a picture a picture
            client.delete(f"/cases/{json.loads(response.headers['x-case'])['id']}")
            continue
        assert response.status_code in (413, 422, 503), (number, response.text)
        sentence = response.json()["error"]
        assert 20 < len(sentence) < 400 and "Traceback" not in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    "path, body, sentence",
    [
        ("releases", {"site": "tail"}, "tail"),
        ("releases", {"age": "old"}, "old"),
        ("releases", {"candidates": 900}, "candidates"),
        ("releases", {"candidates": "4"}, "candidates"),
        ("releases", {"seed": -1}, "seed"),
        ("releases", {"sex": ["male"]}, "short text"),
        ("releases", {"pixels_per_cm": "nan"}, "not a number"),
        ("releases", {"site": "face"}, "landmarks"),
        ("releases", [1], "not what this page sends"),
        ("tone", {"x": 1}, "clicked"),
        ("proposal", {"x": 20, "y": 200}, "nothing stands out"),
    ],
)
def test_wrong_facts_are_a_sentence(served, path, body, sentence):
    client, _ = served
    photo, mask = patient()
    clean = np.where((photo == PLANTED).all(-1, keepdims=True), [205, 165, 145], photo)
    case = upload(client, encode_png(clean.astype(np.uint8)))
    client.put(f"/cases/{case['id']}/mask", content=encode_png(mask))
    value = {**FACTS, **body} if isinstance(body, dict) and path == "releases" else body
    response = client.post(f"/cases/{case['id']}/{path}", json=value)
    assert response.status_code == 422, response.text
    assert sentence in response.json()["error"].lower()


def test_a_mask_is_proposed_where_something_stands_out_and_tone_where_skin_is(served):
    client, _ = served
    photo, mask = patient(size=300)
    case = upload(client, encode_png(photo))
    found = client.post(f"/cases/{case['id']}/proposal", json={"x": 180, "y": 135})
    proposed = np.asarray(Image.open(io.BytesIO(found.content))) > 127
    assert (proposed & mask).sum() > 0.85 * mask.sum()
    assert (proposed & ~mask).sum() < 0.15 * mask.sum()
    tone = client.post(f"/cases/{case['id']}/tone", json={"x": 180, "y": 170}).json()["ita"]
    assert tone % 5 == 0 and 25 < tone < 65
    told = release(client, case, mask, ita=tone, candidates=1)
    assert told["facts"]["skin_tone"] == {"value": tone, "origin": "measured"}
    with pytest.raises(InputError, match="does not have the colour of skin"):
        propose.tone_at(np.zeros((50, 50, 3), np.uint8), None, 20, 20)


def test_cases_are_forgotten_when_idle_closed_or_too_many():
    now = [0.0]
    photo = Photo(np.zeros((100, 100, 3), np.uint8), None, ())
    cases = Cases(idle_seconds=900, max_bytes=100_000, clock=lambda: now[0])
    first, second = cases.open(photo), cases.open(photo)
    assert first.id != second.id
    now[0] = 800
    assert cases.get(second.id) is second
    now[0] = 1000
    with pytest.raises(Refusal, match="15 idle minutes"):
        cases.get(first.id)
    cases.close(second.id)
    with pytest.raises(Refusal):
        cases.get(second.id)
    opened = [cases.open(photo) for _ in range(3)]
    with pytest.raises(Refusal, match="Too many large photographs"):
        cases.open(photo)
    cases.clear()
    assert not cases.open_cases and len(opened) == 3


def test_an_unknown_model_is_told_before_the_page_opens(capsys):
    assert cli.main(["jaxderm", "serve", "--model=nonsense"]) == 2
    assert "model 'nonsense' is unknown" in capsys.readouterr().err


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_whole_way_in_a_browser(tmp_path):
    from playwright.sync_api import sync_playwright
    from skimage import data

    photo = np.array(data.astronaut())
    y, x = np.mgrid[:512, :512]
    lesion = np.hypot(x - 250, y - 126) < 6
    photo[lesion] = [74, 45, 38]
    Image.fromarray(photo).save(tmp_path / "photo.png")
    asked: list[str] = []
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--no-first-run"]  # fmt: skip
    store = Cases()
    with LocalServer(app.page(cases=store), 0).running() as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address.url)
        page.locator("#site option").nth(3).wait_for(state="attached")
        assert address.token not in page.url, "the token is taken out of the address"
        page.set_input_files("#file", tmp_path / "photo.png")
        page.wait_for_selector("#panel-lesion:not([hidden])")
        box = page.locator("#canvas").bounding_box()
        scale = min((box["width"] - 24) / 512, (box["height"] - 24) / 512)
        left = box["x"] + (box["width"] - 512 * scale) / 2
        top = box["y"] + (box["height"] - 512 * scale) / 2
        at = (left + 250 * scale, top + 126 * scale)
        # Painted, undone, then proposed and accepted.
        page.mouse.move(*at)
        page.mouse.down()
        page.mouse.move(at[0] + 30, at[1])
        page.mouse.up()
        assert page.is_enabled("#to-face")
        page.keyboard.press("Control+z")
        assert page.is_disabled("#to-face")
        page.keyboard.press("p")
        page.mouse.click(*at)
        page.wait_for_selector("#proposal:not([hidden])")
        assert page.is_disabled("#to-face"), "a proposal counts once it is accepted"
        page.keyboard.press("Enter")
        page.click("#to-face")
        page.select_option("#sex", "female")
        page.fill("#age", "38")
        page.click("#find")
        page.locator("#point-list label").nth(4).wait_for(timeout=60000)
        # The program forgets the case (idle, or started again): the page gives photograph and mask again.
        store.clear()
        page.click("#make")
        page.wait_for_selector("#panel-release:not([hidden])", timeout=120000)
        assert page.locator("#candidates img").count() == 4
        assert "kept pixels is the photograph's" in page.inner_text("#audit")
        with page.expect_download() as got:
            page.click("#save")
        got.value.save_as(tmp_path / "release.zip")
        page.click("#close-case")
        page.wait_for_selector("#panel-photo:not([hidden])")
        assert not faults
        browser.close()
    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {
        address.origin.split("/")[2]
    }
    with zipfile.ZipFile(tmp_path / "release.zip") as archive:
        pixels = np.asarray(Image.open(io.BytesIO(archive.read("release.png"))))
        kept = np.asarray(Image.open(io.BytesIO(archive.read("release.mask.png")))) > 0
        manifest = json.loads(archive.read("release.json"))
    x0, y0 = manifest["frame"]["x"], manifest["frame"]["y"]
    part = np.s_[y0 : y0 + pixels.shape[0], x0 : x0 + pixels.shape[1]]
    np.testing.assert_array_equal(pixels[kept], photo[part][kept])
    assert (kept & lesion[part]).sum() > 0.9 * lesion.sum()
    assert manifest["facts"]["landmarks"]["origin"] == "measured"
