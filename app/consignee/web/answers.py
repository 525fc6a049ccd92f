"""The envelope that every answer comes in."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from consignee.rates import Quota
from consignee.web.keys import BEGUN, QUOTA, TRACE_ID


def encode(content: Mapping[str, Any]) -> bytes:
    """Return JSON as it is sent."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def success(content: Mapping[str, Any] | None = None, *, message: str | None = None) -> web.Response:
    """Return a successful answer."""
    info: dict[str, Any] = {"success": True}
    if message is not None:
        info["message"] = message
    return _response(200, {"request_info": info, **(content or {})})


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
    return secrets.token_hex(16)


def dress(response: web.StreamResponse, trace_id: str) -> None:
    """Add the headers that every answer carries."""
    response.headers["X-Trace-ID"] = trace_id
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "consignee"


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
