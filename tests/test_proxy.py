"""The operator's forward proxy: what goes through it, what does not, and what is said when it fails."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from yarl import URL

from canaries import PROXY_PASSWORD
from consignee.body import BytesBody
from consignee.delivery.webhook import send
from consignee.errors import EndpointRefused, EndpointUnreachable, ProviderFailure, SettingsError, TimedOut, TlsFailed
from consignee.outlets import Outlets, open_outlets
from consignee.providers import s3
from consignee.proxy import Gate, Proxy, ProxyUnusable
from consignee.secret import Secret
from consignee.settings import Settings, describe, load_settings
from consignee.testing.remnants import assert_nothing_stays, open_sockets
from consignee.transport import Trace
from egress_lab import Recorder, addr_info
from fakes import hostile
from fakes.certificates import Authority
from fakes.forward_proxy import ForwardProxy, forward_proxy
from fakes.resolver import FixedResolver
from fakes.scripted import Answer, Server, scripted
from providers.opening import loopback

NAME: Final = "proxy.internal"
CREDENTIALS: Final = f"consignee:canary+of/a:{PROXY_PASSWORD}"
ENCODED: Final = "Y29uc2lnbmVlOmNhbmFyeStvZi9hOnBhc3N3b3Jk"


def through(proxy: ForwardProxy, settings: Settings, credentials: str = CREDENTIALS) -> Settings:
    """Return the settings with that proxy, by its name."""
    auth = Secret(credentials) if credentials else None
    egress = replace(settings.egress, proxy=f"http://{NAME}:{proxy.server.port}", proxy_auth=auth)
    return replace(settings, egress=egress)


@asynccontextmanager
async def outlets(
    proxy: ForwardProxy, settings: Settings | None = None, credentials: str = CREDENTIALS
) -> AsyncIterator[Outlets]:
    """Yield the sessions of a service with that proxy, to which no name leads but the proxy's."""
    resolver = FixedResolver({NAME: ["127.0.0.1"]})
    async with open_outlets(through(proxy, settings or loopback(), credentials), resolver=resolver) as opened:
        yield opened
    assert set(resolver.asked) <= {NAME}


async def put(opened: Outlets, url: str) -> int:
    """Send a small body as a provider does; return the status."""
    sender = opened.transport(s3.PROVIDER)
    return (await sender.send("PUT", url, headers={"X-Mine": "yes"}, body=BytesBody(b"content"))).status


async def failure(opened: Outlets, url: str) -> ProviderFailure:
    """Return how that fails."""
    with pytest.raises(ProviderFailure) as failed:
        await put(opened, url)
    return failed.value


async def test_over_https_the_proxy_tunnels_what_it_cannot_read(ca: Authority) -> None:
    """Both requests take the same tunnel; the storage sees nothing of the proxy's credentials, nor the proxy of the request."""
    async with (
        hostile.accepting(tls=ca.server_context("storage.example.net")) as server,
        forward_proxy({"storage.example.net": server.port}, credentials=CREDENTIALS) as proxy,
        outlets(proxy, loopback(ca=ca.pem)) as opened,
    ):
        assert [await put(opened, "https://storage.example.net/files/key") for _ in range(2)] == [200, 200]
    assert (proxy.asked, proxy.turned_away, server.connections) == (["storage.example.net:443"], 0, 1)
    assert [request.path for request in server.requests] == ["/files/key"] * 2
    assert not any("proxy-authorization" in request.headers for request in server.requests)
    assert len(proxy.passed) > 500
    assert not [word for word in (b"files/key", b"X-Mine", b"content") if word in proxy.passed]


async def test_plain_http_is_passed_on_and_every_request_shows_the_credentials() -> None:
    """Also the second one on the same connection: without a tunnel, each request is the proxy's own."""
    async with (
        hostile.accepting() as server,
        forward_proxy({"storage.example.net": server.port}, credentials=CREDENTIALS) as proxy,
        outlets(proxy) as opened,
    ):
        assert [await put(opened, "http://storage.example.net/a%2Fb?c=%2B") for _ in range(3)] == [200] * 3
    assert (proxy.asked, proxy.turned_away, proxy.server.connections) == (["storage.example.net"] * 3, 0, 1)
    assert [(request.path, request.body) for request in server.requests] == [("/a%2Fb?c=%2B", b"content")] * 3
    assert not any("proxy-authorization" in request.headers for request in server.requests)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_webhook_is_told_through_the_proxy(ca: Authority, scheme: str) -> None:
    tls = ca.server_context("hook.example.net") if scheme == "https" else None
    async with (
        hostile.answering(204) as plain,
        hostile.accepting(tls=tls) as secure,
        forward_proxy({"hook.example.net": (secure if tls else plain).port}) as proxy,
        outlets(proxy, loopback(ca=ca.pem), credentials="") as opened,
    ):
        url = f"{scheme}://hook.example.net/told"
        sent = await send(opened.webhooks(), url, Secret("whsec_AAAA"), id="msg_1", timestamp=1, content={})
    assert sent.ok and len(proxy.asked) == 1


async def test_the_operators_own_endpoint_is_reached_directly() -> None:
    """It is often inside, where the proxy does not lead."""
    async with hostile.accepting() as server, forward_proxy() as proxy:
        settings = replace(loopback(s3=server.url), egress=loopback().egress)
        async with outlets(proxy, settings) as opened:
            assert await put(opened, server.url) == 200
    assert (len(server.requests), proxy.server.connections) == (1, 0)


@pytest.mark.parametrize("proxied", [True, False])
async def test_the_environments_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch, proxied: bool) -> None:
    """With a proxy of the operator's setting, and without one."""
    async with hostile.accepting() as server, hostile.accepting() as trap, forward_proxy() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, trap.url)
        monkeypatch.setenv("NO_PROXY", "")
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(outlets(proxy) if proxied else open_outlets(loopback()))
            assert await put(opened, server.url) == 200
    assert (trap.connections, len(proxy.asked), len(server.requests)) == (0, int(proxied), 1)


INSIDE: Final = (
    *(
        "http://10.0.0.1",
        "https://[::1]",
        "http://169.254.169.254",
        "https://[::ffff:10.0.0.1]:9000",
        "https://[fd00::1]",
    ),
    *("http://2130706433", "http://127.1", "http://0x7f.1", "http://localhost", "http://metadata.google.internal"),
    *("https://db.internal:5432", "https://storage"),
    *("https://localhost.", "http://metadata.google.internal.", "https://db.internal..", "http://169.254.169.254."),
)


@pytest.mark.parametrize("url", INSIDE)
async def test_an_address_or_a_name_of_the_inside_is_refused_before_the_proxy_is_asked(url: str) -> None:
    """What was registered before the rules were tightened too: with a proxy, nobody looks at addresses when they are dialled."""
    async with forward_proxy() as proxy:
        closed = replace(loopback(), egress=replace(loopback().egress, allow=()))
        async with outlets(proxy, closed) as opened:
            assert isinstance(await failure(opened, url), EndpointRefused)
        assert proxy.server.connections == 0


async def test_what_the_operator_allows_goes_through_the_proxy() -> None:
    async with hostile.accepting() as server, forward_proxy() as proxy, outlets(proxy, credentials="") as opened:
        assert await put(opened, server.url) == 200
    assert proxy.asked == [f"127.0.0.1:{server.port}"]


@pytest.mark.parametrize(
    ("status", "said"), [(403, "refuses to connect"), (407, "own credentials"), (502, "could not"), (302, "could not")]
)
async def test_a_refusal_of_the_proxy_is_not_blamed_on_the_customer(status: int, said: str) -> None:
    """It may pass, and whom to ask is told; nothing of what the proxy wrote is."""
    async with forward_proxy(status=status) as proxy, outlets(proxy) as opened:
        failed = await failure(opened, "https://storage.example.net")
    assert (type(failed), failed.transient) == (EndpointUnreachable, True)
    assert said in str(failed) and "forward proxy" in failed.hint
    assert "html" not in f"{failed} {failed.hint}"


@pytest.mark.parametrize("url", ["http://storage.example.net", "https://storage.example.net"])
async def test_wrong_credentials_for_the_proxy_are_not_the_customers(url: str) -> None:
    """Over http too, where the refusal comes as an ordinary answer. They are not repeated."""
    async with forward_proxy(credentials="other:one") as proxy, outlets(proxy) as opened:
        failed = await failure(opened, url)
        cause = failed.__cause__
    assert "does not accept the service's own credentials" in str(failed)
    assert proxy.turned_away == 1 and proxy.asked == []
    assert not [word for word in (CREDENTIALS, ENCODED, "canary") if word in f"{failed!r} {failed.hint} {cause!r}"]


async def test_a_proxy_that_is_not_there() -> None:
    """Nobody listens, or its name is unknown: neither is said of the endpoint."""
    with hostile.refusing() as url:
        port = URL(url).port or 0
        proxy = ForwardProxy({}, server=Server(url, port))
        async with outlets(proxy) as opened:
            absent = await failure(opened, "https://storage.example.net")
        async with open_outlets(through(proxy, loopback()), resolver=FixedResolver()) as opened:
            unknown = await failure(opened, "https://storage.example.net")
    for failed in (absent, unknown):
        assert (str(failed), failed.transient) == ("The proxy of this service can't be reached.", True)
        assert "forward proxy" in failed.hint


async def test_a_proxy_that_hangs_or_talks_nonsense_leaves_nothing_behind() -> None:
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    async with hostile.hanging() as hanging, outlets(ForwardProxy({}, server=hanging)) as opened:
        sender = opened.transport(s3.PROVIDER)
        sender._idle = 0.2
        with pytest.raises(TimedOut):
            await sender.send("PUT", "https://storage.example.net", headers={})

    async def said() -> AsyncGenerator[bytes, None]:
        yield b"SSH-2.0-OpenSSH_9.2\r\n"

    async with (
        scripted(lambda _: Answer(raw=said())) as talking,
        outlets(ForwardProxy({}, server=talking)) as opened,
    ):
        await failure(opened, "https://storage.example.net")
    await assert_nothing_stays(tasks, sockets)


async def test_the_certificate_is_checked_against_the_storages_name(ca: Authority) -> None:
    """So a proxy that leads elsewhere is noticed."""
    async with (
        hostile.accepting(tls=ca.server_context("elsewhere.example.net")) as server,
        forward_proxy({"storage.example.net": server.port}) as proxy,
        outlets(proxy, loopback(ca=ca.pem)) as opened,
    ):
        failed = await failure(opened, "https://storage.example.net")
    assert isinstance(failed, TlsFailed) and "another name" in str(failed)
    assert server.requests == []


async def test_a_connectivity_test_reports_the_proxy_as_a_matter_of_connecting() -> None:
    async with forward_proxy(status=502) as proxy, outlets(proxy) as opened:
        trace = Trace()
        with pytest.raises(EndpointUnreachable):
            await opened.transport(s3.PROVIDER, trace).send("PUT", "https://storage.example.net", headers={})
    assert trace.current == "connect"


async def test_nothing_but_the_proxy_is_dialled_or_resolved() -> None:
    """Whatever may be wrong elsewhere; and a proxy at a cloud's metadata is none."""
    dial = Recorder()
    gate = Gate(Proxy(f"http://{NAME}:3128"), FixedResolver({NAME: ["10.1.2.3", "169.254.169.254"]}), dial)
    assert len(await gate.resolve(NAME, 3128)) == 2
    with pytest.raises(ProxyUnusable):
        await gate.resolve("storage.example.net", 443)
    for address, port in (("10.1.2.3", 443), ("10.1.2.4", 3128), ("169.254.169.254", 3128), ("93.184.216.34", 443)):
        with pytest.raises(ProxyUnusable):
            gate(addr_info(address, port))
    assert dial.addresses == []
    with pytest.raises(ConnectionRefusedError):
        gate(addr_info("10.1.2.3", 3128))
    assert dial.addresses == ["10.1.2.3"]
    await gate.close()


def test_a_proxy_at_an_address() -> None:
    proxy = Proxy("http://[fd12::1]:3128", Secret("only-a-token"))
    assert (proxy.host, proxy.port) == ("fd12::1", 3128)
    assert proxy.headers() == {"Proxy-Authorization": "Basic b25seS1hLXRva2VuOg=="}
    dial = Recorder()
    with pytest.raises(ConnectionRefusedError):
        Gate(proxy, FixedResolver(), dial)(addr_info("fd12::1", 3128))
    assert dial.addresses == ["fd12::1"]


@pytest.mark.parametrize(
    "url",
    [
        *("proxy.internal:3128", "https://proxy.internal:3128", "http://proxy.internal", "http://u:p@proxy.internal:1"),
        *(
            "http://proxy.internal:3128/",
            "http://proxy.internal:99999",
            "http://proxy.internal:0",
            "http://:3128",
            "socks5://p:1",
        ),
    ],
)
def test_a_proxy_that_is_not_a_host_and_a_port_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"egress\.proxy: must be an http URL of a host and a port"):
        load_settings(environ={"CONSIGNEE_EGRESS__PROXY": url})


def test_the_proxys_credentials_do_not_belong_into_the_file_and_are_never_shown(tmp_path: Path) -> None:
    file, held = tmp_path / "consignee.toml", tmp_path / "auth"
    file.write_text(f'[egress]\nproxy_auth = "{CREDENTIALS}"')
    held.write_text(CREDENTIALS + "\n")
    with pytest.raises(
        SettingsError, match="does not belong into this file: set CONSIGNEE_EGRESS__PROXY_AUTH"
    ) as refused:
        load_settings(file, environ={})
    variables = {"CONSIGNEE_EGRESS__PROXY": "http://[::1]:3128", "CONSIGNEE_EGRESS__PROXY_AUTH_FILE": str(held)}
    settings = load_settings(environ=variables)
    assert settings.egress.proxy_auth is not None and settings.egress.proxy_auth.reveal() == CREDENTIALS
    assert 'proxy = "http://[::1]:3128"' in describe(settings)
    assert "canary" not in f"{refused.value} {settings!r} {describe(settings)}"


async def test_no_log_line_holds_the_credentials(ca: Authority, caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level, of a request that works and of those that fail."""
    caplog.set_level(logging.DEBUG)
    async with (
        hostile.accepting(tls=ca.server_context("storage.example.net")) as server,
        forward_proxy({"storage.example.net": server.port}, credentials=CREDENTIALS) as proxy,
        outlets(proxy, loopback(ca=ca.pem)) as opened,
    ):
        assert await put(opened, "https://storage.example.net") == 200
        proxy.status = 502
        await failure(opened, "https://other.example.net")
        await failure(opened, "http://10.9.9.9:1")
    logging.getLogger("tests").debug("the log is on")
    assert "the log is on" in caplog.text
    assert "canary" not in caplog.text and ENCODED not in caplog.text
