"""What stands between a local page and everybody else: Host, Origin, token, headers, upload limit.

A server on 127.0.0.1 is reachable by every page that the same browser has open. `Guard` wraps an ASGI
app so that another page can neither call it (token, Origin, Fetch Metadata), nor be taken for it (Host:
DNS rebinding), nor frame it or read its answers (headers).

Paths below /api/ need the token in the header X-Session-Token. It comes to the page in the fragment of
its address, which browsers never send; not as a cookie, which every port of a host would receive. All
other paths are files that hold no secret: GET only, without a token.
"""

import dataclasses
import hmac
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER = b"x-session-token"
API = "/api/"
SAFE = ("GET", "HEAD")
METHODS = (*SAFE, "POST", "PUT", "DELETE")
MAX_BODY = 256 * 2**20

# No inline script or style, nothing from elsewhere; pictures may come from the page's own memory.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=(), hid=()",
    "x-robots-tag": "noindex",
}


@dataclasses.dataclass(frozen=True)
class Policy:
    """Who may speak to the app: Host values ("127.0.0.1:8471"), the token, bytes of a request's body."""

    hosts: frozenset[str]
    token: str
    max_body: int = MAX_BODY


class Refusal(Exception):
    """A request that is answered with a status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


BROKEN = Refusal(500, "Something went wrong inside jaxderm; nothing was saved. Try again.")


class Guard:
    """ASGI app that lets only this page's own requests through to another app, and labels its answers."""

    def __init__(self, app: App, policy: Policy) -> None:
        self.app, self.policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send)
        try:
            check(scope, self.policy)
            await self.app(scope, _Limited(receive, self.policy.max_body, answer), answer)
            if answer.broken:
                raise RuntimeError
        except Refusal as refusal:
            await answer.refuse(refusal)
        except Exception as error:  # the page gets a sentence; what was uploaded reaches no log
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{place.filename.rpartition('jaxderm')[2]}:{place.lineno}"
            print(f"error in a request: {type(error).__name__} at {where}", file=sys.stderr)
            await answer.refuse(BROKEN)


def check(scope: Scope, policy: Policy) -> None:
    """Refusal unless a request comes from the page that this server serves (and, for /api/, knows the token)."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in (b"host", b"origin", TOKEN_HEADER, b"content-length") and name in headers:
            raise Refusal(400, f"The header {name.decode()} stands twice.")
        headers[name] = value
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if host not in policy.hosts:
        raise Refusal(
            421, "This page is served to this computer only; open the address it printed."
        )
    method, path = scope["method"], scope["path"]
    if method not in METHODS:
        raise Refusal(405, f"The method {method[:10]} is not used here.")
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1").lower() != f"http://{host}":
        raise Refusal(403, "Another page may not use this one.")
    private = path.startswith(API)
    site = headers.get(b"sec-fetch-site", b"none")
    navigation = headers.get(b"sec-fetch-mode") == b"navigate" and method in SAFE and not private
    if site not in (b"none", b"same-origin") and not navigation:
        raise Refusal(403, "Another page may not use this one.")
    if not private:
        if method not in SAFE:
            raise Refusal(405, f"The method {method} is not used here.")
        return
    if not hmac.compare_digest(headers.get(TOKEN_HEADER, b""), policy.token.encode()):
        raise Refusal(
            401,
            "The session is unknown here; open the address that `jaxderm` printed when it started.",
        )
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > policy.max_body:
        raise _too_large(policy.max_body)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"The file is larger than {limit / 2**20:.3g} MB; reduce or crop it first.")


class _Answer:
    """The send channel of a request: adds the headers; a refusal closes it for what the app still says.

    A status of 500 is held back: a framework's own page for a broken request is no sentence.
    """

    def __init__(self, send: Send) -> None:
        self.send, self.started, self.closed = send, False, False
        self.refused = self.broken = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if (
            message["type"] == "http.response.start"
            and message["status"] == 500
            and not self.refused
        ):
            self.broken = True
        if self.closed or self.broken:
            return
        if message["type"] == "http.response.start":
            self.started = True
            own = [pair for pair in message.get("headers", []) if pair[0].decode() not in HEADERS]
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": own + added}
        await self.send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with a sentence; once an answer has begun, the connection can only be ended."""
        if self.closed:
            return
        if self.started:
            raise ConnectionAbortedError(refusal.sentence)
        self.refused, self.broken = True, False
        body = json.dumps({"error": refusal.sentence}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await self({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})
        self.closed = True


class _Limited:
    """The receive channel of a request, cut off at a number of bytes."""

    def __init__(self, receive: Receive, limit: int, answer: _Answer) -> None:
        self.receive, self.limit, self.answer, self.seen = receive, limit, answer, 0

    async def __call__(self) -> MutableMapping[str, Any]:
        message = await self.receive()
        self.seen += len(message.get("body", b""))
        if self.seen > self.limit:
            # Answered here: the app would make an exception that passes through it its own.
            refusal = _too_large(self.limit)
            await self.answer.refuse(refusal)
            raise refusal
        return message
