"""Telling a customer's webhook of a completed result set: one signed request, and what became of it."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

from consignee.clock import seconds_until
from consignee.delivery.signature import headers
from consignee.errors import EndpointRefused, EndpointUnreachable, NotAStorageService, RedirectRefused
from consignee.secret import Secret
from consignee.transport import network_failure

TIMEOUT: Final = 15.0
"""Seconds for all of it, from the name's resolution to the status of the answer."""

REFUSED: Final = "webhook_refused"
"""The code of any answer but success and redirects."""

_RESULT_SET: Final = ("id", "started_at", "ended_at", "download_links", "destination_status")
_PERMANENT: Final = (EndpointRefused.code, RedirectRefused.code)
_GONE: Final = 410


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of one attempt; `status` and `code` are None where there was no answer, or nothing failed.

    It took `ms` milliseconds. If it failed and is `transient`, the same may work later, if asked for after `retry_after` seconds.
    """

    ok: bool
    status: int | None = None
    code: str | None = None
    ms: int = 0
    retry_after: float | None = None
    transient: bool = False


def payload(collection_id: str, collection_name: str, result_set: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message that a result set is complete; of `result_set` it tells only what it is meant to."""
    return {
        "request_info": {"success": True, "type": "collection_resultset_completed"},
        "collection": {"id": collection_id, "name": collection_name},
        "result_set": {name: result_set[name] for name in _RESULT_SET},
    }


async def send(
    session: aiohttp.ClientSession,
    url: str,
    secret: Secret,
    *,
    id: str,  # noqa: A002
    timestamp: int,
    content: Mapping[str, Any],
    timeout: float = TIMEOUT,
    clock: Callable[[], float] = time.monotonic,
) -> Sent:
    """Post the content as JSON, signed, and return what became of it, whatever the other side does.

    The session is a guarded one. `timestamp` is now, in seconds since 1970; `id` is the message's own at every attempt.
    """
    body = json.dumps(content, separators=(",", ":")).encode()
    named = {"Content-Type": "application/json", **headers(secret, id=id, timestamp=timestamp, body=body)}
    began = clock()
    try:
        async with asyncio.timeout(timeout):
            status, wait = await _post(session, url, named, body)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        code = _code(error)
        return Sent(ok=False, code=code, ms=_since(began, clock), transient=code not in _PERMANENT)
    return _judged(status, ms=_since(began, clock), retry_after=seconds_until(wait, now=timestamp))


async def _post(session: aiohttp.ClientSession, url: str, named: Mapping[str, str], body: bytes) -> tuple[int, str]:
    """Return the status and the Retry-After. The answer's body is not read: where one follows, the connection is closed."""
    async with session.post(URL(url, encoded=True), data=body, headers=named, allow_redirects=False) as response:
        return response.status, response.headers.get("Retry-After", "")


def _code(error: Exception) -> str:
    failure = network_failure(error)
    return EndpointUnreachable.code if isinstance(failure, NotAStorageService) else failure.code


def _judged(status: int, *, ms: int, retry_after: float | None) -> Sent:
    """Every refusal is repeated, as the specification advises, but for a redirect and for Gone, which asks us to stop."""
    if 200 <= status < 300:
        return Sent(ok=True, status=status, ms=ms)
    code = RedirectRefused.code if 300 <= status < 400 else REFUSED
    transient = code not in _PERMANENT and status != _GONE
    return Sent(ok=False, status=status, code=code, ms=ms, retry_after=retry_after, transient=transient)


def _since(began: float, clock: Callable[[], float]) -> int:
    return round((clock() - began) * 1000)
