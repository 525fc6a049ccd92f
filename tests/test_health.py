"""A change is noted once, what is not a change never."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from consignee.health import Health
from drafts import S3, saved


def outcome(ok: bool) -> dict[str, Any]:
    """Return a test's outcome as it is kept."""
    step = {"step": "upload", "ok": ok, "code": None if ok else "access_denied"}
    return {"ok": ok, "at": "then", "connectivity": {"ok": ok, "steps": [step]}}


@pytest.mark.parametrize(
    ("before", "after", "counts", "level"),
    [
        (True, False, (1, 0), logging.WARNING),
        (False, True, (0, 1), logging.INFO),
        (True, True, (0, 0), None),
        (False, False, (0, 0), None),
        (None, False, (0, 0), None),
        (True, None, (0, 0), None),
    ],
)
def test_a_change_is_logged_and_counted(
    before: bool | None,
    after: bool | None,
    counts: tuple[int, int],
    level: int | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    health, destination = Health(), saved(S3)
    was, now = (replace(destination, last_test=None if ok is None else outcome(ok)) for ok in (before, after))
    health.note(was, now)
    assert (health.broke, health.recovered) == counts
    assert [record.levelno for record in caplog.records] == ([level] if level else [])
    for record in caplog.records:
        assert {"ABCD1234", "acme"} <= set(record.getMessage().replace(":", "").split())
        assert ("access_denied" in record.getMessage()) == (after is False)
