"""One message to a webhook over real sockets: signed, guarded, never redirected, and judged by its status alone."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from canaries import WEBHOOK_SECRET
from consignee.clock import seconds_until
from consignee.delivery.webhook import Sent, payload, send
from consignee.outlets import open_outlets
from consignee.secret import Secret
from consignee.settings import Settings
from fakes import hostile
from fakes.certificates import Authority
from fakes.resolver import FixedResolver
from fakes.scripted import Answer, scripted
from providers.opening import loopback

SECRET: Final = Secret(WEBHOOK_SECRET)
NOW: Final = 1_767_322_800  # 2026-01-02T03:00:00Z
CONTENT: Final = {"name": "Ünïcode", "n": [1, None]}


@asynccontextmanager
async def session(
    settings: Settings | None = None, resolver: AbstractResolver | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield the session of webhooks."""
    async with open_outlets(settings or loopback(), resolver=resolver) as outlets:
        yield outlets.webhooks()


async def sent(url: str, settings: Settings | None = None, **options: Any) -> Sent:
    """Send one message; what came of it without the milliseconds."""
    async with session(settings, options.pop("resolver", None)) as opened:
        at = options.pop("timestamp", None) or int(datetime.now(UTC).timestamp())
        made = await send(opened, url, SECRET, id="msg_1", timestamp=at, content=CONTENT, **options)
    return replace(made, ms=0)


async def test_the_message_arrives_as_json_and_its_receiver_verifies_it() -> None:
    async with hostile.answering(204) as server:
        assert await sent(f"{server.url}/a%20b/../c;d?e=%2B+&f@") == Sent(ok=True, status=204)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/a%20b/../c;d?e=%2B+&f@")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("consignee/")
    assert not {"cookie", "authorization", "expect", "referer"} & set(request.headers)
    assert Webhook(SECRET.reveal()).verify(request.body, dict(request.headers)) == CONTENT
    assert json.loads(request.body) == CONTENT
    assert request.headers["webhook-id"] == "msg_1"


async def test_it_says_how_long_it_took() -> None:
    ticks = iter([10.0, 10.25])
    async with hostile.answering(200) as server, session() as opened:
        done = await send(opened, server.url, SECRET, id="msg_1", timestamp=NOW, content={}, clock=lambda: next(ticks))
    assert done.ms == 250


@pytest.mark.parametrize("status", [400, 401, 404, 408, 409, 425, 429, 500, 503])
async def test_a_refusal_may_be_repeated(status: int) -> None:
    async with hostile.answering(status) as server:
        assert await sent(server.url) == Sent(ok=False, status=status, code="webhook_refused", transient=True)


async def test_gone_is_for_good() -> None:
    async with hostile.answering(410) as server:
        assert await sent(server.url) == Sent(ok=False, status=410, code="webhook_refused", transient=False)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with hostile.redirecting(status) as redirecting:
        assert await sent(redirecting.url) == Sent(ok=False, status=status, code="redirect_refused", transient=False)
        assert len(redirecting.server.requests) == 1
        assert redirecting.target.connections == 0


async def test_retry_after_is_passed_on_from_a_refusal() -> None:
    async with hostile.throttling(retry_after="7", status=429) as server:
        assert (await sent(server.url)).retry_after == 7.0
    later = format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True)
    async with hostile.throttling(retry_after=later) as server:
        assert (await sent(server.url, timestamp=NOW)).retry_after == 90.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 10, None),
        ("0", 0.0),
        ("120", 120.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:01:40 -0000", 60.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert seconds_until(text, now=40) == seconds


@given(st.text() | st.from_regex(r"\w{3}, \d{1,3} (Jan|Dec) \d{1,6} \d\d:\d\d:\d\d ([+-]\d{4,5}|GMT)?", fullmatch=True))
def test_no_retry_after_is_too_strange(text: str) -> None:
    seconds = seconds_until(text, now=NOW)
    assert seconds is None or seconds >= 0


async def _stalled() -> AsyncGenerator[bytes, None]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    await asyncio.Event().wait()


async def test_the_answers_body_is_not_waited_for() -> None:
    """It was taken, whatever else is said of it: to wait until the time is over would repeat it."""
    async with scripted(lambda _: Answer(raw=_stalled())) as server:
        assert await sent(server.url, timeout=5.0) == Sent(ok=True, status=200)


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_end_is_not_read(status: int) -> None:
    """The connection that it comes on is closed."""
    ended = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            yield f"HTTP/1.1 {status} Whatever\r\n\r\n".encode()
            while True:
                yield bytes(65536)
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with scripted(lambda _: Answer(raw=endless())) as server, session() as opened:
        done = await send(opened, server.url, SECRET, id="msg_1", timestamp=NOW, content=CONTENT)
        assert (done.ok, done.status) == (status == 200, status)
        await asyncio.wait_for(ended.wait(), 10)


async def test_a_private_address_is_refused_before_anything_is_sent() -> None:
    closed = replace(loopback(), egress=replace(loopback().egress, allow=()))
    refused = Sent(ok=False, code="endpoint_refused", transient=False)
    async with hostile.accepting() as server:
        assert await sent(server.url, closed) == refused
        named = f"http://hooks.example.com:{server.port}"
        resolver = FixedResolver({"hooks.example.com": ["127.0.0.1"]})
        assert await sent(named, closed, resolver=resolver) == refused
        assert server.connections == 0


async def test_silence_ends_after_its_time() -> None:
    late = Sent(ok=False, code="timeout", transient=True)
    async with hostile.hanging() as server:
        assert await sent(server.url, timeout=0.2) == late
    async with hostile.hanging(scheme="https") as server:
        assert await sent(server.url, timeout=0.2) == late
    async with hostile.dripping() as server:
        assert await sent(server.url, timeout=0.2) == late
    async with session(resolver=FixedResolver(hanging=["slow.example.com"])) as opened:
        done = await send(
            opened, "https://slow.example.com", SECRET, id="msg_1", timestamp=NOW, content={}, timeout=0.2
        )
    assert done.code == "timeout"


async def test_nobody_there_may_be_somebody_later() -> None:
    unreachable = Sent(ok=False, code="endpoint_unreachable", transient=True)
    with hostile.refusing() as url:
        assert await sent(url) == unreachable
    assert await sent("https://none.example.com", resolver=FixedResolver()) == unreachable
    for server in (hostile.closing(after="accept"), hostile.closing(after="request"), hostile.endless_headers()):
        async with server as running:
            assert await sent(running.url) == unreachable


async def test_a_certificate_is_checked(ca: Authority) -> None:
    trusting = loopback(ca=ca.pem)
    failed = Sent(ok=False, code="tls_failed", transient=True)
    async with scripted(lambda _: Answer(), tls=ca.server_context()) as server:
        assert await sent(server.url, trusting) == Sent(ok=True, status=200)
    async with hostile.plain_at_tls_port() as server:
        assert await sent(server.url, trusting) == failed
    for bad in (ca.server_context(expired=True), ca.server_context("other.example"), ca.self_signed_context()):
        async with hostile.accepting(tls=bad) as server:
            assert await sent(server.url, trusting) == failed
            assert server.requests == []


async def test_nothing_of_the_secret_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Nor the signature, which anybody could send again."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    outcomes = []
    for server in (hostile.answering(200), hostile.answering(500), hostile.closing(after="request")):
        async with server as running:
            outcomes.append(await sent(running.url))
            signature = running.requests[0].headers["webhook-signature"]
            shown = caplog.text + repr(outcomes) + "".join(f"{vars(record)}" for record in caplog.records)
            assert signature[3:] not in shown
    assert [one.ok for one in outcomes] == [True, False, False]
    assert caplog.records
    assert SECRET.reveal()[6:] not in shown


def test_the_message_tells_of_the_result_set_only_what_it_should() -> None:
    result_set = {
        "id": 3,
        "started_at": "2026-01-01T00:00:00.000Z",
        "ended_at": "2026-01-01T00:01:00.000Z",
        "download_links": {"pages": []},
        "destination_status": {"0123ABCD": {"status": "success"}},
    }
    assert payload("ABCD0123", "Reports", {**result_set, "expires_at": "later", "token": "inner"}) == {
        "request_info": {"success": True, "type": "collection_resultset_completed"},
        "collection": {"id": "ABCD0123", "name": "Reports"},
        "result_set": result_set,
    }
