"""The server of local pages: only its own page gets through, headers and limits always, clean end."""

import os
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest
from fastapi import FastAPI, Request

from jaxderm.errors import InputError
from jaxderm.web.files import SHARED, Page
from jaxderm.web.guard import HEADERS
from jaxderm.web.server import LocalServer

LIMIT = 2000


def small_app():
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.calls = 0

    @app.post("/api/echo")
    async def echo(request: Request):
        app.state.calls += 1
        return {"bytes": len(await request.body())}

    @app.get("/api/broken")
    def broken():
        raise RuntimeError("a secret stands here")

    return app


@pytest.fixture(scope="module")
def served():
    app = small_app()
    with LocalServer(Page(app, SHARED), 0, LIMIT).running() as address:
        with httpx.Client(base_url=address.origin) as client:
            yield client, address, app


def post(served, **headers):
    client, address, _ = served
    own = {
        "x-session-token": address.token,
        "origin": address.origin,
        "sec-fetch-site": "same-origin",
    }
    merged = {k: v for k, v in {**own, **headers}.items() if v is not None}
    return client.post("/api/echo", headers=merged, content=b"x")


def test_own_page_gets_through(served):
    assert post(served).json() == {"bytes": 1}
    # A program on this machine that was given the token has no Origin.
    assert post(served, origin=None, **{"sec-fetch-site": None}).json() == {"bytes": 1}


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"x-session-token": None}, 401),
        ({"x-session-token": "guess"}, 401),
        ({"x-session-token": ""}, 401),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),  # another program's page on this machine
        ({"origin": "https://127.0.0.1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "evil.example"}, 421),  # a name that was rebound to 127.0.0.1
        ({"host": "127.0.0.1"}, 421),
        ({"host": "evil.example:8471"}, 421),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 403),
    ],
)
def test_others_do_not(served, headers, status):
    before = served[2].state.calls
    answer = post(served, **headers)
    assert answer.status_code == status and list(answer.json()) == ["error"]
    assert served[2].state.calls == before


def test_no_preflight_is_answered_with_leave(served):
    client, address, _ = served
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = client.options("/api/echo", headers=asked)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_answer_carries_the_headers(served):
    client, address, _ = served
    token = {"x-session-token": address.token}
    answers = [
        client.get("/session.js"), client.get("/none"), client.get("/api/none", headers=token),
        client.post("/api/echo"), client.get("/api/broken", headers=token), post(served),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [200, 404, 404, 401, 500, 200]
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers.get_list(name) == [value]
        assert "server" not in answer.headers and "set-cookie" not in answer.headers
        assert answer.status_code == 200 or list(answer.json()) in (["error"], ["detail"])
        assert b"secret" not in answer.content and b"Traceback" not in answer.content


def test_paths_are_names_and_not_opened(served):
    client, _, _ = served
    for path in (
        "/../guard.py",
        "/..%2fguard.py",
        "/%2e%2e/guard.py",
        "//etc/passwd",
        "/session.js/",
    ):
        assert client.get(path).status_code in (400, 404)


def test_a_body_is_cut_off_with_and_without_its_length(served):
    client, address, _ = served
    token = {"x-session-token": address.token}
    for body in (b"x" * (LIMIT + 1), (b"x" * 500 for _ in range(10))):
        answer = client.post("/api/echo", headers=token, content=body)
        assert answer.status_code == 413 and "larger" in answer.json()["error"]
    assert client.post("/api/echo", headers=token, content=b"x" * LIMIT).status_code == 200


def test_only_this_machine_is_bound():
    server = LocalServer(small_app(), 0)
    assert server.socket.getsockname()[0] == "127.0.0.1"
    server.socket.close()


def test_a_port_that_is_taken_is_a_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="--port"):
            LocalServer(small_app(), taken.getsockname()[1])
    with pytest.raises(InputError, match="--port"):
        LocalServer(small_app(), 70000)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(kind):
    code = (
        "import sys; from fastapi import FastAPI; from jaxderm.web.server import serve\n"
        "sys.exit(serve(FastAPI(), port=0, say=lambda text: print(text, flush=True)))"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        assert process.stdout.readline().startswith("Open http://127.0.0.1:")
        os.kill(process.pid, kind)
        _, err = process.communicate()
        watchdog.cancel()
    assert process.returncode == 0 and err == ""
