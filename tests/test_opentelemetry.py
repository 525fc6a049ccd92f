"""The recipe of docs/monitoring.md makes spans of what comes in and of what goes out, and none of them holds a secret."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from pytest_aiohttp.plugin import AiohttpClient

from canaries import SEALING_KEY
from consignee.demo.storage import StorageServer
from consignee.secret import Secret
from consignee.settings import AccountsSettings, FixedAccount, SecretsSettings, Settings, StoreSettings
from pages import blocks
from providers.opening import COMMON, loopback

KEY = "key-in-a-query-string"


@pytest.fixture
def recipe() -> Iterator[dict[str, Any]]:
    """What the page defines; afterwards, applications are as they were."""
    (code,) = [code for page, code in blocks("python") if page == "docs/monitoring.md" and "opentelemetry" in code]
    names: dict[str, Any] = {}
    exec(compile(code, "docs/monitoring.md", "exec"), names)
    before = web.Application
    yield names
    AioHttpServerInstrumentor().uninstrument()
    assert web.Application is before


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A service on this machine."""
    return replace(
        loopback(),
        store=StoreSettings(path=str(tmp_path)),
        secrets=SecretsSettings(key=Secret(SEALING_KEY.hex())),
        accounts=AccountsSettings(fixed=(FixedAccount("ann", Secret(KEY)),)),
    )


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # that is how its package does it
async def test_spans_of_requests_and_of_what_they_ask_of_a_storage_hold_no_secret(
    recipe: dict[str, Any], settings: Settings, swift: StorageServer, aiohttp_client: AiohttpClient
) -> None:
    provider, exported = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    secret = swift.users["test:tester"]
    keys = {"s3_access_key_id": "test:tester", "s3_secret_access_key": secret}
    fields = COMMON | keys | {"type": "s3compatible", "s3_endpoint": swift.url, "s3_bucket_name": "demo-bucket"}
    async with ClientSession(trace_configs=[create_trace_config(tracer_provider=provider)]) as session:
        client = await aiohttp_client(recipe["traced"](settings, provider, session))
        response = await client.post("/destinations", params={"api_key": KEY}, json=fields)
        assert response.status == 200
        await client.close()
    spans = exported.get_finished_spans()
    served = [span for span in spans if span.kind is SpanKind.SERVER]
    asked = [span for span in spans if span.kind is SpanKind.CLIENT]
    assert [span.name for span in served] == ["POST /destinations"]
    assert [span.name for span in asked] == ["PUT", "DELETE"]
    assert {span.parent.span_id for span in asked if span.parent} == {served[0].context.span_id}
    told = " ".join(span.to_json() for span in spans)
    assert swift.url in told
    assert not [word for word in (KEY, "api_key", secret, "Signature", "demo-bucket", "test:tester") if word in told]
