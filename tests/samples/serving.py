"""`consignee serve` as a process of its own, with a configuration and a store of its own."""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from canaries import write_sealing_key

START_SECONDS = 60.0
STOP_SECONDS = 60.0
_OURS = ("CONSIGNEE_", "API_", "S3_")
_CONFIG = """\
[server]
port = 0
[store]
path = {store}
[secrets]
key_file = {key_file}
[egress]
allow = ["127.0.0.1/32:*"]
allow_http = true
[limits]
destinations_per_account = {limit}
[log]
level = "warning"
"""
_ACCOUNT = """\
[[accounts.fixed]]
name = {name}
api_key = {api_key}
"""


@dataclass(frozen=True)
class Serving:
    """A running server, its URL, and the file that its log goes to."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def ended(self) -> bool:
        """Whether `kill` or `stop` has ended it."""
        return self.process.returncode is not None

    def kill(self) -> None:
        """End it as `kill -9` does, and wait until it has."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to end; return its status, or raise TimeoutExpired if it does not."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


def write_config(directory: Path, *, accounts: Mapping[str, str], limit: int = 50) -> Path:
    """Write the configuration of a server whose files are all in `directory`; `accounts` are names and API keys."""
    text = _CONFIG.format(
        store=json.dumps(str(directory / "store")),
        key_file=json.dumps(str(write_sealing_key(directory / "secret.key"))),
        limit=limit,
    )
    for name, api_key in accounts.items():
        text += _ACCOUNT.format(name=json.dumps(name), api_key=json.dumps(api_key))
    config = directory / "consignee.toml"
    config.write_text(text)
    return config


def environment(*, coverage: bool = True) -> dict[str, str]:
    """Return this process's environment without settings of ours, proxies and, if so wished, the measuring of coverage."""
    unwanted = _OURS if coverage else (*_OURS, "COVERAGE_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(unwanted) and not name.lower().endswith("_proxy")
    }


@contextmanager
def serving(config: Path, *, coverage: bool = True) -> Iterator[Serving]:
    """Start the server and yield it once it is ready; fails if it does not get so. It is killed if still there."""
    log = config.with_name("server.log")
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "consignee", "serve", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment(coverage=coverage),
        )
    try:
        yield Serving(_ready(process, log), log, process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline().decode() if selector.select(START_SECONDS) else ""
    before, found, url = line.strip().rpartition(" http://127.0.0.1:")
    assert found, f"the server did not start; it printed {line!r} and logged: {log.read_text()[-2000:]}"
    assert before == "consignee is ready at"
    return found.strip() + url
