"""Times as they are answered and stored, and as HTTP tells them."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def timestamp(time: datetime) -> str:
    """Return ISO 8601 in UTC, with milliseconds and a Z."""
    in_utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    return in_utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def seconds_until(text: str, *, now: float) -> float | None:
    """Return the seconds that a Retry-After asks for, as a number or as a date, or None if it is neither (RFC 9110, 10.2.3).

    `now` is in seconds since 1970.
    """
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 10 else None
    try:
        time = parsedate_to_datetime(text)
        return max(0.0, (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None
