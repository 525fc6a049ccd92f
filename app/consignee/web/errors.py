"""From what was raised to what is answered: the one place that knows both."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from consignee.errors import (
    ConsigneeError,
    InvalidRequest,
    MissingExtra,
    OutcomeUnknown,
    RateLimited,
    StoreFull,
    VerificationFailed,
)
from consignee.subject import SUBJECT
from consignee.web import answers
from consignee.web.concerns import concerns
from consignee.web.keys import BEGUN, QUOTA, TRACE_ID
from consignee.web.streams import cut_off

log = logging.getLogger(__name__)

STATUS: Final[Mapping[str, int]] = {
    "invalid_request": 400,
    "invalid_json": 400,
    "limit_reached": 400,
    "unauthorized": 401,
    "not_found": 404,
    "request_timeout": 408,
    "conflict": 409,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "idempotency_key_reused": 422,
    "rate_limited": 429,
    "internal_error": 500,
    "unavailable": 503,
}
"""The HTTP status of each code that is not a connectivity test's; those are all 400."""

RETRY_AFTER: Final = 5
SOON: Final = 1
"""Seconds after which to come back when the service is unavailable, and when it only has too much to do."""

_HOSTS: Final[Mapping[int, str]] = {
    401: "unauthorized",
    403: "unauthorized",
    404: "not_found",
    429: "rate_limited",
}
"""The codes of what the application around this one refuses; others are `invalid_request`, and from 500 `unavailable`."""

UNAVAILABLE: Final = "The service can't do this at the moment; nothing was changed."
MISSING: Final = (
    "The service can't reach destinations of this type yet; nothing was changed. Its operator has to run: "
    "pip install 'consignee[{}]'"
)
FULL: Final = "There is no room left on the service's disk; nothing was changed. Reading and deleting still work."
UNKNOWN: Final = (
    "The service lost its database while that made the change, which may be there or not: look, or repeat the request with"
    " the same Idempotency-Key."
)

_OF_BODY: Final = frozenset({"Content-Type", "Content-Length"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Busy(ConsigneeError):
    """Too many requests are under way; nothing was done."""

    code = "unavailable"


class BadRequest(ConsigneeError):
    """A request that can't be understood; `code` is one of STATUS."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]


class Refused(Exception):
    """What the application around this one answers in place of an account; only its own `authenticate` can."""

    def __init__(self, answer: web.HTTPException) -> None:
        super().__init__(answer.status)
        self.answer = answer


@web.middleware
async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever a handler raises as JSON, and never with more than it may say; one that has begun is cut off."""
    request[TRACE_ID] = id_ = answers.new_trace_id()
    SUBJECT.set({"request": id_})
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 - the last resort; it is logged
        if (begun := request.get(BEGUN)) is not None:
            return _broken_off(error, request, begun)
        return _answered(error, request)


def _answered(error: Exception, request: web.Request) -> web.Response:
    if isinstance(error, ConsigneeError):
        return answer(error, request)
    if isinstance(error, Refused):
        return _closing(_from_host(error.answer), request)
    return from_http(error) if isinstance(error, web.HTTPException) else internal(error, request)


def _broken_off(error: Exception, request: web.Request, begun: web.StreamResponse) -> web.StreamResponse:
    """No second answer may follow the beginning of the first one."""
    ids = concerns(request)
    if isinstance(error, ConnectionError):
        log.debug("a client went away before the end of its answer", extra=ids)
    elif isinstance(error, ConsigneeError):
        log.error("an answer was cut off: %s", error, extra=ids)
    else:
        log.error("an answer was cut off by an internal error", exc_info=error, extra=ids)
    cut_off(request)
    return begun


def answer(error: ConsigneeError, request: web.Request) -> web.Response:
    """Return the answer to something that was raised on purpose."""
    if isinstance(error, VerificationFailed):
        content = {"connectivity_problem": True, "connectivity": error.report.to_json()}
        return answers.failure(400, error.code, str(error), content=content)
    if error.code == "internal_error":
        return internal(error, request)
    if isinstance(error, Busy):
        return _closing(unavailable(str(error), retry_after=SOON), request)
    if error.code == "unavailable":
        log.error("%s", error, extra=concerns(request))
        return unavailable(_told(error))
    response = answers.failure(
        STATUS[error.code], error.code, str(error), content=_errors(error), retry_after=_retry_after(error, request)
    )
    return _closing(response, request)


def _told(error: ConsigneeError) -> str:
    """Return what may be said of the reason why something is unavailable."""
    if isinstance(error, MissingExtra):
        return MISSING.format(error.extra)
    if isinstance(error, OutcomeUnknown):
        return UNKNOWN
    return FULL if isinstance(error, StoreFull) else UNAVAILABLE


def _closing(response: web.Response, request: web.Request) -> web.Response:
    """The rest of the body is not waited for; in a multipart body that may be any amount."""
    if response.status in (408, 413) or request.content_type.startswith("multipart/"):
        response.force_close()
    return response


def _errors(error: ConsigneeError) -> Mapping[str, Any] | None:
    return {"errors": error.errors} if isinstance(error, InvalidRequest) and error.errors else None


def _retry_after(error: ConsigneeError, request: web.Request) -> int | None:
    if not isinstance(error, RateLimited):
        return None
    if error.quota is not None:
        request[QUOTA] = error.quota
    return error.retry_after


def from_http(error: web.HTTPException) -> web.Response:
    """Return the answer to what aiohttp itself refuses: a wrong verb is like a wrong path."""
    if error.status in (404, 405):
        return answers.failure(404, "not_found", "There is nothing at this address for this method.")
    if error.status == 413:
        return answers.failure(413, "payload_too_large", "The body is too large.")
    return answers.failure(400, "invalid_request", "The request is not understood.")


def _from_host(error: web.HTTPException) -> web.Response:
    """What it raised, with its status, headers and cookies; a refusal has our envelope, a redirect no body."""
    if error.status < 400:
        response = web.Response(status=error.status, reason=error.reason)
    else:
        code = _HOSTS.get(error.status, "invalid_request" if error.status < 500 else "unavailable")
        response = answers.failure(error.status, code, error.reason)
    response.headers.extend((name, value) for name, value in error.headers.items() if name not in _OF_BODY)
    response.cookies.update(error.cookies)
    return response


def internal(error: BaseException, request: web.BaseRequest) -> web.Response:
    """Return the answer to a fault of our own: it says nothing of the inside."""
    trace_id = request.get(TRACE_ID, "")
    log.error("internal error", exc_info=error, extra=concerns(request))
    message = "An internal error; the operator finds it in the log under the request's id."
    return answers.failure(500, "internal_error", message, info={"trace_id": trace_id})


def unavailable(message: str = UNAVAILABLE, *, retry_after: int = RETRY_AFTER) -> web.Response:
    """Return the answer when the store can't take it, there is too much to do, or the service is stopping."""
    return answers.failure(503, "unavailable", message, retry_after=retry_after)
