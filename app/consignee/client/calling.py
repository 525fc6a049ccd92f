"""Requests to the service, and its answers: sent with the key, and again where that is safe."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from consignee.client.errors import ClientError, NotUnderstood, Unreachable
from consignee.client.retries import Retries, may_have_begun, may_repeat
from consignee.client.understanding import MOST_BYTES, refusal_of_head, understood
from consignee.secret import Secret

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=300.0)
"""Seconds for a connection, and for more of an answer; the whole may take any time."""

_Made = TypeVar("_Made")


class Body(Protocol):
    """What is sent that is no JSON; `failure` is why it could not be read to its end, if so."""

    failure: Exception | None

    @property
    def again(self) -> bool:
        """Whether it can be sent once more."""

    def payload(self) -> aiohttp.MultipartWriter:
        """Return it from its beginning."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request. With a `key`, it is carried out once however often it is made."""

    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    content: Mapping[str, object] | None = None
    body: Body | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    patient: bool = True
    """Whether it is worth another try."""

    @property
    def safe(self) -> bool:
        """Whether it does no harm to make it again without knowing what became of it."""
        return self.method in ("GET", "HEAD") or self.key is not None

    @property
    def again(self) -> bool:
        """Whether it can be made again at all."""
        return self.patient and (self.body is None or (self.body.again and self.body.failure is None))

    @property
    def target(self) -> str:
        """The path with the query; what is None is left out."""
        given = {name: _spelled(value) for name, value in self.query.items() if value is not None}
        return f"{self.path}?{urlencode(given)}" if given else self.path


def path(*parts: str | int) -> str:
    """Return the path of these parts, each of them one; raises ValueError for what can't be a part."""
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError("an id or a name must not be empty, . or ..")
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _revealed(value: object) -> object:
    """Secrets may be given as such, and fields as any mapping."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} can't be sent as JSON")


class Caller:
    """Makes requests to the service at `url`; each answer that is none of success is raised."""

    def __init__(self, url: str, key: Secret, *, retries: Retries, new_key: Callable[[], str]) -> None:
        self.url = url
        self.retries = retries
        self.new_key = new_key
        self.session: aiohttp.ClientSession | None = None
        self._key = key

    async def ask(self, call: Call) -> dict[str, Any]:
        """Return the answer; raises ClientError."""

        async def once() -> dict[str, Any]:
            async with await self._send(call) as response:
                content = await self._content(response)
                return understood(response.status, response.headers, content, url=self.url)

        return await self._repeated(call, once)

    @asynccontextmanager
    async def opened(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield a successful answer that is yet to be read; raises ClientError."""

        async def once() -> aiohttp.ClientResponse:
            response = await self._send(call)
            if response.status not in (200, 206):
                async with response:
                    if call.method == "HEAD":
                        refusal_of_head(response.status, response.headers, url=self.url)
                    content = await self._content(response)
                    understood(response.status, response.headers, content, url=self.url)
            return response

        async with await self._repeated(call, once) as response:
            try:
                yield response
            except BaseException:
                response.close()  # what is left of it is not waited for
                raise

    async def chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield the content of an answer as it comes; raises Unreachable if it breaks off."""
        while chunk := await self.guarded(response.content.readany()):
            yield chunk

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        """Return an answer, which is refused while it comes if it grows too long, also by being unpacked."""
        content = bytearray()
        async for chunk in self.chunks(response):
            content += chunk
            if len(content) > MOST_BYTES:
                response.close()
                raise NotUnderstood("the service sent an answer that is too long", status=response.status)
        return bytes(content)

    async def guarded(self, waiting: Awaitable[_Made]) -> _Made:
        """Return what is awaited; raises Unreachable for anything that goes wrong on the way."""
        try:
            return await waiting
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
        # Raised out here: what aiohttp raised leads to the headers of the request, and so to the key.
        raise Unreachable(f"the service at {self.url} can't be reached, or broke off: {why}")

    async def _repeated(self, call: Call, once: Callable[[], Awaitable[_Made]]) -> _Made:
        number, begun = 0, False
        while True:
            try:
                return await once()
            except ClientError as error:
                wait = self._wait(call, error, number, begun=begun)
                if wait is None:
                    raise
                number, begun = number + 1, begun or may_have_begun(error)
            await self.retries.sleep(wait)

    def _wait(self, call: Call, error: ClientError, number: int, *, begun: bool) -> float | None:
        error.idempotency_key = call.key
        if not (call.again and may_repeat(error, safe=call.safe, begun=begun)):
            return None
        return self.retries.wait(number, error.retry_after)

    async def _send(self, call: Call) -> aiohttp.ClientResponse:
        try:
            return await self.guarded(self._request(call))
        except Unreachable:
            if call.body is not None and call.body.failure is not None:
                raise call.body.failure from None
            raise

    async def _request(self, call: Call) -> aiohttp.ClientResponse:
        """Redirects would get to see the key: none is followed."""
        if self.session is None:
            raise RuntimeError("the client is not open: use it in `async with`, or give it a session")
        headers = {"Authorization": f"Bearer {self._key.reveal()}", **call.headers}
        if call.key is not None:
            headers[IDEMPOTENCY_KEY] = call.key
        data: object = call.body.payload() if call.body is not None else None
        if call.content is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(call.content, default=_revealed).encode()
        return await self.session.request(
            call.method,
            URL(self.url + call.target, encoded=True),
            headers=headers,
            data=data,
            allow_redirects=False,
            raise_for_status=False,
            timeout=TIMEOUT,
            middlewares=(_once,),
        )


class _BrokenOff(aiohttp.ClientConnectionError):
    """A connection that broke after the request may have been received."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.strerror = getattr(error, "strerror", None) or type(error).__name__


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp would make a PUT or a DELETE again by itself, and then tell that what it has deleted is not there."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenOff(error) from None
