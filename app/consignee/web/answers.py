"""The envelope that every answer comes in."""

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.hdrs import METH_HEAD
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import StreamWriter
from multidict import CIMultiDict

from consignee.rates import Quota
from consignee.web.keys import BEGUN, QUOTA, TRACE_ID

TRACE: Final = "X-Trace-ID"
"""The header with the id of the request."""
_EVERY: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "consignee"}
"""The headers that are the same in every answer."""

_TO_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def encode(content: Mapping[str, Any]) -> bytes:
    """Return JSON as it is sent."""
    return _TO_JSON(content).encode()


def enclose(content: bytes) -> bytes:
    """Return the body of a successful answer with that content: members of an object, encoded."""
    return b'{"request_info":{"success":true},%b}' % content


class Ready(web.Response):
    """A successful answer. Where nobody else has a say in its headers, it is sent in one piece, of parts that lie ready."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body=body, headers=_JSON)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the headers, and the body too where that can be; raises ConnectionError."""
        writer, body = request._payload_writer, self._body
        if not (isinstance(writer, StreamWriter) and isinstance(body, bytes) and self._is_plain(request)):
            return await super().prepare(request)
        trace_id = self._headers[TRACE] = request.get(TRACE_ID) or new_trace_id()
        writer._writelines((_head(len(body), trace_id, request.get(QUOTA)), body))
        self._keep_alive, self._eof_sent, self._body_length = True, True, writer.output_size
        await writer.drain()
        return writer

    def _is_plain(self, request: web.BaseRequest) -> bool:
        """Whether nothing was added to it, the connection stays, and no application around ours looks at what goes out."""
        return (
            not self.prepared
            and self._keep_alive is None
            and self._status == 200
            and self._reason == "OK"
            and self._headers == _JSON
            and not (self._cookies or self._compression or self._chunked)
            and request.keep_alive
            and request.version == HttpVersion11
            and request.method != METH_HEAD
            and isinstance(request, web.Request)
            and len(apps := request.match_info.apps) == 1
            and len(apps[0].on_response_prepare) == 1
        )


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


_JSON: Final = CIMultiDict({"Content-Type": "application/json; charset=utf-8"})
_OURS: Final = _lines({**_JSON, "Content-Length": "{}", TRACE: "{}", **_EVERY})
_HEAD: Final = f"HTTP/1.1 200 OK\r\n{_OURS}{{}}Date: {{}}\r\n\r\n"


def _head(length: int, trace_id: str, quota: Quota | None) -> bytes:
    more = "" if quota is None else _lines(_quota_headers(quota))
    return _HEAD.format(length, trace_id, more, rfc822_formatted_time()).encode()


def success(content: Mapping[str, Any] | None = None, *, message: str | None = None) -> web.Response:
    """Return a successful answer."""
    info: dict[str, Any] = {"success": True}
    if message is not None:
        info["message"] = message
    return Ready(encode({"request_info": info, **(content or {})}))


def failure(
    status: int,
    code: str,
    message: str,
    *,
    content: Mapping[str, Any] | None = None,
    info: Mapping[str, Any] | None = None,
    retry_after: int | None = None,
) -> web.Response:
    """Return a failed answer: `message` is one sentence for a person, `code` a word for programs."""
    request_info = {"success": False, "code": code, "message": message, **(info or {})}
    response = _response(status, {"request_info": request_info, **(content or {})})
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _response(status: int, content: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, body=encode(content), content_type="application/json", charset="utf-8")


def new_trace_id() -> str:
    """Return an id for one request."""
    return os.urandom(16).hex()


def dress(response: web.StreamResponse, trace_id: str) -> None:
    """Add the headers that every answer carries."""
    response.headers[TRACE] = trace_id
    response.headers.update(_EVERY)


async def dress_response(request: web.Request, response: web.StreamResponse) -> None:
    """The application's signal that does it before an answer goes out."""
    request[BEGUN] = response
    dress(response, request.get(TRACE_ID) or new_trace_id())
    if (quota := request.get(QUOTA)) is not None:
        response.headers.update(_quota_headers(quota))


def _quota_headers(quota: Quota) -> dict[str, str]:
    """https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/10/"""
    return {
        "RateLimit-Policy": f'"{quota.name}";q={quota.most};w={quota.window}',
        "RateLimit": f'"{quota.name}";r={quota.left};t={quota.full_in}',
    }
