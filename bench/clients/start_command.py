"""Runs a command a number of times, one after the other: until it ends, or with `until-ready` until it prints a line.

start_command.py COUNT end|ready COMMAND ...
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from measuring import cpu_seconds

READY_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Start:
    """One start: seconds until it was there, those of them on the CPU, and megabytes then."""

    seconds: float
    cpu: float
    memory: float


def until_end(command: Sequence[str]) -> Start:
    """Return what it takes to run the command to its end."""
    began, used = time.perf_counter(), cpu_seconds()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=READY_SECONDS)
    return Start(time.perf_counter() - began, cpu_seconds() - used, 0.0)


def until_ready(command: Sequence[str]) -> Start:
    """Return what it takes until the command has printed its first line; then it is ended."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise SystemExit(f"{command} ended before it was ready")
        taken = Start(time.perf_counter() - began, _cpu_of(process.pid), _memory_of(process.pid))
        process.terminate()
    return taken


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds of all its threads: https://docs.kernel.org/scheduler/sched-stats.html"""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


def _memory_of(pid: int) -> float:
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return resident * os.sysconf("SC_PAGESIZE") / 2**20


MODES: Final[dict[str, Callable[[Sequence[str]], Start]]] = {"end": until_end, "ready": until_ready}


def main(count: str, mode: str, *command: str) -> None:
    """Print the sample: medians of all starts but the first, which reads from the disk what the others find in memory."""
    starts = [MODES[mode](command) for _ in range(int(count) + 1)][1:]
    seconds = statistics.median(each.seconds for each in starts)
    sample: dict[str, object] = {"rate": 1 / seconds, "cpu": statistics.median(each.cpu for each in starts)}
    if mode == "ready":
        sample["memory"] = statistics.median(each.memory for each in starts)
    print(json.dumps({**sample, "more": {"seconds": seconds}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
