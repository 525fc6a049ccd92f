"""Whatever call fails while result sets are taken in, delivered and removed: a set is there whole or not at all.

`FAULTS=all` takes each call; without it some are chosen.
"""

import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from delivery.taking_in import digest, files_of
from store.test_faulty_disk import SHARE, calls_of, chosen, faulty

PROGRAM = "delivery.taking_in"


def _number(result_set: Mapping[str, Any]) -> int:
    """Return which of the sets it is, told by its files, which must be all there, and right."""
    number = int(min(result_set["files"])[0])
    assert result_set["files"] == {name: digest(content) for name, content in files_of(number).items()}
    return number


def _check(outcome: dict[str, Any]) -> int:
    """Check what was told against what is found after a restart; return how many sets were acknowledged."""
    fault, told = outcome["fault"], outcome["told"]
    assert outcome["status"] == (9 if fault[1] == "kill" else 0), (fault, told)
    (what, found, *more), *_ = outcome["found"]
    assert what == "found", (fault, more)
    sets = {_number(one): (id_, one) for id_, one in found["sets"].items()}
    acknowledged = [number for what, number in told if what == "acknowledge"]
    assert {*acknowledged} <= {*sets}, fault
    assert found["spool"] == {"incoming": [], "kept": sorted(one["token"] for _, one in sets.values())}, fault
    for number, (_, one) in sets.items():
        assert one["statuses"] == ["success"], fault
        for name, content in files_of(number).items():
            (there,) = [sum_ for key, sum_ in found["shelf"].items() if key.endswith(f"_{name}")]
            assert there == digest(content), fault
    for gone in [id_ for what, id_ in told if what == "removed"]:
        assert not any(id_.startswith(f"{gone}.") for id_, _ in sets.values()), fault
    return len(acknowledged)


def test_a_result_set_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """And nothing is left in the spool; what was acknowledged is delivered, if not before a restart, then after it."""
    seed = random.randrange(1 << 32)
    calls = calls_of(PROGRAM, tmp_path)
    assert sum("/spool/" in call for call in calls) > 30
    faults = chosen(calls, SHARE / 2 if SHARE < 1 else 1.0, seed=seed)
    outcomes = list(faulty(PROGRAM, tmp_path, faults))
    acknowledged = [_check(outcome) for outcome in outcomes]
    assert len(acknowledged) == len(faults)
    for outcome in outcomes:
        for text in [text for what, text in outcome["told"] if what == "refused"]:
            assert re.match("could not write to|the files could not be stored: |.*(read-only|full)", text), text
    print(f"seed {seed}: {len(calls)} calls, {len(faults)} faults, {sum(acknowledged)} sets, none lost")  # noqa: T201
