"""What a crashing service leaves behind: where it was, and no secret."""

import os
import signal
import time
from pathlib import Path
from typing import Any, Final

import pytest
import requests

import canaries
from consignee.demo.storage import StorageServer
from samples.serving import Serving, serving, write_config

USER: Final = "test:tester"


def ask(service: Serving, method: str, path: str, **fields: Any) -> dict[str, Any]:
    """Return the answer to a request with the key in the query, as a careless client sends it."""
    url = f"{service.url}{path}?api_key={canaries.API_KEY}"
    answer: dict[str, Any] = requests.request(method, url, json=fields, timeout=60).json()
    assert answer["request_info"]["success"]
    return answer


def use(service: Serving, storage: StorageServer) -> None:
    """Let the service hold and use secrets of each kind; it proves that it has them by what it answers."""
    destination = {"name": "x", "type": "s3compatible", "enabled": True, "s3_bucket_name": "demo-bucket"}
    destination |= {"s3_access_key_id": USER, "s3_secret_access_key": storage.users[USER], "s3_endpoint": storage.url}
    made = ask(service, "POST", "/destinations", **destination)["destination"]["id"]
    hook = f"https://127.0.0.1:9/?token={canaries.WEBHOOK_TOKEN}"
    secret = {"notification_webhook": hook, "notification_webhook_secret": canaries.WEBHOOK_SECRET}
    ask(service, "POST", "/collections", name="x", destination_ids=[made], **secret)
    ask(service, "POST", f"/destinations/{made}/test")
    deadline = time.monotonic() + 60
    while f"/destinations/{made}/test" not in service.log.read_text():  # lines of the last moment are lost in a crash
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV], ids=lambda number: number.name)
def test_a_crash_shows_where_it_was_and_no_secret(
    number: signal.Signals, tmp_path: Path, swift: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With faulthandler on, which prints the stacks of all threads; and there is no core file."""
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path, accounts={"ann": canaries.API_KEY})
    config.write_text(config.read_text().replace('level = "warning"', 'level = "debug"'))
    with serving(config, coverage=False) as service:
        use(service, swift)
        os.kill(service.process.pid, number)
        assert service.process.wait(60) == -number
        assert service.process.stdout is not None
        said = service.log.read_text() + service.process.stdout.read().decode()
    assert "Fatal Python error" in said
    assert "most recent call first" in said
    assert "/collections" in said
    assert canaries.found(said) == set()
    assert list(tmp_path.rglob("core*")) == []
