"""One connection to the server: how long it may take, and what is refused before any handler sees it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

from consignee.web import answers
from consignee.web.admission import network_of
from consignee.web.connections import Connections, Refusals
from consignee.web.errors import SOON, internal, unavailable
from consignee.web.framing import problem
from consignee.web.keys import TRACE_ID

log = logging.getLogger(__name__)

_MALFORMED: Final = "The request is not well-formed HTTP."
_LARGE: Final = "The request's line or headers are too large."
_LATE: Final = "The request's headers did not arrive in time."
_PARTING_SECONDS: Final = 0.1
"""What the other end gets to take the last of what was said."""
_FULL: Final = "The service has as many connections as it takes: come back a little later."


@dataclass(frozen=True)
class Terms:
    """What a connection must keep to: seconds for a head to come and for an answer to be taken, and the bytes of a head."""

    connections: Connections
    head_seconds: float
    head_bytes: int
    answer_seconds: float
    refusals: Refusals = field(default_factory=Refusals)


class _Refused(BadHttpMessage):
    """A head that the parser let through; the message quotes nothing of it."""


class _Timer:
    """Something that is to happen once, unless it is cancelled before."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float, then: Callable[[], None]) -> None:
        """Begin to wait, if that has not begun yet."""
        if self._handle is None:
            self._handle = self._loop.call_later(seconds, self._happen, then)

    def cancel(self) -> None:
        """Wait no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _happen(self, then: Callable[[], None]) -> None:
        self._handle = None
        then()


class Connection(web.RequestHandler):
    """One connection."""

    def __init__(self, manager: web.Server, *, terms: Terms, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._terms = terms
        self._line: asyncio.Transport | None = None
        self._body: StreamReader = EMPTY_PAYLOAD
        self._head_bytes = 0
        self._unsure_bytes = 0
        self._refused = False
        self._late = _Timer(self._loop)
        self._untaken = _Timer(self._loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and begin to wait for a request."""
        self._line = cast(asyncio.Transport, transport)  # uvloop's are not made of asyncio's
        peer = transport.get_extra_info("peername")
        if self._terms.connections.open(self, network_of(peer[0] if peer else None)):
            super().connection_made(transport)
            self._await_head()
        else:
            self._end(unavailable(_FULL, retry_after=SOON))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        self._terms.connections.closed(self)
        for timer in (self._late, self._untaken):
            timer.cancel()
        super().connection_lost(exc)

    @property
    def at_work(self) -> bool:
        """Whether a request is not answered yet, or its answer is not taken."""
        waits = self._waiter is not None and not self._waiter.done()
        return not waits or (self._line is not None and self._line.get_write_buffer_size() > 0)

    async def start(self) -> None:
        """Answer requests; when there is to be none any more, the client has to take what lies here for it, or it is cut off."""
        try:
            await super().start()
        finally:
            self._terms.connections.waits(self)
            if self._line is not None and self._line.get_write_buffer_size():
                self._untaken.start(self._terms.answer_seconds, self._end)

    def make_room(self) -> None:
        """End, for another is to come in its place."""
        self._end()

    def data_received(self, data: bytes) -> None:
        """Take in what came; a head that is wrong is refused, and nothing that follows it is looked at."""
        if self._refused:
            return
        known, in_body = len(self._messages), not self._body.is_eof()
        super().data_received(data)
        if len(self._messages) > known:
            is_small = self._unsure_bytes + self._head_bytes + len(data) <= self._terms.head_bytes
            self._unsure_bytes = len(data)  # at most so many were the beginning of the next head
            self._head_came()
            self._examine(known, most_bytes=None if is_small else self._terms.head_bytes)
        elif in_body:
            self._unsure_bytes = len(data)
        elif data:
            self._head_bytes += len(data)
            self._await_head()
            if self._head_bytes > self._terms.head_bytes:
                self._end(answers.failure(400, "invalid_request", _LARGE))

    def _examine(self, known: int, *, most_bytes: int | None) -> None:
        """Look at the heads that have come, from the one with that number on."""
        for number in range(known, len(self._messages)):
            message, payload = self._messages[number]
            if isinstance(message, _ErrInfo):
                self._refused = True
                if not self._body.is_eof():
                    self._break_off_body()
            elif told := problem(message, most_bytes=most_bytes):
                self._refuse(number, told)
            else:
                self._body = payload
                self._terms.connections.works(self)
            if self._refused:
                return

    def _refuse(self, number: int, told: str) -> None:
        self._refused = True
        while len(self._messages) > number:
            self._messages.pop()
        self._messages.append((_ErrInfo(status=400, exc=_Refused(told), message=told), EMPTY_PAYLOAD))

    def _break_off_body(self) -> None:
        """What was told of the body is an answer already, or becomes one: there is no second one to the same request."""
        self._messages.pop()
        self._lingering_time = 0.0
        self.close()
        if self._current_request is not None:
            self._body.set_exception(web.RequestPayloadError("the body is not well formed"))
        else:
            self._body.feed_eof()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; then it waits for the next request, unless that is there already."""
        try:
            if resp.status in (429, 503):
                # Refusing a crowd must not take all the time there is; whoever else comes this way is not held up.
                self._terms.connections.waits(self)
                await asyncio.sleep(self._terms.refusals.wait())
            return await super().finish_response(request, resp, start_time)
        finally:
            if not self._messages:
                self._terms.connections.waits(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what never reached the application; what was sent is not echoed, for it may hold a key."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        if TRACE_ID not in request:
            request[TRACE_ID] = answers.new_trace_id()
        if status == 400:
            kind, ids = type(exc).__name__, {"request": request[TRACE_ID]}
            log.debug("malformed request from %s: %s", request.remote, kind, extra=ids)
            response = answers.failure(400, "invalid_request", _told(exc))
        else:
            response = internal(exc or RuntimeError(), request)
        answers.dress(response, request[TRACE_ID])
        response.headers["Connection"] = "close"
        response.force_close()
        return response

    def pause_writing(self) -> None:
        """Begin to wait for the client to take what lies here for it."""
        super().pause_writing()
        self._untaken.start(self._terms.answer_seconds, self._end)

    def resume_writing(self) -> None:
        """It has taken some."""
        assert self._line is not None
        if not self._line.is_closing():
            self._untaken.cancel()
        super().resume_writing()

    def _await_head(self) -> None:
        self._late.start(self._terms.head_seconds, self._head_is_late)

    def _head_came(self) -> None:
        self._head_bytes = 0
        self._late.cancel()

    def _head_is_late(self) -> None:
        if self._waiter is None:  # the one before it is still being answered
            self._await_head()
        else:
            self._end(answers.failure(408, "request_timeout", _LATE) if self._head_bytes else None)

    def _end(self, response: web.Response | None = None) -> None:
        """Close the connection, with an answer to what never became a request. Nobody is waited for."""
        assert self._line is not None
        if response is not None:
            self._line.write(_raw(response))
        self._refused = True
        self.force_close()
        self._line.close()
        if self._line.get_write_buffer_size():
            # Not at once: uvloop begins to send when this turn of the loop ends.
            self._loop.call_later(_PARTING_SECONDS, self._line.abort)


def _told(error: BaseException | None) -> str:
    if isinstance(error, _Refused):
        return error.message
    return _LARGE if isinstance(error, LineTooLong) else _MALFORMED


def _raw(response: web.Response) -> bytes:
    """Return an answer as it is sent, where there is no request that aiohttp could send it for."""
    answers.dress(response, answers.new_trace_id())
    body = response.body
    assert isinstance(body, bytes)
    response.headers.update({"Content-Length": str(len(body)), "Connection": "close"})
    lines = [f"HTTP/1.1 {response.status} {response.reason}", *(": ".join(one) for one in response.headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
