"""Runs a program again and again, each time with another fault of the disk: `python -m store.faulty PROGRAM PLACE FAULTS`.

PROGRAM is a module with the coroutine functions `run(directory, told)` and `look(directory)`, FAULTS a JSON list of
`[number, fault]`. For each, `run` works in a directory and a process of its own, in which that call fails; then `look`
says, in another one without a fault, what it finds. One line of JSON is printed for each: what was told, how it ended,
what was found.
"""

import asyncio
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from store.interposed import Interposed

Told = Callable[..., None]


def _in_child(do: Callable[[Told], None], record: Path) -> int:
    """Do it in a process of its own; return its status. What it tells is a line of JSON each in the record."""
    if (child := os.fork()) == 0:
        fd = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            do(lambda *what: _write(fd, what))
            status = 0
        except BaseException as error:  # noqa: BLE001 - it is judged by the test
            _write(fd, ("error", type(error).__name__, traceback.format_exc()))
            status = 1
        os._exit(status)
    return os.waitpid(child, 0)[1]


_original_write = os.write


def _write(fd: int, what: object) -> None:
    _original_write(fd, json.dumps(what).encode() + b"\n")


def _read(record: Path) -> list[Any]:
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def _one(program: Any, place: Path, number: int, fault: str) -> dict[str, Any]:
    root = place / f"{number}-{fault}"
    root.mkdir(parents=True, mode=0o700)

    def run(told: Told) -> None:
        watched = Interposed(root / "disk", fault_at=number, fault=fault)
        watched.install()
        asyncio.run(program.run(root / "disk", told))
        told("calls", watched.calls)

    def look(told: Told) -> None:
        told("found", asyncio.run(program.look(root / "disk")))

    status = _in_child(run, root / "told")
    looked = _in_child(look, root / "found")
    return {
        "fault": [number, fault],
        "status": status,
        "told": _read(root / "told"),
        "looked": looked,
        "found": _read(root / "found"),
    }


def main(program: str, place: Path, faults: list[tuple[int, str]]) -> None:
    """Print a line for each fault."""
    module = importlib.import_module(program)
    for number, fault in faults:
        _write(1, _one(module, place, number, fault))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
