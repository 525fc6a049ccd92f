"""Where we may connect to. Nothing here dials anything but 127.0.0.1: all other sockets are recorded and refused."""

import asyncio
import contextlib
import errno
import gzip
import ipaddress
import json
import random
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import example, given
from hypothesis import strategies as st

from consignee import __version__
from consignee.egress import (
    AddressRefused,
    AllowRule,
    EndpointInvalid,
    Guard,
    Policy,
    is_own_address,
    open_session,
    refused,
)

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("egress_cases.json").read_text())["cases"]
PUBLIC = "93.184.216.34"
V4 = ipaddress.IPv4Address
V6 = ipaddress.IPv6Address
# What is in these is not for customers, though ipaddress calls it global.
SPECIAL_THOUGH_GLOBAL = [
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.175.48.0/24",
        "224.0.0.0/4",
        "168.63.129.16/32",
    )
]
METADATA = [V4("169.254.169.254"), V4("168.63.129.16"), V4("100.100.100.200"), V4("192.0.0.192")]


class Answers(AbstractResolver):
    """Answers each question with the next list of addresses, and the last one for ever; fails if that is empty."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [ResolveResult(hostname=host, host=a, port=port, family=0, proto=0, flags=0) for a in addresses]

    async def close(self) -> None:
        """There is nothing to close."""


@dataclass
class Recorder:
    """Creates sockets for 127.0.0.1 and, if told so, for nothing else; records every address asked for."""

    loopback: bool = False
    addresses: list[str] = field(default_factory=list)

    def __call__(self, addr_info: aiohttp.AddrInfoType) -> socket.socket:
        self.addresses.append(addr_info[4][0])
        if self.loopback and addr_info[4][0] == "127.0.0.1":
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        raise ConnectionRefusedError(errno.ECONNREFUSED, "recorded, not dialled")


@dataclass
class Listener:
    """A server on 127.0.0.1 that counts its connections, keeps what it was sent, and always answers the same."""

    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    port: int = 0
    accepted: int = 0
    requests: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(self.answer)
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Listener"]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self


def own_address() -> str:
    """This machine's own address: the source the kernel would choose; connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def policy_of(case: dict[str, Any]) -> Policy:
    told = case.get("policy", {})
    allow = tuple(AllowRule.parse(text) for text in told.get("allow", ()))
    return Policy(allow, told.get("allow_http", False), tuple(told.get("allow_names", ())))


def allowing(*rules: str) -> Policy:
    return Policy(tuple(map(AllowRule.parse, rules)))


def answers_of(case: dict[str, Any], host: str) -> list[list[str]]:
    """What is dialled by each of the case's requests: the addresses that the name leads to, or the literal."""
    told = case.get("resolves_to", [host])
    answers = told if isinstance(told[0], list) else [told]
    own = "<own-interface-address>"
    return [[own_address() if address == own else address for address in answer] for answer in answers]


async def failure_of(session: aiohttp.ClientSession, url: str) -> Exception:
    try:
        async with session.get(url, allow_redirects=False):
            raise AssertionError(f"{url} was reached")
    except aiohttp.ClientError as error:
        return error


def cases(*, stage: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES if case["stage"] == stage]


def addr_info(address: str, port: int, scope: int = 0) -> aiohttp.AddrInfoType:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, scope)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


def test_every_case_is_run() -> None:
    assert {case["stage"] for case in CASES} == {"parse", "resolve", "connect"}
    assert len({case["id"] for case in CASES}) == len(CASES) > 136


@pytest.mark.parametrize("case", cases(stage="parse"))
def test_a_bad_endpoint_is_refused_when_read(case: dict[str, Any]) -> None:
    with pytest.raises(EndpointInvalid) as caught:
        policy_of(case).parse_endpoint(case["value"])
    assert (caught.value.code, case["expect"]) == (case["code"], "deny")


@pytest.mark.parametrize("case", cases(stage="resolve"))
async def test_an_unknown_name_is_no_refusal(case: dict[str, Any]) -> None:
    policy, dial = policy_of(case), Recorder()
    url = policy.parse_endpoint(case["value"]).url
    async with open_session(policy, resolver=Answers([]), create_socket=dial) as session:
        failure = await failure_of(session, url)
    assert isinstance(failure, aiohttp.ClientConnectorDNSError)
    assert not refused(failure)
    assert dial.addresses == []


@pytest.mark.parametrize("case", cases(stage="connect"))
async def test_an_address_is_judged_when_dialled(case: dict[str, Any]) -> None:
    """Every answer but the last is public, and dialled; the last one gets the verdict."""
    policy, dial = policy_of(case), Recorder()
    endpoint = policy.parse_endpoint(case["value"])
    answers = answers_of(case, endpoint.host)
    async with open_session(policy, resolver=Answers(*answers), dns_ttl=0, create_socket=dial) as session:
        failures = [await failure_of(session, endpoint.url) for _ in answers]
    assert [refused(failure) for failure in failures[:-1]] == [False] * (len(answers) - 1)
    assert refused(failures[-1]) == (case["expect"] == "deny")
    expected = answers if case["expect"] == "allow" else answers[:-1]
    assert set(map(ipaddress.ip_address, dial.addresses)) == {ipaddress.ip_address(a) for e in expected for a in e}


@pytest.mark.parametrize("case", [param for param in cases(stage="connect") if param.values[0]["expect"] == "allow"])
def test_the_guard_makes_a_socket_and_leaves_it_unconnected(case: dict[str, Any]) -> None:
    policy = policy_of(case)
    endpoint = policy.parse_endpoint(case["value"])
    for address in answers_of(case, endpoint.host)[0]:
        assert policy.refusal(address, endpoint.port) is None
        with Guard(policy)(addr_info(address, endpoint.port)) as made:
            assert made.family == (socket.AF_INET6 if ":" in address else socket.AF_INET)
            with pytest.raises(OSError, match="not connected"):
                made.getpeername()


def test_a_scope_given_beside_the_address_is_refused() -> None:
    dial = Recorder()
    with pytest.raises(AddressRefused):
        Guard(Policy(), trusted=True, create=dial)(addr_info("2606:4700::1", 443, scope=2))
    assert dial.addresses == []


def test_refusals_are_worded_alike_and_keep_the_address() -> None:
    first, second = AddressRefused("10.0.0.1", "private"), AddressRefused("::1", "not global")
    assert str(first) == str(second)
    assert (first.address, first.reason) == ("10.0.0.1", "private")


@given(st.ip_addresses(v=4))
@example(V4("168.63.129.16"))
@example(V4("168.63.129.17"))
def test_ipv4_is_refused_exactly_where_it_is_not_for_the_public(address: V4) -> None:
    special = any(address in network for network in SPECIAL_THOUGH_GLOBAL)
    public = address.is_global and not special
    assert (Policy(is_own=never).refusal(str(address), 443) is None) == public


@given(st.ip_addresses(v=6))
@example(V6("2001:1::1"))
def test_ipv6_is_refused_outside_the_global_range_at_least(address: V6) -> None:
    outside = int(address) >> 125 != 1 and address.ipv4_mapped is None
    if outside or not address.is_global:
        assert Policy(is_own=never).refusal(str(address), 443) is not None


def never(_: V4 | V6) -> bool:
    return False


def embeddings(address: V4) -> list[str]:
    """The IPv6 addresses by which tunnels and translators reach an IPv4 address."""
    high, low = divmod(int(address), 0x10000)
    a, b, c, d = address.packed
    return [
        f"::{address}",
        f"::ffff:0:{address}",
        f"64:ff9b::{address}",
        f"64:ff9b:1::{address}",
        f"64:ff9b:1:{high:x}:{c:x}:{d << 8:x}::",
        f"64:ff9b:1:{a:x}:{b:x}:{low:x}::",
        f"64:ff9b:1:0:{a:x}:{b << 8 | c:x}:{d << 8:x}:0",
        f"2002:{high:x}:{low:x}::1",
        f"2001:0:{high:x}:{low:x}::f7f7:f7f7",
        f"2001:0:808:808:8000:63bf:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}",
        f"2606:4700::5efe:{address}",
        f"2606:4700::200:5efe:{address}",
    ]


SPECIAL_V4 = st.ip_addresses(v=4).filter(lambda a: int(a) > 1 and Policy(is_own=never).refusal(str(a), 443) is not None)


@given(SPECIAL_V4)
@example(V4("127.0.0.1"))
@example(V4("169.254.169.254"))
@example(V4("168.63.129.16"))
def test_a_refused_ipv4_address_is_refused_inside_ipv6(address: V4) -> None:
    """Even where the operator opens all of IPv6: that does not open what a tunnel makes of it."""
    for policy in (Policy(is_own=never), allowing("::/0:*")):
        for text in embeddings(address):
            assert policy.refusal(text, 443) is not None, text


@given(st.ip_addresses(v=4), st.booleans())
def test_a_mapped_address_is_judged_as_its_ipv4(address: V4, trusted: bool) -> None:
    policy = Policy(allowing("10.0.0.0/8:443").allow, is_own=never)
    expected = policy.refusal(str(address), 443, trusted=trusted)
    assert policy.refusal(f"::ffff:{address}", 443, trusted=trusted) == expected


@given(st.sampled_from(METADATA))
def test_no_embedding_reaches_metadata_for_the_operator_either(address: V4) -> None:
    for text in [str(address), f"::ffff:{address}", *embeddings(address)]:
        assert Policy().refusal(text, 443, trusted=True) is not None, text


def test_the_operators_own_endpoint_may_be_anywhere_but_at_metadata() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd00::1", PUBLIC):
        assert Policy().refusal(address, 9000, trusted=True) is None
    assert Policy().refusal("fd00:ec2::254", 80, trusted=True) is not None
    assert allowing("fd00::/8:*").refusal("fd00:ec2::254", 80, trusted=True) is not None
    assert allowing("fd00:ec2::254/128:80").refusal("fd00:ec2::254", 80, trusted=True) is None


@given(
    st.ip_addresses(v=4), st.integers(0, 32), st.none() | st.sampled_from([443, 9000]), st.ip_addresses(v=4), st.data()
)
def test_a_rule_opens_its_network_and_port_and_nothing_else(
    base: V4, bits: int, port: int | None, other: V4, data: st.DataObject
) -> None:
    network = ipaddress.IPv4Network((base, bits), strict=False)
    policy = Policy((AllowRule(network, port),), is_own=never)
    address = data.draw(st.sampled_from([other, network[0], network[-1], *METADATA]))
    opened = address in network and port in (None, 443) and (address not in METADATA or bits == 32)
    public = Policy(is_own=never).refusal(str(address), 443) is None
    assert (policy.refusal(str(address), 443) is None) == (opened or public)


@pytest.mark.parametrize(
    ("text", "network", "port"),
    [
        ("127.0.0.1/32:*", "127.0.0.1/32", None),
        ("10.0.0.0/8:9000", "10.0.0.0/8", 9000),
        ("fd00::/8:443", "fd00::/8", 443),
        ("[fd00::]/8:443", "fd00::/8", 443),
        ("[FD00::]/8:*", "fd00::/8", None),
        ("0.0.0.0/0:65535", "0.0.0.0/0", 65535),
    ],
)
def test_a_rule_is_read(text: str, network: str, port: int | None) -> None:
    assert AllowRule.parse(text) == AllowRule(ipaddress.ip_network(network), port)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "write network/bits:port"),
        ("10.0.0.0/8", "write network/bits:port"),
        ("10.0.0.1:9000", "write network/bits:port"),
        ("10.0.0.0/255.0.0.0:9000", "write network/bits:port"),
        ("[fd00::/8]:443", "write network/bits:port"),
        (" 10.0.0.0/8:9000", "write network/bits:port"),
        ("10.0.0.0/8:9000\n", "write network/bits:port"),
        ("minio.lan/32:9000", "write network/bits:port"),
        ("10.0.0.0/8:0", "between 1 and 65535"),
        ("10.0.0.0/8:65536", "between 1 and 65535"),
        ("10.0.0.1/8:9000", "host bits set"),
        ("fd00::1/8:9000", "host bits set"),
        ("10.0.0.0/33:*", "10.0.0.0/33"),
        ("10.0.0/8:*", "10.0.0/8"),
        ("::ffff:10.0.0.0/104:*", "as its IPv4 network"),
    ],
)
def test_a_bad_rule_is_explained(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match="allow rule") as caught:
        AllowRule.parse(text)
    assert hint in str(caught.value)


def test_this_machine_knows_its_own_addresses() -> None:
    assert is_own_address(V4("127.0.0.1"))
    assert is_own_address(V4(own_address()))
    assert not is_own_address(V4(PUBLIC))
    assert not is_own_address(V6("2606:4700::1"))


def test_a_public_address_of_this_machine_is_refused_unless_allowed() -> None:
    """Behind it are the services that trust whoever comes from this machine."""

    def is_own(address: V4 | V6) -> bool:
        return str(address) == PUBLIC

    assert Policy(is_own=is_own).refusal(PUBLIC, 443) is not None
    assert Policy(is_own=is_own).refusal(f"::ffff:{PUBLIC}", 443) is not None
    assert Policy(is_own=is_own).refusal("93.184.216.35", 443) is None
    assert Policy(allowing(f"{PUBLIC}/32:443").allow, is_own=is_own).refusal(PUBLIC, 443) is None


async def test_two_thousand_rebindings_never_dial_loopback() -> None:
    """The name flips between a public address and loopback, alone and together, at every question."""
    choices = [[PUBLIC], ["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], ["::ffff:127.0.0.1"]]
    dice, dial = random.Random(2), Recorder(loopback=True)
    answers = [dice.choice(choices) for _ in range(2000)]
    async with Listener().listening() as listener:
        session = open_session(Policy(), resolver=Answers(*answers), dns_ttl=0, create_socket=dial)
        url = f"http://rebind.example.net:{listener.port}/"
        async with session:
            failures = [await failure_of(session, url) for _ in answers]
    assert listener.accepted == 0
    assert set(dial.addresses) == {PUBLIC}
    assert 500 < sum(map(refused, failures)) < 1900


@pytest.mark.parametrize("answer", [["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["::1", "127.0.0.1"]])
async def test_a_mixed_answer_leads_to_the_allowed_address(answer: list[str]) -> None:
    dial = Recorder(loopback=True)
    async with Listener().listening() as listener:
        policy = allowing(f"127.0.0.1/32:{listener.port}")
        url = f"http://mixed.example.net:{listener.port}/"
        session = open_session(policy, resolver=Answers(answer), create_socket=dial)
        async with session, session.get(url) as response:
            assert (response.status, await response.text()) == (200, "ok")
    assert dial.addresses == ["127.0.0.1"]
    assert listener.accepted == 1


async def test_the_trusted_session_reaches_a_private_address() -> None:
    async with Listener().listening() as listener:
        url = f"http://127.0.0.1:{listener.port}/"
        async with open_session(Policy(), trusted=True) as session, session.get(url) as response:
            assert response.status == 200


async def test_a_refusal_differs_from_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    async with open_session(allowing("127.0.0.1/32:*")) as open_to_us, open_session(Policy()) as closed_to_us:
        unreachable, forbidden = await failure_of(open_to_us, url), await failure_of(closed_to_us, url)
    assert (refused(unreachable), refused(forbidden)) == (False, True)


def test_a_refusal_is_found_behind_other_errors() -> None:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = ValueError("again")
    assert not refused(wrapped)
    wrapped.__cause__.__cause__ = AddressRefused("10.0.0.1", "private")
    assert refused(wrapped)
    wrapped.__cause__.__cause__ = wrapped
    assert not refused(wrapped)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would be dialled in place of the address that was judged."""
    async with Listener().listening() as proxy, Listener().listening() as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        url = f"http://127.0.0.1:{server.port}/"
        async with open_session(allowing("127.0.0.1/32:*"), resolver=Answers(["10.0.0.1"])) as session:
            async with session.get(url) as response:
                assert response.status == 200
            assert refused(await failure_of(session, "http://a.example.net/"))
            assert refused(await failure_of(session, "https://a.example.net/"))
        assert (proxy.accepted, server.accepted) == (0, 1)
        async with aiohttp.ClientSession(trust_env=True) as careless, careless.get(url) as response:
            assert (proxy.accepted, server.accepted) == (1, 1)


async def test_the_session_says_who_it_is_and_keeps_nothing() -> None:
    body = gzip.compress(b"<Error/>")
    head = f"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    async with Listener(head.encode() + body).listening() as listener:
        url = f"http://s3.example.com:{listener.port}/"
        session = open_session(allowing("127.0.0.1/32:*"), resolver=Answers(["127.0.0.1"]))
        async with session:
            for _ in range(2):
                async with session.get(url) as response:
                    assert await response.read() == body
    assert listener.accepted == 1
    assert f"User-Agent: consignee/{__version__}\r\n" in listener.requests[1]
    assert "Accept-Encoding: identity\r\n" in listener.requests[1]
    assert "Cookie" not in listener.requests[1]


async def test_tls_is_checked_and_its_keys_are_not_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, tls, keys = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tmp_path / "keys"
    authority.issue_cert("s3.example.com").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    policy, resolver, ca_file = allowing("127.0.0.1/32:*"), Answers(["127.0.0.1"]), str(tmp_path / "ca.pem")
    async with Listener().listening(tls) as listener:
        url = f"https://s3.example.com:{listener.port}/"
        async with open_session(policy, resolver=resolver, ca_file=ca_file) as session:
            async with session.get(url) as response:
                assert response.status == 200
            wrong_name = await failure_of(session, url.replace("s3.", "s4."))
        async with open_session(policy, resolver=resolver) as session:
            unknown_authority = await failure_of(session, url)
    assert isinstance(wrong_name, aiohttp.ClientConnectorCertificateError)
    assert isinstance(unknown_authority, aiohttp.ClientConnectorCertificateError)
    assert not keys.exists()


async def test_a_missing_ca_file_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_session(Policy(), ca_file=str(tmp_path / "absent.pem"))
