"""Starts a writer as a process of its own, and reads what the store holds after its end."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consignee.store.json_file import JsonFileStore
from store.ledger import documents
from store.writing import KIND, WRITERS

TESTS = Path(__file__).parents[1]


@contextmanager
def writing(directory: Path, events: Path, *, package: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start a writer, with the package found in the directory `package` if given; kill it in the end."""
    places = [str(place) for place in (package, TESTS) if place is not None]
    process = subprocess.Popen(
        [sys.executable, "-m", "store.writing", str(directory), str(events)],
        env=_environment() | {"PYTHONPATH": os.pathsep.join(places)},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def _environment() -> dict[str, str]:
    """A process that is killed, or that runs another copy of the package, has no coverage to report."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


async def found_in(directory: Path) -> dict[str, str]:
    """Open the store, and return the value of each document; raises what the opening raises."""
    store = JsonFileStore(directory)
    await store.open()
    try:
        lists = [await store.list(KIND, f"account{n}") for n in range(WRITERS)]
        return documents((d.account, d.id, d.data["value"]) for found in lists for d in found)
    finally:
        await store.close()
