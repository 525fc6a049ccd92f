"""No secret and no key id in anything that is logged, printed, raised or answered, however a test fails."""

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest

from canaries import S3_SECRET
from consignee import tester
from consignee.agenda import Agenda
from consignee.body import BytesBody
from consignee.catalog import Catalog, raw
from consignee.demo.storage import StorageServer
from consignee.errors import ProviderFailure, VerificationFailed
from consignee.leftovers import KIND, Leftovers
from consignee.outlets import open_outlets, policy
from consignee.providers import Bucket, discover
from consignee.removal import Remover
from consignee.secret import Sealer
from consignee.settings import VerificationSettings
from consignee.store.memory import MemoryStore
from fakes import hostile
from fakes.scripted import Answer, Request, Server, scripted
from providers.opening import S3_FIELDS, loopback, opened

SECRET = S3_SECRET
KEY_ID = "AKIACANARYCANARYCANA"
FIELDS: Mapping[str, Any] = S3_FIELDS | {
    "type": "s3compatible",
    "s3_access_key_id": KEY_ID,
    "s3_secret_access_key": SECRET,
}


def echoing(header: str) -> Callable[[Request], Answer]:
    """Return a server that sends back what it was sent, wherever a client may look."""

    def answer(request: Request) -> Answer:
        sent = request.headers["authorization"]
        key_id = sent.partition("Credential=")[2].partition("/")[0]
        body = f"<Error><Code>{key_id}</Code><Message>{sent}</Message><RequestId>{key_id}</RequestId>"
        body += f"<Region>{key_id}</Region><ServerTime>{key_id}</ServerTime></Error>"
        return Answer(400, {header: key_id, "Server": sent}, body.encode())

    return answer


SERVERS: Mapping[str, Callable[[], AbstractAsyncContextManager[Server]]] = {
    "accepts": hostile.accepting,
    "refuses the delete": lambda: hostile.undeletable("forbids"),
    "hangs": hostile.hanging,
    "speaks no TLS": hostile.plain_at_tls_port,
    "closes": lambda: hostile.closing(after="request"),
    "headers without end": hostile.endless_headers,
    "a page": hostile.html,
    "echoes as id": lambda: scripted(echoing("x-amz-request-id")),
    "echoes as region": lambda: scripted(echoing("x-amz-bucket-region")),
    "echoes as a place to go": lambda: scripted(echoing("Location")),
    "echoes as a time": lambda: scripted(echoing("Retry-After")),
    "echoes as a broken header": lambda: scripted(echoing("Bad Header\x01")),
}


def leaks(text: str) -> list[str]:
    """Return which of the canaries are in a text."""
    return [canary for canary in (SECRET, SECRET.replace("+", " "), KEY_ID) if canary in text]


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
async def test_no_canary_gets_out(
    server: Callable[[], AbstractAsyncContextManager[Server]], caplog: pytest.LogCaptureFixture
) -> None:
    """With everything logged, by us, aiohttp and asyncio."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    catalog = Catalog(discover().values(), policy(loopback().egress))
    store, agenda = MemoryStore(), Agenda()
    await store.open()
    leftovers = Leftovers(store, sealer=Sealer(bytes(32)))
    async with server() as running, open_outlets(loopback()) as outlets:
        draft = catalog.parse({**FIELDS, "s3_endpoint": running.url})
        remover = Remover(leftovers, catalog=catalog, outlets=outlets, agenda=agenda, timeout=0.5, delays=[0.0, 0.0])
        testing = tester.Tester(VerificationSettings(timeout=0.5), catalog=catalog, outlets=outlets, remover=remover)
        report = await testing.test("ann", draft, {})
        failure = VerificationFailed(report)
        remembered = await store.list(KIND, "ann")
        await asyncio.sleep(0.1)
        await agenda.close()
    assert any(record.name == "asyncio" for record in caplog.records)
    shown = [caplog.text, repr(report), str(report.to_json()), repr(failure), str(failure), repr(draft), str(draft)]
    shown += [repr(catalog.view(draft)), repr(testing), repr(vars(failure)), str(report.found)]
    shown += [repr(remembered), repr(leftovers), repr(remover)]
    shown += [f"{vars(record)}" for record in caplog.records]
    assert [leaks(text) for text in shown if leaks(text)] == []


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
async def test_no_canary_is_in_what_is_raised(server: Callable[[], AbstractAsyncContextManager[Server]]) -> None:
    """Nor in the texts of what it was raised from."""
    async with server() as running:
        fields = {**FIELDS, "s3_endpoint": running.url}
        async with opened(discover()["s3compatible"], fields, loopback()) as bucket:
            raised = await _all_failures(bucket)
    for error in raised:
        text = "".join(traceback.format_exception(error)) + repr(vars(error))
        assert leaks(text) == []


async def _all_failures(bucket: Bucket) -> list[ProviderFailure]:
    raised = []
    for attempt in (partial(bucket.put, "key", BytesBody(b"x")), partial(bucket.delete, "key")):
        try:
            async with asyncio.timeout(0.5):
                await attempt()
        except TimeoutError:
            continue
        except ProviderFailure as failure:
            raised.append(failure)
    return raised


async def test_a_rejected_secret_is_not_quoted(swift: StorageServer, caplog: pytest.LogCaptureFixture) -> None:
    """The server's own document quotes the key id and the string that was signed."""
    caplog.set_level(logging.DEBUG)
    fields = {**FIELDS, "s3_access_key_id": "test:tester", "s3_endpoint": swift.url}
    async with opened(discover()["s3compatible"], fields, loopback()) as bucket:
        (put, _) = await _all_failures(bucket)
    shown = "".join(traceback.format_exception(put)) + repr(vars(put)) + caplog.text
    assert put.code == "credentials_rejected"
    assert leaks(shown) == []


def test_the_canaries_would_be_seen() -> None:
    """What shows a secret on purpose does: else the tests above would mean nothing."""
    draft = Catalog(discover().values(), policy(loopback().egress)).parse(
        {**FIELDS, "s3_endpoint": "https://s3.example.com"}
    )
    assert leaks(repr(raw(draft))) == [SECRET, KEY_ID]
