"""Who listens to a session of the host's hears of our requests too; nothing else of that session is used."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientSession, TraceConfig

from consignee.body import BytesBody
from consignee.errors import EndpointRefused, EndpointUnreachable, SettingsError
from consignee.outlets import open_outlets
from consignee.providers import s3compatible
from consignee.settings import Settings
from consignee.tracing import listeners
from consignee.transport import Transport
from fakes.scripted import Answer, Request, scripted
from providers.opening import loopback

CANARY = "canary-of-a-signature"
Heard = list[tuple[str, Any]]


def recording(heard: Heard) -> TraceConfig:
    """Return a trace config that writes down everything that it can hear of."""
    config = TraceConfig()

    def noted(name: str) -> Any:
        async def note(_: ClientSession, context: SimpleNamespace, parameters: Any) -> None:
            context.count = getattr(context, "count", 0) + 1
            heard.append((name, parameters))

        return note

    for name in dir(TraceConfig):
        if name.startswith("on_"):
            getattr(config, name).append(noted(name))
    return config


def accepted(request: Request) -> Answer:
    return Answer(200, {"ETag": f'"{CANARY}"'}, CANARY.encode())


async def put(transport: Transport, url: str) -> None:
    """Send a file whose every part is secret but the method and the host."""
    headers = {"Authorization": CANARY}
    await transport.send(
        "PUT", f"{url}/{CANARY}?X-Signature={CANARY}", headers=headers, body=BytesBody(CANARY.encode())
    )


def everything(value: object) -> str:
    """Return what can be seen of an object, and of the error in it."""
    error = getattr(value, "exception", None)
    return f"{value!r} {error} {error!r} {vars(error)} {error.__cause__!r}" if error else repr(value)


async def test_they_hear_of_each_request_and_see_no_secret() -> None:
    """Neither in the path, the query, the headers or the content, nor in what is answered."""
    heard: Heard = []
    async with scripted(accepted) as server, ClientSession(trace_configs=[recording(heard)]) as session:
        async with open_outlets(loopback(), session=session) as outlets:
            for _ in range(2):
                await put(outlets.transport(s3compatible.PROVIDER), server.url)
        assert not session.closed
    names = [name for name, _ in heard if "request" in name]
    assert names == ["on_request_start", "on_request_end"] * 2
    ends = [one for name, one in heard if name == "on_request_end"]
    assert {(one.method, str(one.url), one.response.status) for one in ends} == {("PUT", server.url, 200)}
    assert "on_connection_create_end" in dict(heard) and "on_connection_reuseconn" in dict(heard)
    assert CANARY not in "".join(everything(parameters) for _, parameters in heard)
    assert CANARY in everything(server.requests), "which is where it belongs, and shows that it would be seen"


async def test_they_hear_of_what_went_wrong_by_its_kind() -> None:
    heard: Heard = []
    async with (
        ClientSession(trace_configs=[recording(heard)]) as session,
        open_outlets(loopback(), session=session) as outlets,
    ):
        with pytest.raises(EndpointUnreachable):
            await put(outlets.transport(s3compatible.PROVIDER), "http://127.0.0.1:1")
    told = dict(heard)["on_request_exception"]
    assert str(told.exception) == type(told.exception).__name__ == "ClientConnectorError"
    assert CANARY not in everything(told)


async def test_the_operators_own_endpoints_are_heard_of_too() -> None:
    heard: Heard = []
    async with (
        scripted(accepted) as server,
        ClientSession(trace_configs=[recording(heard)]) as session,
        open_outlets(loopback(s3compatible=server.url), session=session) as outlets,
    ):
        await put(outlets.transport(s3compatible.PROVIDER), server.url)
    assert "on_request_end" in dict(heard)


async def test_what_goes_through_the_operators_proxy_is_heard_of_too() -> None:
    heard: Heard = []
    settings = loopback()
    proxied = replace(settings, egress=replace(settings.egress, proxy="http://127.0.0.1:1"))
    async with (
        ClientSession(trace_configs=[recording(heard)]) as session,
        open_outlets(proxied, session=session) as outlets,
    ):
        with pytest.raises(EndpointUnreachable):
            await put(outlets.transport(s3compatible.PROVIDER), "https://storage.example")
    assert str(dict(heard)["on_request_start"].url) == "https://storage.example"
    assert "on_request_exception" in dict(heard)


async def test_whoever_listens_can_neither_change_a_request_nor_break_it(caplog: pytest.LogCaptureFixture) -> None:
    config = TraceConfig()

    async def meddling(_: ClientSession, __: SimpleNamespace, parameters: Any) -> None:
        parameters.headers["X-Meddled"] = "yes"
        raise RuntimeError("of the host's")

    config.on_request_start.append(meddling)
    async with (
        scripted(accepted) as server,
        ClientSession(trace_configs=[config]) as session,
        open_outlets(loopback(), session=session) as outlets,
    ):
        await put(outlets.transport(s3compatible.PROVIDER), server.url)
    assert "x-meddled" not in server.requests[0].headers
    assert [record.message for record in caplog.records if record.name == "consignee.tracing"] == [
        "a trace config failed"
    ]


async def test_only_who_sends_a_request_can_cancel_it(caplog: pytest.LogCaptureFixture) -> None:
    """A listener whose own work was cancelled would else look like a stop of the service, to be tried again for ever."""
    config, reached = TraceConfig(), asyncio.Event()

    async def cancelled(*_: object) -> None:
        raise asyncio.CancelledError

    async def waiting(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    config.on_request_start.append(cancelled)
    config.on_request_end.append(waiting)
    async with (
        scripted(accepted) as server,
        ClientSession(trace_configs=[config]) as session,
        open_outlets(loopback(), session=session) as outlets,
    ):
        sending = asyncio.create_task(put(outlets.transport(s3compatible.PROVIDER), server.url))
        await asyncio.wait_for(reached.wait(), 10)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert caplog.text.count("a trace config failed") == 1


async def test_a_request_goes_out_though_nobody_can_make_its_context(caplog: pytest.LogCaptureFixture) -> None:
    def broken(trace_request_ctx: object = None) -> SimpleNamespace:
        raise RuntimeError("of the host's")

    config = TraceConfig(trace_config_ctx_factory=broken)  # type: ignore[arg-type]
    async with (
        scripted(accepted) as server,
        ClientSession(trace_configs=[config]) as session,
        open_outlets(loopback(), session=session) as outlets,
    ):
        await put(outlets.transport(s3compatible.PROVIDER), server.url)
        assert len(server.requests) == 1
    assert "a trace config failed" in caplog.text


async def test_its_context_is_one_for_each_request() -> None:
    """And what their factory makes is given the same as in their own session."""
    counts: list[int] = []
    config = recording([])

    async def counted(_: ClientSession, context: SimpleNamespace, __: Any) -> None:
        assert context.trace_request_ctx is None
        counts.append(context.count)

    config.on_request_end.append(counted)
    async with (
        scripted(accepted) as server,
        ClientSession(trace_configs=[config]) as session,
        open_outlets(loopback(), session=session) as outlets,
    ):
        for _ in range(3):
            await put(outlets.transport(s3compatible.PROVIDER), server.url)
    assert len(counts) == 3 and counts[1] == counts[2]


async def test_addresses_are_checked_whatever_the_session_may_do() -> None:
    """The policy refuses this machine, to which the host's own session may well connect."""
    async with scripted(accepted) as server, ClientSession() as session:
        assert (await session.get(server.url)).status == 200
        async with open_outlets(Settings(), session=session) as outlets:
            with pytest.raises(EndpointRefused):
                await put(outlets.transport(s3compatible.PROVIDER), server.url)
        assert server.connections == 1


async def test_what_the_session_sends_with_its_own_requests_is_not_sent_with_ours() -> None:
    """Its headers, its cookies, its password: they are for somebody else."""
    headers, cookies = {"Authorization": CANARY, "X-Token": CANARY}, {"login": CANARY}
    async with (
        scripted(accepted) as server,
        ClientSession(headers=headers, cookies=cookies) as session,
        open_outlets(loopback(), session=session) as outlets,
    ):
        await outlets.transport(s3compatible.PROVIDER).send("DELETE", f"{server.url}/key", headers={})
    assert CANARY not in everything(server.requests)


@contextmanager
def refused(what: str) -> Iterator[None]:
    with pytest.raises(SettingsError, match=f"session has {what}, but consignee opens its own connections"):
        yield


async def test_a_session_whose_requests_would_go_another_way_is_refused() -> None:
    async def retrying(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await handler(request)
        return response

    class Connector(aiohttp.TCPConnector):
        pass

    connectors = {
        "a TLS context": aiohttp.TCPConnector(ssl=ssl.create_default_context()),
        "a connector of another kind": Connector(),
    }
    options: dict[str, dict[str, Any]] = {
        "a proxy": {"proxy": "http://127.0.0.1:1"},
        "trust_env": {"trust_env": True},
        "middlewares": {"middlewares": [retrying]},
        **{what: {"connector": connector} for what, connector in connectors.items()},
    }
    for what, given in options.items():
        async with ClientSession(**given) as session:
            with refused(what):
                listeners(session)


def test_what_is_no_session_is_refused() -> None:
    wrong: Any = "https://example.com"
    with pytest.raises(SettingsError, match=r"session must be an aiohttp\.ClientSession, not str"):
        listeners(wrong)
    assert listeners(None) == ()
