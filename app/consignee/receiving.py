"""Connections that end: after so many bytes of one answer, and at once when they are closed.

aiohttp bounds lines and headers, and we what we read of a body, but nobody interim answers (1xx) or the size of a chunk.
"""

import asyncio
import functools
import socket
import struct
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from consignee import phases

MOST: Final = 1024 * 1024
"""Bytes of one answer, and of all interim ones before it; more than arrives before we stop reading a body that is too long."""


class CappedHandler(ResponseHandler):
    """Closes the connection when an answer becomes too long; who waits for it gets a ClientError.

    What is closed is gone: left to itself, a connection would stay for as long as the other end does not take what was written.
    """

    _left = MOST

    def set_response_params(self, **params: Any) -> None:
        """Begin with the answer to the next request."""
        self._left = MOST
        super().set_response_params(**params)

    def allow(self, length: int) -> None:
        """Let the answer that is coming be so many bytes longer: its head has come, and its content was asked for."""
        self._left += length

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._left -= len(data)
        if self._left >= 0:
            super().data_received(data)
        else:
            payload = self._payload
            self.close()
            self.set_exception(HttpProcessingError(code=502, message="The answer is too long"))
            if payload is not None:
                payload.set_exception(aiohttp.ClientPayloadError("The answer is too long"))

    def close(self) -> None:
        """Close the connection, with all that is still to be sent."""
        if self.transport is not None:
            _forget_unsent(self.transport)
            self.transport.abort()
        super().close()


def _forget_unsent(transport: asyncio.BaseTransport) -> None:
    """Have the system drop what it has not got rid of yet, which may be megabytes, with a reset."""
    found = transport.get_extra_info("socket")
    if found is not None and found.fileno() >= 0 and struct.unpack("i", ioctl(found.fileno(), TIOCOUTQ, bytes(4)))[0]:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class CappedConnector(aiohttp.TCPConnector):
    """Opens connections of which each answer is capped, and tells who watches when it does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = functools.partial(CappedHandler, loop=self._loop)  # type: ignore[assignment]

    async def _create_connection(self, *arguments: Any, **options: Any) -> ResponseHandler:
        phases.enter("connect")
        made = await super()._create_connection(*arguments, **options)
        phases.enter(None)
        return made
