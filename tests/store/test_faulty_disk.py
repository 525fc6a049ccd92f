"""Every call that changes something on the disk fails once, or is the last one: nothing is lost, and all is told clearly.

`FAULTS=all` takes each call; without it some are chosen.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from store.interposed import BY_DESCRIPTOR, BY_PATH
from store.ledger import Ledger
from store.victim import TESTS, environment

PROGRAM = "store.fifty_writes"
KINDS = ("EIO", "ENOSPC", "kill")
SHARE = 1.0 if os.environ.get("FAULTS") == "all" else 0.1


def faulty(program: str, place: Path, faults: Sequence[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    """Yield what came of each of these faults."""
    command = [sys.executable, "-m", "store.faulty", program, str(place), json.dumps(faults)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment(TESTS), stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
        assert process.wait() == 0


def calls_of(program: str, place: Path) -> list[str]:
    """Return the calls of a run without a fault."""
    (undisturbed,) = faulty(program, place, [(-1, "")])
    calls: list[str] = undisturbed["told"][-1][1]
    return calls


def chosen(calls: Sequence[str], share: float, *, seed: int) -> list[tuple[int, str]]:
    """Return the faults to try: each call with each fault, or a share of them."""
    every = [(number, kind) for number in range(len(calls)) for kind in KINDS]
    return every if share == 1.0 else random.Random(seed).sample(every, round(share * len(every)))


def _check(outcome: dict[str, Any]) -> int:
    """Check what was told against what is found; return how many changes were acknowledged."""
    ledger, fault = Ledger(), outcome["fault"]
    for what, *more in outcome["told"]:
        assert what != "error", (fault, more)
        if what == "begin":
            ledger.begin(*more)
        elif what == "acknowledge":
            ledger.acknowledge(*more)
        elif what == "refused":
            assert re.match(
                "could not write to .*: (Input/output error|No space left on device)|.*(read-only|full)", more[1]
            )
            if more[2]:
                ledger.refuse(more[0])
    assert outcome["status"] == (9 if fault[1] == "kill" else 0)
    (what, found), *_ = outcome["found"]
    assert what == "found", (fault, found)
    assert ledger.complaints(found) == [], fault
    return ledger.acknowledged


def test_whatever_call_fails_each_document_has_its_old_or_its_new_value(tmp_path: Path) -> None:
    """Each that was acknowledged is there; what was refused by a store that still writes is not."""
    seed = random.randrange(1 << 32)
    calls = calls_of(PROGRAM, tmp_path)
    assert len(calls) > 2 * 50
    faults = chosen(calls, SHARE, seed=seed)
    acknowledged = [_check(outcome) for outcome in faulty(PROGRAM, tmp_path, faults)]
    assert len(acknowledged) == len(faults)
    kinds = len({call.split()[0] for call in calls})
    print(  # noqa: T201
        f"seed {seed}: {len(calls)} calls of {kinds} kinds, {len(faults)} faults, {sum(acknowledged)} acknowledged, none lost"
    )


TRACED = "write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir"
TRACED += (
    ",mkdirat,ftruncate,truncate,fallocate,open,openat,creat,link,linkat,symlink,symlinkat,chmod,fchmod,fchmodat,fchown"
)
SAME = {"unlinkat": "unlink", "rmdir": "unlink", "fallocate": "posix_fallocate", "replace": "rename", "openat": "open"}


def _traced(program: str, place: Path) -> tuple[list[str], list[str]]:
    """Return the calls of one run that change what is in the directory: as they were watched, and as the system saw them."""
    trace = place / "trace"
    command = ["strace", "-f", "-y", "-qq", "-o", str(trace), "-e", f"trace={TRACED}"]
    trial = shutil.which("strace") and subprocess.run([*command, "true"], check=False, capture_output=True)
    if not trial or trial.returncode != 0:
        pytest.skip("strace is not installed, or may not trace")
    run = [sys.executable, "-m", "store.faulty", program, str(place / "traced"), '[[-1, ""]]']
    ran = subprocess.run([*command, *run], check=True, capture_output=True, env=environment(TESTS))
    lines = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines() if f"{place}/traced/-1-/disk" in line]
    calls = [line for line in lines if not re.match(r"<\.\.\.|open(at)?\((?!.*O_(CREAT|TRUNC))", line)]
    (_, looking, *_) = (number for number, line in enumerate(calls) if '/disk/lock"' in line)
    watched = [call.split()[0] for call in json.loads(ran.stdout)["told"][-1][1]]
    return watched, [line.partition("(")[0] for line in calls[:looking]]


def test_no_call_is_overlooked(tmp_path: Path) -> None:
    """What stands between the program and the system sees what the system sees, call for call."""
    watched, seen = _traced(PROGRAM, tmp_path)
    assert {*watched} <= {*BY_DESCRIPTOR, *BY_PATH, "open"}
    assert [SAME.get(call, call) for call in watched] == [SAME.get(call, call) for call in seen]
