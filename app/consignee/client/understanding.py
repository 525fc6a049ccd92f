"""What an answer says, taken with distrust: it may be from something else than consignee."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final, NoReturn

from consignee.client.answers import Connectivity
from consignee.client.errors import ApiError, NotUnderstood
from consignee.client.reading import read

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of an answer, or in a stream of one line, or of one event: what is longer is none."""
_CODES: Final = {400: "invalid_request", 401: "unauthorized", 404: "not_found", 429: "rate_limited", 503: "unavailable"}


def understood(status: int, headers: Mapping[str, str], content: bytes, *, url: str) -> dict[str, Any]:
    """Return the answer; raises ApiError if it is a refusal, NotUnderstood if it is none that consignee gives."""
    try:
        answer = parsed(content)
        info = answer["request_info"]
        good, message = bool(info["success"]), _text(info.get("message"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise NotUnderstood(f"what answers at {url} with status {status} is not consignee", status=status) from None
    if good and status < 300:
        return answer
    raise ApiError(
        message or "the service gave no reason",
        code=_text(info.get("code")) or "internal_error",
        status=status,
        errors=_errors(answer.get("errors")),
        connectivity=_connectivity(answer),
        retry_after=_seconds(headers.get("Retry-After", "")),
        trace_id=headers.get("X-Trace-ID"),
    )


def refusal_of_head(status: int, headers: Mapping[str, str], *, url: str) -> NoReturn:
    """Raise the ApiError of an answer to HEAD, which has no content to say more, or NotUnderstood if it is not consignee's."""
    trace_id = headers.get("X-Trace-ID")
    if trace_id is None:
        raise NotUnderstood(f"what answers at {url} with status {status} is not consignee", status=status)
    raise ApiError(
        f"the service refused it with status {status}",
        code=_CODES.get(status, "internal_error"),
        status=status,
        retry_after=_seconds(headers.get("Retry-After", "")),
        trace_id=trace_id,
    )


def parsed(content: bytes) -> dict[str, Any]:
    """Return the JSON object; raises ValueError, TypeError or RecursionError."""
    return dict(json.loads(content, parse_constant=_refused))


def object_in(line: bytes) -> dict[str, Any]:
    """Return the JSON object in a line of a stream; raises NotUnderstood."""
    try:
        return parsed(line)
    except (ValueError, TypeError, RecursionError):
        raise NotUnderstood("the service sent a line that is not JSON") from None


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of what comes in pieces, without their ends; what follows the last end is none."""
    buffer = bytearray()
    async for chunk in chunks:
        begin = len(buffer)
        buffer += chunk
        while (end := buffer.find(b"\n", begin)) >= 0:
            yield bytes(buffer[:end]).removesuffix(b"\r")
            del buffer[: end + 1]
            begin = 0
        if len(buffer) > MOST_BYTES:
            raise NotUnderstood("the service sent a line without an end")


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the name and the data of each server-sent event.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """
    name, data = "", bytearray()
    async for line in lines(chunks):
        if not line:
            if data:
                yield name or "message", bytes(data)
            name, data = "", bytearray()
        field, _, value = line.partition(b":")
        if field == b"event":
            name = value.removeprefix(b" ").decode(errors="replace")
        elif field == b"data":
            data += (b"\n" if data else b"") + value.removeprefix(b" ")
            if len(data) > MOST_BYTES:
                raise NotUnderstood("the service sent an event without an end")


def _refused(constant: str) -> float:
    raise ValueError(constant)


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _errors(found: object) -> dict[str, list[str]]:
    fields = found if isinstance(found, dict) else {}
    return {field: [*map(_text, texts)] for field, texts in fields.items() if isinstance(texts, list)}


def _connectivity(answer: Mapping[str, Any]) -> Connectivity | None:
    with suppress(NotUnderstood):
        return read(Connectivity, answer.get("connectivity"))
    return None


def _seconds(text: str) -> float | None:
    """A date, which HTTP also lets stand there, is none that consignee sends."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
