"""A name that flips between a public and inside addresses: the latter are never dialled, whoever asks and how often."""

import asyncio
import ipaddress
import itertools
import random
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

import egress_watch
from canaries import WEBHOOK_SECRET
from consignee.addresses import METADATA
from consignee.delivery.webhook import send
from consignee.egress import Policy, open_session, refused
from consignee.outlets import open_outlets
from consignee.secret import Secret
from consignee.settings import EgressSettings, Settings
from egress_lab import PUBLIC, Listener, Recorder, failure_of

REQUESTS: Final = 10_000
MESSAGES: Final = 2_000
AT_ONCE: Final = 20
SECRET: Final = Secret(WEBHOOK_SECRET)
CLOUDS: Final = sorted(map(str, METADATA))
EMBEDDED: Final = [
    "::ffff:169.254.169.254",
    "::ffff:168.63.129.16",
    "::a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
]
PRIVATE: Final = ["127.0.0.2", "::1", "0.0.0.0", "::", "10.0.0.1", "192.168.1.1", "172.16.0.1", "fd00::1", "fe80::1"]
INSIDE: Final = [*CLOUDS, *EMBEDDED, *PRIVATE, "::ffff:127.0.0.2", "::ffff:10.0.0.1", "64:ff9b::7f00:2", "2002:a00:1::"]


class Flipping(AbstractResolver):
    """Answers each question anew: good addresses, bad ones, or both in either order; `bad` counts answers without a good one."""

    def __init__(self, good: Sequence[str], bad: Sequence[str], seed: int) -> None:
        self._good = good
        self._bad = bad
        self._dice = random.Random(seed)
        self.bad = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        await asyncio.sleep(0)
        one, other = self._dice.choice(self._good), self._dice.choice(self._bad)
        addresses = self._dice.choice([[one], [other], [other], [one, other], [other, one], [other, *self._bad[:2]]])
        self.bad += one not in addresses
        return [ResolveResult(hostname=host, host=a, port=port, family=0, proto=0, flags=0) for a in addresses]

    async def close(self) -> None:
        """There is nothing to close."""


async def failures(session: aiohttp.ClientSession, urls: Iterator[str]) -> list[bool]:
    """Ask for every URL in turn; return of each whether the policy refused it."""
    return [refused(await failure_of(session, url)) for url in urls]


@pytest.mark.parametrize(
    ("requests", "trusted", "dns_ttl"),
    [(REQUESTS, False, 0), (MESSAGES, False, 10), (MESSAGES, True, 0)],
    ids=["customers", "customers, answers remembered", "operator"],
)
async def test_a_name_that_flips_is_never_dialled_inside(requests: int, trusted: bool, dns_ttl: int) -> None:
    """For the operator's own session, inside is the metadata of clouds. Where answers are remembered, names are new."""
    good, bad = ([PUBLIC, *PRIVATE], [*CLOUDS, *EMBEDDED]) if trusted else ([PUBLIC], INSIDE)
    dial, resolver = Recorder(), Flipping(good, bad, seed=7)
    host = "rebind{}" if dns_ttl else "rebind"
    urls = (f"https://{host.format(number)}.example.net" for number in range(requests))
    session = open_session(Policy(), trusted=trusted, resolver=resolver, dns_ttl=dns_ttl, create_socket=dial)
    with egress_watch.recording() as connected:
        async with session:
            verdicts = await asyncio.gather(*(failures(session, urls) for _ in range(AT_ONCE)))
    told = list(itertools.chain(*verdicts))
    inside = [address for address in dial.addresses if address not in good]
    figures = f"{len(told)} requests, {resolver.bad} without a good address"
    print(f"{figures}, {len(dial.addresses)} dials, {len(inside)} inside")  # noqa: T201
    assert (len(told), inside, connected) == (requests, [], [])
    assert resolver.bad > requests // 3
    assert sum(told) >= resolver.bad
    assert len(dial.addresses) >= requests - resolver.bad


async def test_webhooks_reach_what_is_allowed_and_nothing_beside_it() -> None:
    """Here 127.0.0.1 is what the operator allows, and everything that this process connects to is seen."""
    async with Listener(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").listening() as listener:
        settings = Settings(egress=EgressSettings(allow=(f"127.0.0.1/32:{listener.port}",), allow_http=True))
        resolver = Flipping(["127.0.0.1"], INSIDE, seed=8)
        codes: Counter[str | None] = Counter()

        async def tell(numbers: Iterator[int], session: aiohttp.ClientSession) -> None:
            for number in numbers:
                url = f"http://hook{number}.example.net:{listener.port}/x?y=z"
                sent = await send(session, url, SECRET, id="msg_1", timestamp=0, content={})
                codes[sent.code] += 1

        numbers = iter(range(MESSAGES))
        with egress_watch.recording() as connected:
            async with open_outlets(settings, resolver=resolver) as outlets:
                await asyncio.gather(*(tell(numbers, outlets.webhooks()) for _ in range(AT_ONCE)))
    inside = [address for address in connected if address != "127.0.0.1"]
    print(f"{MESSAGES} messages, {codes['endpoint_refused']} refused, {len(connected)} dials, {len(inside)} inside")  # noqa: T201
    assert inside == []
    assert codes == {None: MESSAGES - resolver.bad, "endpoint_refused": resolver.bad}
    assert listener.accepted == len(connected) == MESSAGES - resolver.bad > 0


def test_the_inside_addresses_are_inside() -> None:
    """Written in all forms; else the counts above would be of nothing."""
    assert len({ipaddress.ip_address(address) for address in INSIDE}) == len(INSIDE) > 30
    assert all(Policy().refusal(address, 443) for address in INSIDE)
    assert all(Policy().refusal(address, 443, trusted=True) for address in [*CLOUDS, *EMBEDDED])
