"""The operator's forward proxy: all that customers name goes through it, and nothing else is dialled.

Over https it only ever passes on what it can't read: CONNECT, then TLS from end to end (RFC 9110, 9.3.6). It is the proxy that
resolves names then, so which addresses they may lead to is for its own rules to say.
"""

import base64
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from consignee import egress
from consignee.addresses import METADATA, is_address
from consignee.egress import AddressRefused, Policy
from consignee.endpoint import is_private_name
from consignee.errors import EndpointUnreachable, ProviderFailure
from consignee.names import Names
from consignee.secret import Secret

_NUMERIC: Final = re.compile(r"(.+\.)?([0-9]+|0x[0-9a-f]*)\.?", re.ASCII)
_CREDENTIALS_WANTED: Final = 407
_HEADER: Final = "Proxy-Authorization"


class ProxyUnusable(OSError):
    """The proxy was not found, or something else than the proxy was to be dialled."""


@dataclass(frozen=True)
class Proxy:
    """Where the proxy listens: an http URL of a host and a port. `auth` is `user:password`, or None."""

    url: str
    auth: Secret | None = None

    @property
    def host(self) -> str:
        """The host, an IPv6 address without its brackets."""
        return URL(self.url).host or ""

    @property
    def port(self) -> int:
        """The port."""
        return URL(self.url).port or 80

    def headers(self) -> dict[str, str]:
        """Return what the proxy wants to see before it helps (RFC 7617)."""
        if self.auth is None:
            return {}
        user, _, password = self.auth.reveal().partition(":")
        return {_HEADER: "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Gate(AbstractResolver):
    """Resolver and socket factory in one: no name is resolved but the proxy's, and nothing dialled but what that led to."""

    def __init__(self, proxy: Proxy, resolver: AbstractResolver, create: aiohttp.SocketFactoryType) -> None:
        self._proxy = proxy
        self._resolver = resolver
        self._create = create
        self._known = {proxy.host}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the proxy's addresses; raises ProxyUnusable."""
        if host != self._proxy.host:
            raise ProxyUnusable("only the proxy may be dialled")
        try:
            found = await self._resolver.resolve(host, port, family)
        except OSError as error:
            raise ProxyUnusable("the name of the proxy was not found") from error
        self._known |= {result["host"] for result in found}
        return found

    def __call__(self, addr_info: aiohttp.AddrInfoType) -> socket.socket:
        """Return a new, unconnected socket for the proxy's address; raises ProxyUnusable."""
        address, port = addr_info[4][:2]
        if address not in self._known or is_metadata(str(address)) or port != self._proxy.port:
            raise ProxyUnusable("only the proxy may be dialled")
        return self._create(addr_info)

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()


def is_metadata(host: str) -> bool:
    """Whether that is an address at which a cloud tells a machine its credentials."""
    return host in map(str, METADATA)


class Through:
    """Sends every request of a session through the proxy, after a last look at where it is to go."""

    def __init__(self, proxy: Proxy, policy: Policy) -> None:
        self._proxy = proxy
        self._policy = policy

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Return the answer; raises AddressRefused for a host that is an address or a name of the inside."""
        # A name may end with a dot: it is the same name.
        self._check((request.url.host or "").rstrip("."), request.url.port or 0)
        secure = request.is_ssl()
        request.update_proxy(URL(self._proxy.url), None, self._proxy.headers() if secure else None)
        if secure:
            return await handler(request)
        # Without a tunnel, every request is the proxy's own, also on a connection that is there already.
        request.headers.update(self._proxy.headers())
        response = await handler(request)
        if response.status == _CREDENTIALS_WANTED:
            response.close()
            raise aiohttp.ClientHttpProxyError(response.request_info, (), status=response.status)
        return response

    def _check(self, host: str, port: int) -> None:
        if is_address(host) or _NUMERIC.fullmatch(host):
            reason = self._policy.refusal(host, port)
        else:
            reason = "a name of the inside" if is_private_name(host.lower(), self._policy.allow_names) else None
        if reason is not None:
            raise AddressRefused(host, reason)


def open_session(
    policy: Policy,
    proxy: Proxy,
    *,
    resolver: AbstractResolver | None = None,
    ca_file: str = "",
    create_socket: aiohttp.SocketFactoryType = egress.create_socket,
    trace_configs: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """Return a session like `egress.open_session`, of which all requests go through the proxy."""
    gate = Gate(proxy, resolver or Names(), create_socket)
    return egress.open_session(
        policy,
        resolver=gate,
        guard=gate,
        middlewares=(Through(proxy, policy),),
        ca_file=ca_file,
        trace_configs=trace_configs,
    )


def failure(error: BaseException) -> ProviderFailure | None:
    """Return our own error for what went wrong at the proxy, which is nothing that the customer could mend; else None."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return EndpointUnreachable(_SAID.get(error.status, "The proxy of this service could not connect."), hint=_HINT)
    if isinstance(error, aiohttp.ClientProxyConnectionError) or egress.caused(error, ProxyUnusable):
        return EndpointUnreachable("The proxy of this service can't be reached.", hint=_HINT)
    return None


_SAID: Final = {
    403: "The proxy of this service refuses to connect to the endpoint.",
    _CREDENTIALS_WANTED: "The proxy of this service does not accept the service's own credentials for it.",
}
_HINT: Final = (
    "Check the host name and the port of the endpoint. If they are right, ask the operator of this service to look at its "
    "forward proxy; the destination itself may be fine."
)
