"""A local page's server: 127.0.0.1 only, its address with the token printed, stopped by Ctrl-C."""

import contextlib
import dataclasses
import secrets
import signal
import socket
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator

import uvicorn

from jaxderm.errors import InputError
from jaxderm.web.guard import MAX_BODY, App, Guard, Policy

HOST = "127.0.0.1"
PORT = 8471  # tried first, so that an open page finds a restarted server again


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a page is served: its port and the token of this start."""

    port: int
    token: str

    @property
    def origin(self) -> str:
        """http://127.0.0.1:PORT."""
        return f"http://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The address to open; the token stands in the fragment, which no browser sends."""
        return f"{self.origin}/#{self.token}"

    def policy(self, max_body: int = MAX_BODY) -> Policy:
        """What the guard of a server at this address lets through."""
        names = frozenset(f"{name}:{self.port}" for name in (HOST, "localhost"))
        return Policy(names, self.token, max_body)


class LocalServer:
    """An ASGI app behind its guard on a bound port of 127.0.0.1; `run` blocks, `running` does not."""

    def __init__(self, app: App, port: int | None = None, max_body: int = MAX_BODY) -> None:
        self.socket = _bind(port)
        self.address = Address(self.socket.getsockname()[1], secrets.token_urlsafe(32))
        config = uvicorn.Config(
            Guard(app, self.address.policy(max_body)),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,  # no access log: nothing that a request says is written anywhere
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        self.server = uvicorn.Server(config)

    def run(self) -> None:
        """Serve until `stop`, SIGINT or SIGTERM."""
        try:
            self.server.run(sockets=[self.socket])
        finally:
            self.socket.close()

    def stop(self) -> None:
        """Let `run` return."""
        self.server.should_exit = True

    def wait_until_ready(self, seconds: float = 30.0) -> bool:
        """Whether the server answers within a time."""
        end = time.monotonic() + seconds
        while not self.server.started and time.monotonic() < end:
            time.sleep(0.01)
        return self.server.started

    @contextlib.contextmanager
    def running(self) -> Iterator[Address]:
        """The server in a thread of its own, as tests use it."""
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        try:
            if not self.wait_until_ready():
                raise RuntimeError("the local server did not start")
            yield self.address
        finally:
            self.stop()
            thread.join()


def serve(
    app: App,
    *,
    port: int | None = None,
    open_browser: bool = False,
    say: Callable[[str], None] = print,
    max_body: int = MAX_BODY,
) -> int:
    """Serve an app on this machine until Ctrl-C or SIGTERM; the exit status.

    port: None for PORT or, where it is taken, a free one. say gets the address when it can be opened.
    InputError for a port that is taken.
    """
    local = LocalServer(app, port, max_body)

    def announce() -> None:
        if local.wait_until_ready():
            say(f"Open {local.address.url}")
            say("The page is for this computer only. Ctrl-C ends it and clears its memory.")
            if open_browser:
                webbrowser.open(local.address.url)

    # uvicorn raises its signals once more when it is done; an end that was asked for is no error.
    before = {
        kind: signal.signal(kind, lambda *_: None) for kind in (signal.SIGINT, signal.SIGTERM)
    }
    threading.Thread(target=announce, daemon=True).start()
    try:
        local.run()
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    return 0 if local.server.started else 1


def _bind(port: int | None) -> socket.socket:
    """A bound socket of 127.0.0.1; InputError where the port is taken."""
    for number in (PORT, 0) if port is None else (port,):
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, number))
            return bound
        except (OSError, OverflowError) as error:
            bound.close()
            reason = getattr(error, "strerror", None) or "not from 0 to 65535"
    raise InputError(
        f"port {port} cannot be used ({reason}); give another --port, or 0 for a free one."
    )
