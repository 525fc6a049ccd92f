"""What aiobotocore does for us is written and read, and nothing else: it heeds no environment, and opens no connection."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import aiohttp
import pytest

from consignee.egress import AllowRule, Policy, open_session
from consignee.errors import MissingExtra, NotAStorageService, TimedOut
from consignee.providers import s3, s3_control
from consignee.transport import Transport
from fakes import hostile
from fakes.multipart import Multipart
from fakes.scripted import Answer, scripted
from providers.opening import S3_FIELDS, loopback, opened
from providers.test_s3_parts import BODY, PARTS, PUT


@pytest.fixture
def unloaded() -> Iterator[None]:
    """As in a new process."""
    s3_control._loaded.cache_clear()
    yield
    s3_control._loaded.cache_clear()


async def test_no_setting_of_the_operators_own_changes_a_call(
    unloaded: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each of these would break it, lead it elsewhere, or make it act in the operator's name."""
    async with hostile.accepting() as elsewhere, scripted(Multipart()) as server:
        profile = tmp_path / "config"
        profile.write_text(f"[default]\nendpoint_url = {elsewhere.url}\ns3 =\n  use_accelerate_endpoint = true\n")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, str(profile))
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, elsewhere.url)
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_DEFAULTS_MODE", "AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS"):
            monkeypatch.setenv(name, "no-such-thing")
        for name in (
            "AWS_DATA_PATH",
            "AWS_CA_BUNDLE",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_SIGV4A_SIGNING_REGION_SET",
        ):
            monkeypatch.setenv(name, str(tmp_path / "no-such-path"))
        for name in ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_S3_USE_ARN_REGION"):
            monkeypatch.setenv(name, "true")
        monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOPERATOR")
        async with opened(s3.PROVIDER, S3_FIELDS, loopback(s3=server.url), parts=PARTS) as bucket:
            await bucket.put("key", BODY)
        assert elsewhere.connections == 0
    assert len(server.requests) == len(PUT)
    for request in server.requests:
        assert "Credential=test:tester/" in request.headers["authorization"]
        assert not [name for name in request.headers if "checksum" in name or "sdk" in name]


async def test_it_opens_no_connection_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No session but the guarded one is ever made."""
    made: list[object] = []

    class Counted(aiohttp.TCPConnector):
        def __init__(self, **options: object) -> None:
            made.append(self)
            super().__init__(**options)  # type: ignore[arg-type]

    async with (
        scripted(Multipart()) as server,
        opened(s3.PROVIDER, S3_FIELDS, loopback(s3=server.url), parts=PARTS) as bucket,
    ):
        monkeypatch.setattr(aiohttp, "TCPConnector", Counted)
        await bucket.put("key", BODY)
    assert made == []
    assert len(server.requests) == len(PUT)


@pytest.mark.parametrize("bucket_name", ["demo--x-s3", "demo--table-s3", "xn--demo", "demo-s3alias", "sthree-demo"])
async def test_no_name_of_a_bucket_means_anything_else(bucket_name: str) -> None:
    """Amazon's libraries take some endings for another kind of bucket, with other endpoints and signatures."""
    fields = S3_FIELDS | {"s3_bucket_name": bucket_name}
    async with (
        scripted(Multipart()) as server,
        opened(s3.PROVIDER, fields, loopback(s3=server.url), parts=PARTS) as bucket,
    ):
        await bucket.put("key", BODY)
    assert {request.path.split("?")[0] for request in server.requests} == {f"/{bucket_name}/key"}
    assert len(server.requests) == len(PUT)


async def test_no_answer_sends_the_library_elsewhere() -> None:
    """It would ask again, and keep the place that a customer's storage names for the calls of all others, whose client it is."""
    redirect = Answer(200, {}, b"<Error ><Code>PermanentRedirect</Code><Region>eu-central-1</Region></Error>")
    async with (
        scripted(lambda _: redirect) as server,
        opened(s3.PROVIDER, S3_FIELDS, loopback(s3=server.url), parts=PARTS) as bucket,
    ):
        with pytest.raises(NotAStorageService):
            await bucket.put("key", BODY)
    assert len(server.requests) == 1


async def test_without_aiobotocore_it_says_what_to_install(unloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiobotocore.session", None)
    async with (
        scripted(Multipart()) as server,
        opened(s3.PROVIDER, S3_FIELDS, loopback(s3=server.url), parts=PARTS) as bucket,
    ):
        with pytest.raises(MissingExtra, match=r"pip install 'consignee\[s3\]'"):
            await bucket.put("key", BODY)


async def slowly() -> AsyncGenerator[bytes, None]:
    """Twenty bytes of white space in a second."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\n"
    for _ in range(20):
        await asyncio.sleep(0.05)
        yield b" "


async def test_an_answer_may_take_its_time_while_it_says_so() -> None:
    """A completion does, by white space until it is done. Without patience the same is too late, and silence always is."""
    allowed = Policy(allow=(AllowRule.parse("127.0.0.1/32:*"),))
    async with open_session(allowed) as session:
        transport = Transport(session, idle=0.5)
        async with scripted(lambda _: Answer(raw=slowly())) as server:
            answer = await transport.send("POST", server.url, headers={}, patience=60)
            assert answer.body == b" " * 20
            with pytest.raises(TimedOut):
                await transport.send("POST", server.url, headers={})
            with pytest.raises(TimedOut):
                await transport.send("POST", server.url, headers={}, patience=0.6)
        async with hostile.hanging() as server:
            with pytest.raises(TimedOut):
                await transport.send("POST", server.url, headers={}, patience=60)
