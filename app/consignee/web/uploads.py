"""Uploads: the files of a result set, from the body of a request to the disk."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from consignee.delivery.intake import Intake
from consignee.errors import InvalidRequest
from consignee.settings import LimitsSettings
from consignee.web.bodies import ask_for_body, check_strings, shown
from consignee.web.errors import BadRequest
from consignee.web.keys import SETTINGS
from consignee.web.multipart import Part, Parts, boundary_of, malformed

MULTIPART: Final = "multipart/form-data"
VALUE_BYTES: Final = 1024
WINDOW: Final = 3
"""How many times `limits.body_timeout` it takes to judge the rate of a body."""


async def no_expectation(request: web.Request) -> None:
    """Leave `Expect: 100-continue` unanswered: `receive` does that, when it is known that the body is wanted."""


def require_multipart(request: web.Request) -> str:
    """Return the boundary of a request's body; raises BadRequest."""
    if "Content-Encoding" in request.headers:
        raise BadRequest("unsupported_media_type", "A body with a Content-Encoding is not accepted: send it as it is.")
    types = request.headers.getall("Content-Type", ())
    if len(types) != 1 or request.content_type != MULTIPART:
        raise BadRequest("unsupported_media_type", f"The Content-Type must be {MULTIPART}.")
    return boundary_of(types[0])


class Pace:
    """Whether a body arrives fast enough, on the average of a window of time spent in waiting for it."""

    def __init__(self, limits: LimitsSettings) -> None:
        self._least = limits.upload_bytes_per_second
        self._window = WINDOW * limits.body_timeout
        self._size, self._waited = 0, 0.0

    def note(self, size: int, seconds: float) -> None:
        """Note what came after so long a wait; raises BadRequest."""
        self._size, self._waited = self._size + size, self._waited + seconds
        if self._waited < self._window:
            return
        if self._size < self._least * self._waited:
            raise BadRequest("request_timeout", f"Of the body arrived less than {self._least} bytes a second.")
        self._size, self._waited = 0, 0.0


async def receive(request: web.Request, intake: Intake) -> dict[str, str]:
    """Take in every file of a multipart body, and return its other fields.

    Raises BadRequest, InvalidRequest, StoreError; then the intake can't be kept.
    """
    limits = request.app[SETTINGS].limits
    parts = Parts(_chunks(request, limits), require_multipart(request))
    await intake.begin()
    await ask_for_body(request)
    fields: dict[str, str] = {}
    while (part := await parts.next()) is not None:
        if part.filename is not None:
            await intake.add(part.filename, part.chunks)
        else:
            await _add_field(fields, part, limits)
    return fields


async def _add_field(fields: dict[str, str], part: Part, limits: LimitsSettings) -> None:
    if part.name in fields:
        raise InvalidRequest({shown(part.name): ["is given more than once"]})
    if len(fields) == limits.form_fields:
        raise BadRequest("invalid_request", f"There are more than {limits.form_fields} fields.")
    fields[part.name] = await _value(part)
    check_strings({part.name: fields[part.name]})


async def _value(part: Part) -> str:
    value = bytearray()
    async for chunk in part.chunks:
        value += chunk
        if len(value) > VALUE_BYTES:
            raise InvalidRequest({shown(part.name): [f"must not be longer than {VALUE_BYTES} bytes"]})
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidRequest({shown(part.name): ["must be UTF-8"]}) from None


async def _chunks(request: web.Request, limits: LimitsSettings) -> AsyncIterator[bytes]:
    """The body as it arrives; each wait for more of it is limited, and the rate, but not the whole time."""
    pace, now = Pace(limits), asyncio.get_running_loop().time
    while True:
        asked = now()
        try:
            async with asyncio.timeout(limits.body_timeout):
                chunk = await request.content.readany()
        except TimeoutError:
            told = f"Nothing of the body arrived for {limits.body_timeout:g} seconds."
            raise BadRequest("request_timeout", told) from None
        except (web.RequestPayloadError, ConnectionError, ValueError):
            raise malformed("it was cut off") from None
        if not chunk:
            return
        pace.note(len(chunk), now() - asked)
        yield chunk
