"""Times as they are answered and stored."""

from datetime import UTC, datetime


def timestamp(time: datetime) -> str:
    """Return ISO 8601 in UTC, with milliseconds and a Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
