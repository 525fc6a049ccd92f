"""Each destination type through a forward proxy, as in production: at the vendors' own names, over TLS, large files too."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import pytest

from consignee.body import BytesBody
from consignee.demo.azurite import AzuriteServer
from consignee.demo.storage import StorageServer
from consignee.errors import EndpointUnreachable
from consignee.outlets import open_outlets
from consignee.providers import discover
from consignee.testing.buckets import SMALL_PARTS
from consignee.verification import verify
from fakes.certificates import Authority
from fakes.forward_proxy import forward_proxy
from fakes.google import HOSTS, Google
from fakes.multipart import Multipart
from fakes.oss import oss_server
from fakes.resolver import FixedResolver
from fakes.scripted import scripted
from providers.kinds import KINDS, Kind
from providers.opening import Fields, draft_of, loopback
from providers.test_azure_contract import azure_subject
from providers.test_gcs_contract import account_subject, hmac_subject
from providers.test_oss_contract import BUCKETS, USERS, oss_subject
from providers.test_s3_contract import compatible_subject
from proving import LONG, TOKEN
from test_proxy import CREDENTIALS, NAME, through

AMAZON: Final = "files.s3.us-east-1.amazonaws.com"
OSS: Final = "demo-bucket.oss-cn-hangzhou.aliyuncs.com"
STORE: Final = "s3.localhost"


@dataclass(frozen=True)
class Place:
    """A destination, and the names and ports by which a proxy finds all that it needs."""

    fields: Fields
    ports: dict[str, int]


@pytest.fixture
def places(
    ca: Authority, swift: StorageServer, swift_auto: StorageServer, azurite_tls: AzuriteServer
) -> dict[str, Callable[[], AbstractAsyncContextManager[Place]]]:
    """Where each kind of destination is."""
    settings = loopback(ca=ca.pem)

    @asynccontextmanager
    async def amazon() -> AsyncIterator[Place]:
        async with scripted(Multipart(), tls=ca.server_context(AMAZON)) as server:
            yield Place(KINDS["s3"].fields, {AMAZON: server.port})

    @asynccontextmanager
    async def compatible() -> AsyncIterator[Place]:
        port = urlsplit(swift.tls_url or "").port or 0
        yield Place(compatible_subject(swift, settings, f"https://{STORE}:{port}").fields, {STORE: port})

    @asynccontextmanager
    async def google_by_hmac() -> AsyncIterator[Place]:
        port = urlsplit(swift_auto.tls_url or "").port or 0
        yield Place(hmac_subject(swift_auto, settings).fields, {"storage.googleapis.com": port})

    @asynccontextmanager
    async def google_by_account() -> AsyncIterator[Place]:
        google = Google()
        async with google.serving(tls=ca.server_context(*HOSTS)) as server:
            yield Place(account_subject(google, settings).fields, dict.fromkeys(HOSTS, server.port))

    @asynccontextmanager
    async def azure() -> AsyncIterator[Place]:
        port = urlsplit(azurite_tls.url).port or 0
        yield Place(azure_subject(azurite_tls, settings).fields, {"demoaccount.blob.core.windows.net": port})

    @asynccontextmanager
    async def alibaba() -> AsyncIterator[Place]:
        async with oss_server(USERS, BUCKETS, tls=ca.server_context(OSS)) as server:
            yield Place(oss_subject(server, settings).fields, {OSS: server.port})

    return {
        "s3": amazon,
        "s3compatible": compatible,
        "gcs by HMAC": google_by_hmac,
        "gcs by account": google_by_account,
        "azure": azure,
        "oss": alibaba,
    }


def test_no_type_is_left_out(places: dict[str, object]) -> None:
    assert places.keys() == KINDS.keys()
    assert {kind.provider.type for kind in KINDS.values()} == set(discover())


@pytest.mark.parametrize("name", KINDS)
async def test_a_destination_works_through_the_proxy(
    ca: Authority, places: dict[str, Callable[[], AbstractAsyncContextManager[Place]]], name: str
) -> None:
    """Its test, and a large body in parts; tokens as well. Only the proxy knows a name, so nothing can go by it."""
    settings, kind = loopback(ca=ca.pem), KINDS[name]
    resolver = FixedResolver({NAME: ["127.0.0.1"]})
    async with places[name]() as place, forward_proxy(place.ports, credentials=CREDENTIALS) as proxy:
        proxied = through(proxy, settings)
        draft = draft_of(kind.provider, place.fields, settings)
        async with open_outlets(proxied, resolver=resolver) as outlets:
            report = await verify(
                draft,
                kind.provider,
                lambda trace: outlets.transport(kind.provider, trace),
                found={},
                timeout=LONG,
                token=TOKEN,
            )
            assert [step.step for step in report.steps if step.ok] == ["connect", "upload", "delete"], report
            transport = outlets.transport(kind.provider)
            transport.parts = SMALL_PARTS
            async with kind.provider.open(draft, report.found, transport) as bucket:
                await bucket.put("through/the proxy", BytesBody(bytes(600_000)))
                await bucket.delete("through/the proxy")
    hosts = {asked.rpartition(":")[0] for asked in proxy.asked}
    assert hosts == (place.ports.keys() - {"www.googleapis.com"})
    assert (set(resolver.asked), proxy.turned_away) == ({NAME}, 0)
    assert len(proxy.passed) > 600_000


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_proxy_that_refuses_is_not_a_fault_of_the_destination(ca: Authority, kind: Kind) -> None:
    """No hint speaks of what the customer entered as if that were wrong."""
    settings = loopback(ca=ca.pem)
    draft = draft_of(kind.provider, kind.fields_at("https://store.example.net"), settings)
    async with (
        forward_proxy(status=403) as proxy,
        open_outlets(through(proxy, settings), resolver=FixedResolver({NAME: ["127.0.0.1"]})) as outlets,
        kind.provider.open(draft, {}, outlets.transport(kind.provider)) as bucket,
    ):
        with pytest.raises(EndpointUnreachable, match="proxy of this service refuses") as failed:
            await bucket.put("key", BytesBody(b"content"))
    assert failed.value.transient and "forward proxy" in failed.value.hint
    assert proxy.server.connections > 0
