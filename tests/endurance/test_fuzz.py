"""Bytes that nobody meant, for long: no fault, and no more memory than at the beginning."""

import os
import time
from pathlib import Path

from fuzz.storm import Storm
from fuzz.target import OTHERS, Target, running

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "1500"))
WARM = 0.1
"""Which part of the requests goes before memory is measured; all that is loaded late is loaded by then."""
TIMEOUT = 0.5
MOST_GROWTH = 20_000_000
MOST_SECONDS = 60.0
"""For connections that were left open to go away."""


def _load_all(target: Target) -> None:
    for fields in OTHERS:
        answer = target.ask("POST", "/destinations/test", json={"name": "Mine", "enabled": True, **fields})
        assert answer.json()["request_info"]["code"] == "endpoint_unreachable", answer.text


def _rage_until(storm: Storm, most: int, number: int) -> int:
    """Go on until so many requests were sent in all; return the number of the next round."""
    while storm.requests < most:
        storm.rage(number)
        number += 1
        if number % 25 == 0:
            print(f"{storm.requests} requests, {storm.target.memory / 1e6:.1f} MB", flush=True)  # noqa: T201
    return number


def _require_closed(target: Target) -> None:
    end = time.monotonic() + MOST_SECONDS
    while target.connections:
        assert time.monotonic() < end, "connections are still open whose clients have gone"
        time.sleep(0.2)


def test_no_bytes_bring_about_a_fault_or_stay_in_memory(tmp_path: Path) -> None:
    """`FUZZ_REQUESTS` says how many requests. In the end the log holds no fault: see `running`."""
    began = time.monotonic()
    with running(tmp_path, timeout=TIMEOUT) as target:
        storm = Storm(target)
        _load_all(target)
        number = _rage_until(storm, int(REQUESTS * WARM), 0)
        warm = target.memory
        _rage_until(storm, REQUESTS, number)
        _require_closed(target)
        grown = target.memory - warm
    seconds = time.monotonic() - began
    print(  # noqa: T201
        f"{storm.requests} requests in {seconds:.0f} s, {sum(storm.statuses.values())} answers, no 500, no traceback; "
        f"memory {warm / 1e6:.1f} MB after the first {WARM:.0%}, {grown / 1e6:+.1f} MB in the end; "
        f"by status: {dict(sorted(storm.statuses.items()))}"
    )
    assert storm.requests >= REQUESTS
    assert grown < MOST_GROWTH
