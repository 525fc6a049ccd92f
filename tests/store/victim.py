"""Starts writers as processes of their own, fast, for they are forked; and reads what the store holds after their end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import consignee
from consignee.store.json_file import JsonFileStore
from store.ledger import documents
from store.writing import KIND, WRITERS

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Victim:
    """A writer."""

    pid: int
    _server: "subprocess.Popen[str]"

    def opened(self) -> str:
        """Return which package it runs, once it has opened the store; empty if it could not."""
        return _line(self._server)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)


@contextmanager
def writers() -> Iterator["subprocess.Popen[str]"]:
    """Start the process from which writers are forked."""
    command = [sys.executable, "-m", "store.writing"]
    with subprocess.Popen(
        command,
        env=environment(TESTS),
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def writing(server: "subprocess.Popen[str]", directory: Path, events: Path) -> Iterator[Victim]:
    """Start a writer; kill it in the end, and wait until it has ended."""
    _ask(server, [str(directory), str(events)])
    victim = Victim(int(_line(server)), server)
    try:
        yield victim
    finally:
        victim.signal(signal.SIGKILL)
        _ask(server, "wait")
        while _line(server) != "ended":  # it may have said that it is ready, and nobody listened
            pass


def _ask(server: "subprocess.Popen[str]", what: object) -> None:
    assert server.stdin is not None
    server.stdin.write(json.dumps(what) + "\n")
    server.stdin.flush()


def _line(server: "subprocess.Popen[str]") -> str:
    assert server.stdout is not None
    line = server.stdout.readline()
    assert line, "the process of the writers has ended"
    return line.strip()


def environment(*places: Path) -> dict[str, str]:
    """Return that of a process that looks for modules there first.

    One that is killed, or that runs another copy of the package, has no coverage to report.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return kept | {"PYTHONPATH": os.pathsep.join(map(str, (*places, Path(consignee.__file__).parents[1])))}


async def found_in(directory: Path) -> dict[str, str]:
    """Open the store, and return the value of each document; raises what the opening raises."""
    store = JsonFileStore(directory)
    await store.open()
    try:
        lists = [await store.list(KIND, f"account{n}") for n in range(WRITERS)]
        return documents((d.account, d.id, d.data["value"]) for found in lists for d in found)
    finally:
        await store.close()
