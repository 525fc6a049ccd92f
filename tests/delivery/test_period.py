"""When a result set began and ended, as whoever made it says."""

from pathlib import Path

import pytest

from consignee.errors import InvalidRequest
from delivery.depot import depot


@pytest.mark.parametrize(
    ("times", "started", "ended"),
    [
        ({}, "2026-01-02T03:00:00.000Z", "2026-01-02T03:00:00.000Z"),
        ({"ended_at": "2025-06-01T12:00:00+02:00"}, "2025-06-01T10:00:00.000Z", "2025-06-01T10:00:00.000Z"),
        (
            {"started_at": "2025-06-01T00:00:00", "ended_at": "2025-06-01 00:00:01.5Z"},
            "2025-06-01T00:00:00.000Z",
            "2025-06-01T00:00:01.500Z",
        ),
        ({"started_at": "2026-01-01"}, "2026-01-01T00:00:00.000Z", "2026-01-02T03:00:00.000Z"),
    ],
)
async def test_when_it_began_and_ended_is_told_in_utc(
    tmp_path: Path, times: dict[str, str], started: str, ended: str
) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.deliver(await d.collection(), times=times)
        assert (result_set.started_at, result_set.ended_at) == (started, ended)


@pytest.mark.parametrize(
    ("times", "wrong"),
    [
        ({"started_at": "yesterday", "ended_at": "5"}, ["started_at", "ended_at"]),
        ({"started_at": "2026-01-02T00:00:01Z", "ended_at": "2026-01-02T00:00:00Z"}, ["started_at"]),
        ({"ended_at": "9999-12-31T23:59:59-12:00"}, ["ended_at"]),
        ({"ended_at": "0001-01-01T00:00:00+12:00"}, ["ended_at"]),
    ],
)
async def test_a_time_that_is_none_is_refused(tmp_path: Path, times: dict[str, str], wrong: list[str]) -> None:
    async with depot(tmp_path) as d:
        with pytest.raises(InvalidRequest) as refused:
            await d.deliver(await d.collection(), times=times)
        assert sorted(refused.value.errors) == sorted(wrong)
        assert await d.parts.spool.tokens() == []
