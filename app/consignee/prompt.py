"""Requests whose content is small and in memory: written at once, together with their headers.

aiohttp would have a task of its own write the content, which costs more than writing it, and a turn of the loop.
"""

from typing import Final

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import StreamWriter
from aiohttp.payload import BytesPayload

MOST: Final = 32 * 1024
"""Bytes of content; with as many again of headers, a loop takes them without a wait, for which it has a writer above 64 KiB."""


class PromptRequest(aiohttp.ClientRequest):
    """A request that is sent by the time that it waits for its answer, if its content is small."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Send it, and return the response to come."""
        body, protocol = self._body, conn.protocol
        small = isinstance(body, BytesPayload) and (body.size or 0) <= MOST
        if protocol is None or protocol.writing_paused or not small or self._is_special():
            return await super().send(conn)
        writer = StreamWriter(protocol, self.loop)
        await writer.write_headers(f"{self.method} {self.url.raw_path_qs} HTTP/1.1", self.headers)
        await self.write_bytes(writer, conn)
        return self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=self._traces,
            loop=self.loop,
            session=self._session,
            stream_writer=writer,
        )

    def _is_special(self) -> bool:
        """Whether there is more to it than a line, headers and content on a connection of its own."""
        plain_proxy = self.proxy is not None and not self.is_ssl()
        return bool(plain_proxy or self._traces or self.chunked or self.compress or self._continue is not None)
