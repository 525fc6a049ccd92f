"""The watch over all tests: what connects elsewhere than to this machine fails the test, whoever swallows the error."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import egress_watch
from samples.serving import environment

TESTS: Final = Path(__file__).parent
ELSEWHERE: Final = (
    "192.0.2.1",
    "10.0.0.1",
    "169.254.169.254",
    "0.0.0.0",
    "2001:db8::1",
    "::ffff:192.0.2.1",
    "fe80::1%1",
)
HERE: Final = ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "localhost")
SUITE: Final = """
import asyncio, contextlib, socket, subprocess, sys

def swallowed(connect):
    with contextlib.suppress(BaseException):
        connect()

def bad_connect():
    swallowed(lambda: socket.create_connection(("192.0.2.1", 9), 0.01))

def bad_connect_ex():
    with socket.socket() as made:
        made.setblocking(False)
        swallowed(lambda: made.connect_ex(("192.0.2.1", 9)))

def bad_ipv6():
    with socket.socket(socket.AF_INET6) as made:
        swallowed(lambda: made.connect(("2001:db8::1", 9)))

def bad_datagram():
    with socket.socket(type=socket.SOCK_DGRAM) as made:
        swallowed(lambda: made.sendto(b"", ("192.0.2.1", 9)))

def bad_loop():
    swallowed(lambda: asyncio.run(asyncio.open_connection("192.0.2.1", 9)))

def bad_process():
    program = "import socket; socket.create_connection(('192.0.2.1', 9), 0.01)"
    assert subprocess.run([sys.executable, "-c", program], stderr=subprocess.DEVNULL).returncode == 1

def good_loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()

def good_unix():
    one, other = socket.socketpair()
    with one, other, contextlib.suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as made:
        made.connect("absent")

def good_own_address():
    with socket.socket(type=socket.SOCK_DGRAM) as made, contextlib.suppress(OSError):
        made.connect(("192.0.2.1", 9))
"""


def run(directory: Path) -> str:
    """Run that suite under this conftest in a process of its own; return what it printed."""
    (directory / "test_dials.py").write_text(re.sub(r"def (bad|good)_", r"def test_\1_", SUITE))
    own = {name: value for name, value in os.environ.items() if name != egress_watch.REPORT}
    line = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-q", "-rA", "test_dials.py"]
    own["PYTHONPATH"] = str(TESTS)
    ended = subprocess.run(line, cwd=directory, env=own, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stdout


def test_what_connects_elsewhere_fails_its_test(tmp_path: Path) -> None:
    """By each way there is, from a process that it started too; nothing else does."""
    printed = run(tmp_path)
    errors, passed = (set(re.findall(rf"^{word} \S+::(\w+)", printed, re.MULTILINE)) for word in ("ERROR", "PASSED"))
    expected = set(re.findall(r"def (\w+)\(\)", SUITE))
    assert {f"test_{name}" for name in expected} == passed
    assert {f"test_{name}" for name in expected if name.startswith("bad")} == errors
    assert printed.count("192.0.2.1', 9") >= 5


@pytest.mark.parametrize("host", [*HERE, *ELSEWHERE, "storage.example", ""])
def test_here_is_loopback(host: str) -> None:
    assert egress_watch.is_here(host) == (host in HERE)


def test_so_are_the_servers_that_tests_start() -> None:
    """They get the environment without our settings and its proxies, but with the watch."""
    program = [sys.executable, "-c", "import sys; print('egress_watch' in sys.modules)"]
    assert subprocess.run(program, env=environment(), capture_output=True, text=True).stdout == "True\n"
