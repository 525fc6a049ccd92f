"""The service that is fuzzed: a process of its own with a storage beside it, and what it must never show."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from fakes.chaos_process import ChaosServer, chaos_process
from samples.serving import Serving, serving

SECONDS: Final = float(os.environ.get("FUZZ_SECONDS", "20")) / 2
"""How long each of the two kinds of fuzzing goes on, but at least once through everything."""

KEY: Final = "fuzz"
CANARIES: Final = ("canary-key-id", "canary+secret/of+the+storage")
"""The key with which the storage really works: in no answer and in no line of the log."""
NOWHERE: Final = "https://[::1]:1"
"""An endpoint at which nobody listens. However its bytes are mutated, it does not lead out of this machine."""
FILE: Final = "visits.csv"
_PATIENCE: Final = 60.0
"""Seconds for an answer: the machine may have much else to do."""
_CLOSED: Final = "http://127.0.0.1:1"
_CONFIG: Final = """\
[server]
port = 0
[store]
path = {store}
[secrets]
key_file = {key_file}
[egress]
allow = ["127.0.0.1/32:*", "[::1]/128:*"]
allow_http = true
[limits]
body_timeout = {timeout}
header_timeout = {timeout}
requests_per_second = 0
tests_per_second = 0
wrong_keys_per_minute = 0
idempotency_keys = 1000
[log]
level = "debug"
format = "json"
[verification]
timeout = 30
[delivery]
retention = "20s"
webhook_timeout = 1
[[accounts.fixed]]
name = "ann"
api_key = "fuzz"
[[accounts.fixed]]
name = "bob"
api_key = "other"
"""
_TRIES: Final = 20
_OPEN: Final = ("01", "08")
"""ESTABLISHED and CLOSE_WAIT, as the kernel's table of connections has them."""
_FRAME: Final = re.compile(r"Traceback \(most recent|\.py\", line \d+, in ")


@dataclass(frozen=True)
class Target:
    """The running service, and the storage at which its destinations of type s3 are."""

    serving: Serving
    storage: ChaosServer

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.serving.url).port or 0

    @property
    def memory(self) -> int:
        """The resident memory, in bytes."""
        pages = int(Path(f"/proc/{self.serving.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def connections(self) -> int:
        """How many connections to it are open on its side, also such as the client has closed."""
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(line[1].endswith(f":{self.port:04X}") and line[3] in _OPEN for line in lines)

    def require_alive(self) -> None:
        """Raise AssertionError unless it answers as a healthy service does."""
        assert self.serving.process.poll() is None, f"it has ended: {self.serving.log.read_text()[-2000:]}"
        for path in ("/healthz", "/readyz"):
            answer = self.ask("GET", path)
            assert answer.json() == {"request_info": {"success": True}}, (path, answer.text)

    def call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer to a request that must succeed."""
        answer = self.ask(method, path, **arguments)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def ask(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Return the answer to a request; whoever is held up in the middle of one is cut off, and then asks again."""
        arguments = {"headers": {"X-API-Key": KEY}, "timeout": _PATIENCE, **arguments}
        for _ in range(_TRIES):
            with contextlib.suppress(requests.ConnectionError):
                answer = requests.request(method, self.serving.url + path, **arguments)
                if answer.status_code != 408:
                    return answer
        raise AssertionError(f"{method} {path} was cut off {_TRIES} times")

    def complaints(self) -> list[str]:
        """Return the lines of the log that must not be there: with a stack, of a fault, not of ours, or with a secret."""
        with self.serving.log.open(errors="replace") as lines:
            return [line[:2000] for line in lines if is_complaint(line)]


def is_complaint(line: str) -> bool:
    """Whether a line must not be in the log."""
    try:
        record = json.loads(line)
    except ValueError:
        return True
    if any(canary in line for canary in CANARIES) or _FRAME.search(line):
        return True
    return "exception" in record or record["level"] not in ("debug", "info", "warning")


@dataclass(frozen=True)
class Known:
    """What is there: ids that a request may name."""

    destination: str
    collection: str
    delivery: str

    @property
    def parameters(self) -> Mapping[str, Mapping[str, str]]:
        """By the first part of a path, what its parameters may be."""
        return {
            "destinations": {"id": self.destination},
            "collections": {"id": self.collection, "n": "1", "name": FILE},
            "deliveries": {"id": self.delivery},
        }


def destination(**fields: Any) -> dict[str, Any]:
    """Return the fields of a destination that is good, but for its storage."""
    return {
        "name": "Mine",
        "type": "s3",
        "enabled": False,
        "s3_access_key_id": "AKIAEXAMPLE",
        "s3_secret_access_key": "not+the/real=one",
        "s3_bucket_name": "bucket-1",
        "s3_path_prefix": "exports/%DATE%",
    } | fields


OTHERS: Final[tuple[Mapping[str, Any], ...]] = (
    {"type": "gcs", "gcs_access_key": "a", "gcs_secret_key": "b", "gcs_bucket_name": "bucket"},
    {"type": "azure", "azure_account_name": "abc", "azure_account_key": "a2V5", "azure_container_name": "container"},
    {
        "type": "oss",
        "oss_access_key": "a",
        "oss_secret_key": "b",
        "oss_bucket_name": "bucket",
        "oss_region_id": "oss-eu-west-1",
    },
)
"""The fields of the types whose storage does not answer here. The first test of each has the service import its SDK."""


def known(target: Target) -> Known:
    """Remove all there is, and make a destination that works, a collection and a delivered result set."""
    for kind in ("collections", "destinations"):
        _remove_all(target, kind)
    key_id, secret = CANARIES
    working = destination(enabled=True, s3_access_key_id=key_id, s3_secret_access_key=secret)
    destination_id = target.call("POST", "/destinations", json=working)["destination"]["id"]
    fields = {"name": "Figures", "destination_ids": [destination_id], "notification_webhook": NOWHERE}
    collection_id = target.call("POST", "/collections", json=fields)["collection"]["id"]
    files = {"file": (FILE, b"1,2,3\n" * 100)}
    target.call("POST", f"/collections/{collection_id}/results", files=files)
    return Known(destination_id, collection_id, f"{collection_id}.{1:010d}.{destination_id}")


def _remove_all(target: Target, kind: str) -> None:
    """Requests whose clients have gone may still be at work on the same: then once more."""
    for _ in range(50):
        if not (there := target.call("GET", f"/{kind}?page_size=100")[kind]):
            return
        for one in there:
            target.ask("DELETE", f"/{kind}/{one['id']}")
    raise AssertionError(f"{kind} are left: {there}")


@contextlib.contextmanager
def running(directory: Path, *, timeout: float) -> Iterator[Target]:
    """Start storage and service, which waits so many seconds for a head or a body.

    In the end, the service must be alive, and its log without a complaint.
    """
    key_id, secret = CANARIES
    with chaos_process("bucket-*", key_id=key_id, secret=secret, directory=directory) as storage:
        with serving(_config(directory, storage, timeout), coverage=False) as started:
            target = Target(started, storage)
            yield target
            target.require_alive()
            assert started.stop() == 0
        assert target.complaints() == []


def _config(directory: Path, storage: ChaosServer, timeout: float) -> Path:
    text = _CONFIG.format(
        store=json.dumps(str(directory / "store")),
        key_file=json.dumps(str(directory / "secret.key")),
        timeout=timeout,
    )
    endpoints = {"s3": storage.url, "gcs": _CLOSED, "azure": _CLOSED, "oss": _CLOSED}
    text += "".join(f"[providers.{name}]\nendpoint_url = {json.dumps(url)}\n" for name, url in endpoints.items())
    config = directory / "consignee.toml"
    config.write_text(text)
    return config
