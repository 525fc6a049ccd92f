"""The one way to a customer's storage: signed requests through the guarded session, and network errors as our own.

Redirects are never followed. An answer's body is read up to a limit; what a provider needs from it fits.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from consignee import egress, phases, proxy
from consignee.body import Body
from consignee.errors import (
    EndpointRefused,
    EndpointUnreachable,
    NotAStorageService,
    ProviderFailure,
    TimedOut,
    TlsFailed,
)
from consignee.passage import Passage
from consignee.phases import Trace
from consignee.receiving import CappedHandler

__all__ = [
    "ANSWER_BYTES",
    "IDLE_SECONDS",
    "LEAST_RATE",
    "Answer",
    "Arrival",
    "Parts",
    "Trace",
    "Transport",
    "network_failure",
]

ANSWER_BYTES: Final = 64 * 1024
IDLE_SECONDS: Final = 60.0
LEAST_RATE: Final = 1000


@dataclass(frozen=True)
class Answer:
    """What a storage answered: the headers' names in any case, the body cut after 64 KiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Arrival:
    """An answer of which only the head has come. Its content is read once, in one of two ways, which raise a ProviderFailure."""

    def __init__(self, response: aiohttp.ClientResponse, *, most: int, idle: float, least: float) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._most = most
        self._idle = idle
        self._least = least

    async def answer(self) -> Answer:
        """Return it with the beginning of its content, as of a refusal."""
        try:
            async with asyncio.timeout(self._idle):
                return Answer(self.status, self.headers, await _beginning(self._response))
        except _BREAKS as error:
            raise network_failure(error) from None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the content as it comes, in pieces of any size; the time that is spent with them does not count."""
        if (connection := self._response.connection) and isinstance(connection.protocol, CappedHandler):
            connection.protocol.allow(self._most)
        now, left, gone = asyncio.get_running_loop().time, self._idle, 0
        while True:
            asked = now()
            try:
                async with asyncio.timeout(min(self._idle, left)):
                    piece = await self._response.content.readany()
            except _BREAKS as error:
                raise network_failure(error) from None
            if not piece:
                return
            gone += len(piece)
            left += len(piece) / self._least - (now() - asked) if self._least else 0.0
            yield piece


@dataclass(frozen=True)
class Parts:
    """How large bodies are sent: those above `threshold` bytes in parts of at least `size` bytes, `at_once` of them together."""

    threshold: int = 16 * 1024 * 1024
    size: int = 16 * 1024 * 1024
    at_once: int = 4
    tries: int = 3
    """How often a part is sent, before the whole upload fails."""
    pause: float = 0.5
    """Seconds before the second try of a part; twice as many before each further one."""


Kept = TypeVar("Kept")
_BREAKS: Final = (aiohttp.ClientError, OSError, ValueError)
"""What the HTTP client raises when a request fails."""
_UNTIMED: Final = aiohttp.ClientTimeout(total=None)
_KEPT: Final[WeakKeyDictionary[aiohttp.ClientSession, dict[Any, Any]]] = WeakKeyDictionary()


class Transport:
    """Sends the requests of one opened bucket. `endpoint_url` is the operator's own for its type, or empty.

    `idle` is how many seconds may pass without any progress of the request, and then until the whole answer is there; from
    then on, the body must have gone out at `least` bytes a second on the average (0: at any rate).
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        endpoint_url: str = "",
        trace: Trace | None = None,
        parts: Parts = Parts(),
        idle: float = IDLE_SECONDS,
        least: float = LEAST_RATE,
    ) -> None:
        self._session = session
        self.endpoint_url = endpoint_url
        self.parts = parts
        self._trace = trace
        self._idle = idle
        self._least = least

    @property
    def proving(self) -> bool:
        """Whether this is for a connectivity test, which must not lean on what an earlier request was granted."""
        return self._trace is not None

    def lasting(self, make: Callable[[], Kept]) -> Kept:
        """Return what `make` returned when it was first asked for with this session: it lives as long as the service does."""
        kept = _KEPT.setdefault(self._session, {})
        if make not in kept:
            kept[make] = make()
        found: Kept = kept[make]
        return found

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Body | None = None,
        patience: float | None = None,
    ) -> Answer:
        """Send one request, as it is, and return the answer; the body's length is added to the headers if it is missing.

        With `patience`, the answer may take that many seconds, as long as some of it comes before each idle limit.
        Raises a ProviderFailure if there is no answer; what reading the body raises is raised as it is.
        """
        passage = Passage(body, idle=patience or self._idle, least=self._least)
        timeout = _timeout(self._idle, self._idle if patience else None)
        phases.watch(self._trace)
        try:
            async with passage.limit:
                response = await self._session.request(
                    method,
                    URL(url, encoded=True),
                    headers=passage.headers(headers),
                    data=passage.payload(),
                    allow_redirects=False,
                    timeout=timeout,
                )
                answer = Answer(response.status, response.headers, await _beginning(response))
        except _BREAKS as error:
            if passage.broken is None:
                # Others quote the URL or what was answered, and both may hold what is secret.
                raise network_failure(error) from (error if isinstance(error, aiohttp.ClientConnectorError) else None)
        finally:
            if passage.in_pieces:
                await passage.end()
        if passage.broken is not None:
            raise passage.broken
        return answer

    @asynccontextmanager
    async def fetch(self, url: str, *, headers: Mapping[str, str], most: int) -> AsyncIterator[Arrival]:
        """Yield the answer to a GET, of which at most that much content is awaited; raises a ProviderFailure if there is none.

        It is waited for as long as the idle limit, and for its content on the average no longer than the least rate takes.
        Left early, the connection is closed.
        """
        phases.watch(self._trace)
        ask = self._session.get(URL(url, encoded=True), headers=headers, allow_redirects=False, timeout=_UNTIMED)
        try:
            async with asyncio.timeout(self._idle):
                response = await ask
        except _BREAKS as error:
            raise network_failure(error) from (error if isinstance(error, aiohttp.ClientConnectorError) else None)
        try:
            yield Arrival(response, most=most, idle=self._idle, least=self._least)
        finally:
            response.close()


@lru_cache
def _timeout(connect: float, between: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=between)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    if response.closed and response.connection is None:
        # All of a short answer has come with its headers, and the connection is free again.
        return response.content.read_nowait(ANSWER_BYTES)
    async with response:
        read = bytearray()
        while len(read) < ANSWER_BYTES:
            chunk = await response.content.read(ANSWER_BYTES - len(read))
            if not chunk:
                return bytes(read)
            read += chunk
        response.close()
        return bytes(read)


def network_failure(error: Exception) -> ProviderFailure:
    """Return our own error for what the network or the HTTP client reported; its text is never passed on."""
    if egress.refused(error):
        return EndpointRefused("The endpoint leads to an address that this service may not connect to.")
    if failed := proxy.failure(error):
        return failed
    for kind, failure in _NETWORK.items():
        if isinstance(error, kind):
            return failure(error)
    return EndpointUnreachable("The connection to the storage broke.")


def _certificate(error: Exception) -> ProviderFailure:
    inner = error.__cause__
    code = inner.verify_code if isinstance(inner, ssl.SSLCertVerificationError) else 0
    return TlsFailed(f"The certificate of the endpoint can't be trusted: {_CERTIFICATES.get(code, 'it is not valid')}.")


_CERTIFICATES: Final = {
    10: "it has expired",
    18: "it is self-signed",
    19: "its issuer is unknown",
    20: "its issuer is unknown",
    62: "it is for another name",
    64: "it is for another address",
}
"""OpenSSL's X509_V_ERR_* numbers (openssl/x509_vfy.h)."""

_NETWORK: Final[Mapping[type[BaseException], Callable[[Exception], ProviderFailure]]] = {
    aiohttp.ClientConnectorDNSError: lambda _: EndpointUnreachable("The host name of the endpoint was not found."),
    aiohttp.ClientConnectorCertificateError: _certificate,
    aiohttp.ClientSSLError: lambda _: TlsFailed("The endpoint does not speak TLS as it should."),
    TimeoutError: lambda _: TimedOut("The storage did not answer in time."),
    aiohttp.ClientConnectorError: lambda _: EndpointUnreachable("Nobody accepts connections at the endpoint."),
    aiohttp.ClientResponseError: lambda _: NotAStorageService("The endpoint answered with something that is not HTTP."),
    aiohttp.InvalidURL: lambda _: EndpointUnreachable("The endpoint is not a valid address."),
}
"""Tried in this order: the first class that the error is an instance of decides."""
