"""When the making of a result set began and ended, as whoever made it says."""

from collections.abc import Mapping
from datetime import UTC, datetime

from consignee.errors import InvalidRequest


def read_period(times: Mapping[str, str], *, now: datetime) -> tuple[datetime, datetime]:
    """Return `started_at` and `ended_at`, ISO 8601; it ended just now, and began then, unless it says otherwise.

    Raises InvalidRequest.
    """
    errors: dict[str, list[str]] = {}
    ended = _time(times, "ended_at", errors) or now
    started = _time(times, "started_at", errors) or ended
    if not errors and started > ended:
        errors["started_at"] = ["must not be after ended_at"]
    if errors:
        raise InvalidRequest(errors)
    return started, ended


def _time(times: Mapping[str, str], name: str, errors: dict[str, list[str]]) -> datetime | None:
    text = times.get(name)
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        errors[name] = ["must be a time in ISO 8601, such as 2026-01-31T12:00:00Z"]
        return None
