"""The files of a page, read once at the start: a request can only name one of them, never open a path."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from jaxderm.web.guard import App, Receive, Refusal, Scope, Send

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
SHARED = files("jaxderm.web") / "shared"  # session.js: the token, requests, retries


def read_files(*folders: Traversable) -> dict[str, tuple[bytes, str]]:
    """{"/name": (bytes, media type)} of the files in flat folders; "/" is index.html."""
    found = {}
    for folder in folders:
        for file in folder.iterdir():
            kind = TYPES.get(file.name.rpartition(".")[2])
            if kind is not None and file.is_file():
                found[f"/{file.name}"] = (file.read_bytes(), kind)
    if "/index.html" in found:
        found["/"] = found["/index.html"]
    return found


class Page:
    """ASGI app that answers with a page's files and hands /api/ and the rest to another app."""

    def __init__(self, app: App, *folders: Traversable) -> None:
        self.app, self.files = app, read_files(*folders)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith("/api/"):
            await self.app(scope, receive, send)
            return
        found = self.files.get(scope["path"])
        if found is None:
            raise Refusal(404, "There is no such page here.")
        body, kind = found
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )
