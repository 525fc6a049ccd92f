"""The guarded session over real sockets. Nothing here dials anything but 127.0.0.1."""

import gzip
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme

from consignee import __version__
from consignee.egress import AddressRefused, Guard, Policy, open_session, refused
from egress_lab import Answers, Listener, Recorder, addr_info, allowing, failure_of


def test_a_scope_given_beside_the_address_is_refused() -> None:
    dial = Recorder()
    with pytest.raises(AddressRefused):
        Guard(Policy(), trusted=True, create=dial)(addr_info("2606:4700::1", 443, scope=2))
    assert dial.addresses == []


def test_refusals_are_worded_alike_and_keep_the_address() -> None:
    first, second = AddressRefused("10.0.0.1", "private"), AddressRefused("::1", "not global")
    assert str(first) == str(second)
    assert (first.address, first.reason) == ("10.0.0.1", "private")


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
