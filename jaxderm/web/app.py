"""The local page's API: one photograph in, its release out; everything in memory.

The upload's own answer is the only one that carries pixels of the photograph outside the kept area.
"""

import asyncio
import contextlib
import dataclasses
import io
import json
import threading
import zipfile
from importlib.resources import files

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from jaxderm import __version__
from jaxderm.attributes import BodySite, Sex, View
from jaxderm.errors import InputError
from jaxderm.evaluate.lesion import exactness
from jaxderm.photo import encode_png, read_mask, read_photo
from jaxderm.release.cells import case_of
from jaxderm.release.credentials import Credentials
from jaxderm.release.facts import Case, Fact
from jaxderm.release.output import Release
from jaxderm.web import propose
from jaxderm.web.cases import Cases, OpenCase
from jaxderm.web.files import SHARED, Page
from jaxderm.web.guard import App, Refusal

MAX_CANDIDATES = 8
SWEEP_SECONDS = 20.0
TEXTS = ("site", "sex", "age", "skin_type", "subsite", "view", "field", "landmarks")


def page(
    model: str = "default", cases: Cases | None = None, credentials: Credentials | None = None
) -> App:
    """ASGI app of `jaxderm serve`: the page's files and its API; credentials sign what it gives out."""
    return Page(make_app(model, cases, credentials), SHARED, files("jaxderm.web") / "page")


class Model:
    """The Deidentifier, loaded once, in the background while the user paints."""

    def __init__(self, name: str) -> None:
        self.name, self.lock, self.loaded = name, threading.Lock(), None

    def get(self):
        """The loaded model."""
        with self.lock:
            if self.loaded is None:
                from jaxderm.release.synthesize import Deidentifier

                self.loaded = Deidentifier.load(self.name)
            return self.loaded


def make_app(
    model_name: str = "default",
    cases: Cases | None = None,
    credentials: Credentials | None = None,
) -> FastAPI:
    """The API alone; see `page`."""
    store = Cases() if cases is None else cases
    model = Model(model_name)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI):
        threading.Thread(target=model.get, daemon=True).start()

        async def sweep():
            while True:
                await asyncio.sleep(SWEEP_SECONDS)
                store.sweep()

        task = asyncio.create_task(sweep())
        yield
        task.cancel()
        store.clear()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.cases = store

    @app.exception_handler(InputError)
    async def mistake(_request: Request, error: InputError):
        text = str(error)
        return JSONResponse({"error": text[:1].upper() + text[1:]}, 422)

    @app.exception_handler(Refusal)
    async def refusal(_request: Request, error: Refusal):
        return JSONResponse({"error": error.sentence}, error.status)

    @app.get("/api/about")
    def about():
        return {
            "version": __version__,
            "sites": [site.value for site in BodySite],
            "sexes": [sex.value for sex in Sex],
            "views": [view.value for view in View],
        }

    @app.post("/api/cases")
    async def upload(request: Request):
        body = await request.body()
        if not body:
            raise Refusal(422, "The file is empty; choose a photograph.")

        def work():
            photo = read_photo("photograph", body)
            opened = store.open(photo)
            return opened, encode_png(photo.pixels)

        opened, echo = await run_in_threadpool(work)
        height, width = opened.photo.pixels.shape[:2]
        told = {
            "id": opened.id, "width": width, "height": height,
            "conversion": list(opened.photo.conversion),
        }  # fmt: skip
        return Response(echo, media_type="image/png", headers={"x-case": json.dumps(told)})

    @app.delete("/api/cases/{name}")
    def close(name: str):
        store.close(name)
        return {}

    @app.post("/api/cases/{name}/touch")
    def touch(name: str):
        store.get(name)
        return {}

    @app.put("/api/cases/{name}/mask")
    async def put_mask(name: str, request: Request):
        opened, body = store.get(name), await request.body()
        size = opened.photo.pixels.shape[:2]
        mask = await run_in_threadpool(read_mask, "painted mask", size, False, body)
        with opened.lock:
            opened.mask, opened.releases = mask, []
        return {"pixels": int(mask.sum())}

    @app.post("/api/cases/{name}/proposal")
    async def proposal(name: str, request: Request):
        opened, (x, y) = store.get(name), _point(await _json(request))
        mask = await run_in_threadpool(propose.propose_mask, opened.photo.pixels, x, y)
        return Response(encode_png(mask), media_type="image/png")

    @app.post("/api/cases/{name}/tone")
    async def tone(name: str, request: Request):
        opened, (x, y) = store.get(name), _point(await _json(request))
        return {"ita": propose.tone_at(opened.photo.pixels, opened.mask, x, y)}

    @app.post("/api/cases/{name}/landmarks")
    async def landmarks(name: str):
        from jaxderm.release.detect import find_landmarks

        opened = store.get(name)
        found = await run_in_threadpool(find_landmarks, opened.photo.pixels)
        return {"points": np.round(found, 1).tolist()}

    @app.post("/api/cases/{name}/releases")
    async def make(name: str, request: Request):
        opened, asked = store.get(name), await _json(request)
        return await run_in_threadpool(_release, opened, asked, model, credentials)

    @app.get("/api/cases/{name}/releases/{number}")
    def picture(name: str, number: int):
        release = _numbered(store.get(name), number)
        return Response(release.png(), media_type="image/png")

    @app.get("/api/cases/{name}/releases/{number}/files")
    def download(name: str, number: int):
        release = _numbered(store.get(name), number)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path, data in release.files("release.png").items():
                # A fixed date: the archive tells nothing but what its files tell.
                archive.writestr(zipfile.ZipInfo(str(path), (1980, 1, 1, 0, 0, 0)), data)
        return Response(packed.getvalue(), media_type="application/zip")

    return app


def _release(opened: OpenCase, asked: dict, model: Model, credentials: Credentials | None) -> dict:
    """Compute the candidates of a case and say what the page shows of them."""
    with opened.lock:
        if opened.mask is None:
            raise InputError("no lesion is marked; paint it first.")
        cells = {name: _text(asked, name) for name in TEXTS}
        number = asked.get("candidates", 4)
        seed = asked.get("seed", 0)
        if not isinstance(number, int) or not 1 <= number <= MAX_CANDIDATES:
            raise InputError(f"candidates '{number}' is not a number from 1 to {MAX_CANDIDATES}.")
        if not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise InputError(f"seed '{seed}' is not a whole number from 0 on.")
        ita = _number(asked, "ita")
        deidentifier = model.get()
        case = case_of(
            opened.photo,
            opened.mask,
            cells,
            deidentifier.engine.spec.size,
            margin=_number(asked, "margin"),
            pixels_per_cm=_number(asked, "pixels_per_cm"),
            force=bool(asked.get("force")),
            tone=None if ita is None else Fact(ita, "measured"),
        )
        opened.releases = [
            dataclasses.replace(release, credentials=credentials)
            for release in deidentifier.releases(case, seed, range(number))
        ]
        return _told(case, opened)


def _told(case: Case, opened: OpenCase) -> dict:
    first = opened.releases[0]
    frame = first.manifest["frame"]
    rectangle = (
        frame["x"], frame["y"], frame["x"] + frame["width"], frame["y"] + frame["height"],
    )  # fmt: skip
    checked = [
        exactness(opened.photo.pixels, case.kept, r.pixels, rectangle) for r in opened.releases
    ]
    return {
        "candidates": len(opened.releases),
        "frame": frame,
        "facts": first.manifest["facts"],
        "warnings": list(first.warnings),
        "kept": first.manifest["kept"]["pixels"],
        "share_of_frame": first.manifest["kept"]["share_of_frame"],
        "exact": all(one.exact for one in checked),
        "recogniser": _recognised(case, opened.releases, rectangle),
    }


def _recognised(case: Case, releases: list[Release], rectangle) -> dict | None:
    """Distances by which a stock recogniser tells photo and releases apart; None without one, or a face."""
    if case.attributes.site is not BodySite.FACE or np.isnan(case.landmarks).all():
        return None
    try:
        from jaxderm.evaluate.recogniser import load_recogniser

        recogniser = load_recogniser("dlib")
    except (ImportError, InputError):
        return None
    x0, y0, x1, y1 = rectangle
    marks = case.landmarks - [x0, y0]
    before = recogniser(case.photo[y0:y1, x0:x1], marks)
    after = [recogniser(release.pixels, marks) for release in releases]
    if before.vector is None or any(face.vector is None for face in after):
        return None
    distances = recogniser.distances(before.vector[None], np.stack([f.vector for f in after]))[0]
    return {
        "name": recogniser.name,
        "threshold": recogniser.threshold,
        "distances": [round(float(d), 2) for d in distances],
    }


def _numbered(opened: OpenCase, number: int) -> Release:
    releases = list(opened.releases)
    if not 0 <= number < len(releases):
        raise Refusal(404, "This release is not in memory; make it again.")
    return releases[number]


async def _json(request: Request) -> dict:
    try:
        value = json.loads(await request.body())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(422, "The request is not what this page sends; reload the page.")
    return value


def _text(asked: dict, name: str) -> str | None:
    value = asked.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 200:
        raise InputError(f"{name} is not a short text.")
    return value


def _number(asked: dict, name: str) -> float | None:
    value = asked.get(name)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(f"{name} '{str(value)[:40]}' is not a number.")
    return number


def _point(asked: dict) -> tuple[float, float]:
    x, y = _number(asked, "x"), _number(asked, "y")
    if x is None or y is None:
        raise InputError("the place clicked on is missing; click on the photograph.")
    return x, y
