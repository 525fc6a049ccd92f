"""`consignee health`, as a supervisor runs it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from consignee.web.errors import unavailable
from samples.serving import environment, serving, write_config


def health(*arguments: str | Path, **variables: str) -> tuple[int, str]:
    """Return the command's status and what it prints."""
    command = [sys.executable, "-m", "consignee", "health", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**environment(), **variables}
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def answering(status: int, body: bytes) -> Iterator[str]:
    """Yield the URL of a server that answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def stopping() -> Iterator[str]:
    """A service that is not ready, as it says itself."""
    body = unavailable("The service is stopping.").body
    assert isinstance(body, bytes)
    yield from answering(503, body)


@pytest.fixture
def stranger() -> Iterator[str]:
    """Something else that listens at the port."""
    yield from answering(200, b"<html>It works!</html>")


def test_a_service_that_is_ready_is_status_0(tmp_path: Path) -> None:
    """It is found by the settings alone, as in a container; a proxy of the environment is not asked."""
    config = write_config(tmp_path, accounts={})
    with serving(config) as server:
        port = server.url.rpartition(":")[2]
        answer = health("--config", config, CONSIGNEE_SERVER__PORT=port, http_proxy="http://127.0.0.1:9")
    assert answer == (0, f"{server.url}: ready\n")


def test_where_nobody_listens_is_status_1(nobody: int) -> None:
    status, said = health(CONSIGNEE_SERVER__HOST="0.0.0.0", CONSIGNEE_SERVER__PORT=str(nobody))
    assert (status, said) == (1, f"http://127.0.0.1:{nobody}: no answer: Connection refused\n")


def test_a_service_that_is_not_ready_says_why(stopping: str) -> None:
    assert health("--url", stopping) == (1, f"{stopping}: not ready: The service is stopping.\n")


def test_something_else_that_answers_is_not_taken_for_the_service(stranger: str) -> None:
    assert health("--url", stranger) == (1, f"{stranger}: something else than consignee answers there\n")


def test_an_open_port_can_not_be_asked() -> None:
    status, said = health(CONSIGNEE_SERVER__PORT="0")
    assert status == 2 and "say with --url where the service is" in said
