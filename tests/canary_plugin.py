"""The watch for canaries over all tests: what comes to light during a test fails it, even if nobody else noticed.

Besides what `canary_watch` sees: exceptions that tests expect, what they print, the store's files and logs in their
directories, and the command lines of the processes that they start.
"""

import json
import os
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator, Set
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pytest
from _pytest.raises import RaisesExc

import canaries
import canary_watch
from consignee.pepper import Pepper
from consignee.secret import Secret

INTERVAL: Final = 0.05
"""Seconds between two looks at the command lines."""
_LOGS: Final = ("*.log",)
_LARGEST: Final = 64 * 1024 * 1024
_seen: Final[set[Path]] = set()
_read: Final[dict[Path, int]] = {}
"""How many bytes of a report were read: it is never emptied, for somebody may add to it meanwhile."""
_OUTER: Final = pytest.StashKey[str | None]()
"""The report of the process that started this one, to run some of its tests."""


def pytest_configure(config: pytest.Config) -> None:
    """From now on, this process and those that it starts are watched."""
    # Tests that run side by side have a report each.
    outer = os.environ.get(canary_watch.REPORT)
    config.stash[_OUTER] = outer if hasattr(config, "workerinput") else None
    if outer is None or hasattr(config, "workerinput"):
        report = tempfile.NamedTemporaryFile(prefix="canaries-")  # noqa: SIM115
        os.environ[canary_watch.REPORT] = report.name
        config.add_cleanup(report.close)
    unread()
    canary_watch.install()
    canary_watch.watch_answers()
    _watch_expected_exceptions()
    _learn_peppers()
    sampler = Sampler()
    sampler.start()
    config.add_cleanup(sampler.stop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at what the test printed, and at how it failed."""
    report = yield
    for name, text in report.sections:
        canary_watch.look("printed", f"as {name}", text)
    if report.failed:
        canary_watch.look("raised", "and failed the test", report.longreprtext)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Fail the test during which a canary came to light."""
    yield
    directory = getattr(item, "funcargs", {}).get("tmp_path")
    if directory is not None:
        look_at_files(directory, test=item.nodeid)
    if seen := list(reported()):
        pytest.fail("canaries came to light:\n" + "\n".join(seen), pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look at the files of what outlives a test, too."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    if factory is not None and factory._basetemp is not None:
        look_at_files(factory._basetemp, test="some test")
    if (outer := session.config.stash[_OUTER]) is not None:
        with open(outer, "a") as file:
            file.writelines(f"{line}\n" for line in unread())
    elif seen := list(reported()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("\ncanaries came to light after the last test:", *seen, sep="\n")  # noqa: T201


def reported() -> Iterator[str]:
    """Yield what was reported since the last time, each once, as lines for a person."""
    for line in dict.fromkeys(unread()):
        hit = json.loads(line)
        yield f"{hit['canary']}: {hit['channel']} {hit['where']}, during {hit['test']}"


def unread() -> list[str]:
    """Return the lines of the report that were not returned before; one that is just being written is left for later."""
    path = Path(os.environ[canary_watch.REPORT])
    with path.open("rb") as file:
        file.seek(_read.get(path, 0))
        whole = file.read().rpartition(b"\n")[0]
    if whole:
        _read[path] = _read.get(path, 0) + len(whole) + 1
    return whole.decode().splitlines()


def look_at_files(directory: Path, *, test: str) -> None:
    """Look, once, at the files of each store below that directory, and at logs."""
    stores = {log.parent for log in directory.rglob("*.jsonl")}
    files = {file for store in stores for file in store.iterdir() if file.suffix != ".key"}
    for file in sorted(files.union(*(directory.rglob(pattern) for pattern in _LOGS)) - _seen):
        if file.is_file() and file.stat().st_size <= _LARGEST:
            _seen.add(file)
            canary_watch.look("stored", file.name, file.read_bytes().decode("latin-1"), test=test)


def _watch_expected_exceptions() -> None:
    leave = RaisesExc.__exit__

    def left(
        self: RaisesExc[Any], kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool:
        expected = leave(self, kind, error, tb)
        if error is not None:
            canary_watch.look("raised", type(error).__name__, canary_watch.text_of_exception(error))
        return expected

    RaisesExc.__exit__ = left  # type: ignore[method-assign]


def _learn_peppers() -> None:
    make = Pepper.__init__

    def made(self: Pepper, secret: Secret) -> None:
        canaries.learn_last("pepper", secret.reveal())
        make(self, secret)

    Pepper.__init__ = made  # type: ignore[method-assign]


class Sampler(threading.Thread):
    """Looks again and again at the command lines of all processes that come from this one."""

    def __init__(self) -> None:
        super().__init__(name="canaries", daemon=True)
        self._ended = threading.Event()
        self._known: set[tuple[int, bytes]] = set()

    def run(self) -> None:
        """Do it."""
        while not self._ended.wait(INTERVAL):
            self._look(os.getpid())

    def stop(self) -> None:
        """Do it no more."""
        self._ended.set()
        self.join()

    def _look(self, own: int) -> None:
        lines = dict(_command_lines())
        # What another pytest starts is its own to watch.
        others = {pid for pid, line in lines.items() if b"\0pytest\0" in line and pid != own}
        for pid, line in lines.items():
            if (pid, line) not in self._known and _descends(pid, own, others):
                words = line.decode("latin-1").split("\0")
                canary_watch.look("started", canary_watch.command_of(words), " ".join(words))
        self._known = set(lines.items())


def _command_lines() -> Iterable[tuple[int, bytes]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    yield int(name), file.read()
            except OSError:
                continue


def _descends(pid: int, ancestor: int, others: Set[int]) -> bool:
    while pid not in (0, 1, ancestor) and pid not in others:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            return False
    return pid == ancestor
