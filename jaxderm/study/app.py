"""The study's page: one picture after the other to one reader; behind the local page's guard."""

import json
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from jaxderm.errors import InputError
from jaxderm.study.store import Store
from jaxderm.web.files import SHARED, Page
from jaxderm.web.guard import App, Refusal


def page(folder: Path, store: Store | None = None) -> App:
    """ASGI app of `jaxderm study serve`."""
    return Page(make_app(folder, store), SHARED, files("jaxderm.study") / "page")


def make_app(folder: Path, store: Store | None = None) -> FastAPI:
    """The API alone; see `page`."""
    held = Store(folder) if store is None else store
    shown = {name for reader in held.orders.values() for sitting in reader for name in sitting}
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(InputError)
    async def mistake(_request: Request, error: InputError):
        text = str(error)
        return JSONResponse({"error": text[:1].upper() + text[1:]}, 422)

    @app.exception_handler(Refusal)
    async def refusal(_request: Request, error: Refusal):
        return JSONResponse({"error": error.sentence}, error.status)

    @app.get("/api/study")
    def about():
        return {"title": held.settings.title, "diagnoses": list(held.settings.diagnoses)}

    @app.get("/api/readers/{reader}")
    def due(reader: str):
        return held.next(reader)

    @app.post("/api/readers/{reader}")
    async def answer(reader: str, request: Request):
        try:
            given = json.loads(await request.body())
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise Refusal(422, "The request is not what this page sends; reload the page.")
        return held.answer(reader, given)

    @app.get("/api/readers/{reader}/pictures/{name}")
    def picture(reader: str, name: str):
        # Only the picture that is due: nobody leafs through the study.
        if name not in shown or held.next(reader)["picture"] != name:
            raise Refusal(404, "This picture is not due.")
        return Response((folder / "pictures" / f"{name}.png").read_bytes(), media_type="image/png")

    return app
