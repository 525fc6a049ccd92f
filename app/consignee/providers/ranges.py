"""Sections of objects: how one is asked for, and what comes (RFC 9110, section 14); what the providers share."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from consignee.errors import NotAStorageService
from consignee.providers.base import Missing
from consignee.transport import Answer, Arrival

_TOLD: Final = re.compile(r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)")


def asked(start: int, length: int) -> dict[str, str]:
    """Return the header that asks for so many bytes from there."""
    return {"Range": f"bytes={start}-{start + length - 1}"}


def is_beyond(answer: Answer) -> bool:
    """Whether a refusal says that the object ends before what was asked for."""
    return answer.status == 416


async def section(arrival: Arrival, start: int, length: int) -> AsyncGenerator[bytes, None]:
    """Yield exactly what was asked for. Raises Missing if the object ends before, NotAStorageService for something else."""
    _check(arrival, start)
    left = length
    async with aclosing(arrival.pieces()) as pieces:
        async for piece in pieces:
            wanted = piece[:left]
            left -= len(wanted)
            if wanted:
                yield wanted
            if not left:
                return
    raise Missing


def _check(arrival: Arrival, start: int) -> None:
    """The whole object may come in place of its beginning."""
    told = _TOLD.fullmatch(arrival.headers.get("Content-Range", ""))
    begins = int(told[1]) if arrival.status == 206 and told else (0 if arrival.status == 200 else None)
    if begins != start:
        raise NotAStorageService("The endpoint does not give the section of an object that it was asked for.")
