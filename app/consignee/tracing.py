"""What a session of the application around us sees of our requests: its trace configs, told what is no secret.

Our connections are always our own, or nobody would check where they lead. All that is taken from another session is who listens:
they hear the method, the origin and the status; not the path, the query, the headers or the content, for these hold names of
customers' buckets and files, tokens of webhooks, and signatures.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from consignee.errors import SettingsError

log = logging.getLogger(__name__)

_Listener = Callable[[aiohttp.ClientSession, SimpleNamespace, Any], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Answered:
    """What is told of an answer, in place of a ClientResponse."""

    method: str
    url: URL
    status: int
    reason: str | None
    version: aiohttp.HttpVersion | None
    headers: CIMultiDictProxy[str] = field(default_factory=lambda: CIMultiDictProxy(CIMultiDict()))


class Untold(Exception):
    """Stands for what went wrong with a request, by the name of its type alone: nobody knows what its text holds."""


def listeners(session: aiohttp.ClientSession | None) -> Sequence[aiohttp.TraceConfig]:
    """Return the trace configs for our own sessions; raises SettingsError for a session with what can't be carried over."""
    if session is None:
        return ()
    if not isinstance(session, aiohttp.ClientSession):
        raise SettingsError(f"session must be an aiohttp.ClientSession, not {type(session).__name__}")
    for what, instead in _foreign(session):
        raise SettingsError(
            f"session has {what}, but consignee opens its own connections, each of which it checks, and takes only the "
            f"trace_configs from a session: {instead}"
        )
    return [_listener(session, config) for config in session.trace_configs]


def _foreign(session: aiohttp.ClientSession) -> list[tuple[str, str]]:
    """Return what would make requests take another way, with what to do about it."""
    connector = session.connector
    found = {
        ("a proxy", "set egress.proxy"): session._default_proxy is not None,
        ("trust_env", "set egress.proxy"): session.trust_env,
        ("middlewares", "give a session without them"): bool(session._middlewares),
        ("a TLS context", "set egress.ca_file"): getattr(connector, "_ssl", True) is not True,
        ("a connector of another kind", "give a session without it"): type(connector)
        not in (aiohttp.TCPConnector, type(None)),
    }
    return [told for told, there in found.items() if there]


def _listener(session: aiohttp.ClientSession, theirs: aiohttp.TraceConfig) -> aiohttp.TraceConfig:
    """Return what passes on to a trace config what it may hear."""
    ours = aiohttp.TraceConfig(trace_config_ctx_factory=partial(_context, theirs))  # type: ignore[arg-type]
    for name, told in _TOLD.items():
        heard = getattr(theirs, name)
        if heard:
            getattr(ours, name).append(_passing(session, heard, told))
    return ours


def _context(theirs: aiohttp.TraceConfig, trace_request_ctx: Any = None) -> Any:
    """Return what they keep of one request: their own, or nothing if they can't say."""
    try:
        return theirs.trace_config_ctx(trace_request_ctx)
    except Exception as error:
        log.error("a trace config failed", exc_info=error)
        return SimpleNamespace(trace_request_ctx=trace_request_ctx)


def _passing(session: aiohttp.ClientSession, heard: Any, told: Callable[[Any], Any]) -> _Listener:
    async def passed(_: aiohttp.ClientSession, context: SimpleNamespace, parameters: Any) -> None:
        try:
            await heard.send(session, context, told(parameters))
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            log.error("a trace config failed", exc_info=error)

    return passed


def _is_cancelled() -> bool:
    """Whether our own task is; else it was one that the trace config waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _origin(url: URL) -> URL:
    return url.origin() if url.is_absolute() else URL()


def _start(seen: aiohttp.TraceRequestStartParams) -> aiohttp.TraceRequestStartParams:
    return aiohttp.TraceRequestStartParams(seen.method, _origin(seen.url), CIMultiDict())


def _end(seen: aiohttp.TraceRequestEndParams) -> aiohttp.TraceRequestEndParams:
    url, answer = _origin(seen.url), seen.response
    answered: Any = Answered(seen.method, url, answer.status, answer.reason, answer.version)
    return aiohttp.TraceRequestEndParams(seen.method, url, CIMultiDict(), answered)


def _exception(seen: aiohttp.TraceRequestExceptionParams) -> aiohttp.TraceRequestExceptionParams:
    name = type(seen.exception).__name__
    return aiohttp.TraceRequestExceptionParams(seen.method, _origin(seen.url), CIMultiDict(), _untold(name)(name))


@lru_cache(maxsize=64)
def _untold(name: str) -> type[Untold]:
    """Return the class of that name, for many a listener counts by it."""
    return type(name, (Untold,), {})


def _same(seen: Any) -> Any:
    return seen


_TOLD: Final[dict[str, Callable[[Any], Any]]] = {
    "on_request_start": _start,
    "on_request_end": _end,
    "on_request_exception": _exception,
    "on_connection_queued_start": _same,
    "on_connection_queued_end": _same,
    "on_connection_create_start": _same,
    "on_connection_create_end": _same,
    "on_connection_reuseconn": _same,
    "on_dns_resolvehost_start": _same,
    "on_dns_resolvehost_end": _same,
    "on_dns_cache_hit": _same,
    "on_dns_cache_miss": _same,
}
"""What is passed on, and as what; of redirects there are none, and the pieces of a body are a customer's files."""
