"""`consignee serve` on uvloop and on asyncio's own loop: the same service, which ends as it should."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import requests

from canaries import API_KEY
from commands.customer import USER, Customer, succeeded
from consignee.demo.storage import StorageServer
from samples.serving import serving, write_config

LARGE: Final = 20 * 1024 * 1024
"""Bytes of a file that is sent in parts."""
LOOPS: Final = {
    "as it comes": ("", True, "uvloop"),
    "switched off": ("uvloop = false\n", True, "asyncio"),
    "not installed": ("", False, "asyncio"),
}


@pytest.fixture(params=LOOPS.values(), ids=[*LOOPS])
def customer(
    request: pytest.FixtureRequest, swift: StorageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Customer]:
    """The customer of a service that runs on the loop that is expected there."""
    setting, installed, expected = request.param
    if not installed:
        (tmp_path / "uvloop.py").write_text("raise ModuleNotFoundError('uvloop')\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    config = write_config(tmp_path, accounts={"ann": API_KEY})
    text = config.read_text().replace("port = 0\n", f"port = 0\n{setting}").replace('"warning"', '"debug"')
    config.write_text(text)
    with serving(config) as service:
        yield Customer(service, config, swift)
        assert service.stop() == 0
    assert f"the event loop is that of {expected}" in service.log.read_text()
    assert "ERROR" not in service.log.read_text()


async def test_a_small_file_and_a_large_one_arrive(customer: Customer, tmp_path: Path) -> None:
    """Handed over by the command, kept, delivered, and read back: from the bucket, and from the service."""
    files = {"small.csv": b"day,visits\n", "large.bin": bytes(range(256)) * (LARGE // 256)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    bucket = customer.bucket()
    collection = customer.collection("Loops", customer.destination(bucket))
    done = customer.deliver("--collection", "Loops", *(tmp_path / name for name in files))
    assert done.returncode == 0, done.stderr
    await succeeded(customer, collection)
    for name, content in files.items():
        assert customer.storage.checked(USER, "GET", f"/{bucket}/1/{name}").body == content
        path = f"/collections/{collection}/results/1/files/{name}"
        assert requests.get(customer.service.url + path, params={"api_key": API_KEY}, timeout=30).content == content


def test_a_connection_that_stays_open_does_not_hold_up_the_end(customer: Customer) -> None:
    """One that has made a request, one that has begun one, and one that has said nothing; the fixture stops the service."""
    place = urlsplit(customer.service.url)
    lines = [socket.create_connection((place.hostname, place.port), 30) for _ in range(3)]
    lines[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
    assert lines[0].recv(1024).startswith(b"HTTP/1.1 200 ")
    lines[1].sendall(b"GET /healthz HTTP/1.1\r\nHo")
    assert customer.service.stop() == 0
    for line in lines:
        line.close()
